#| title: Without a number, fit() of keras3 trains for one epoch, as in Python
#| expect-verdict: same-bits
#| expect-cause: none
library(keras3)

model <- keras_model_sequential(input_shape = 1) |>
  layer_dense(1, kernel_initializer = "zeros", use_bias = FALSE)
model |> compile(optimizer = optimizer_sgd(learning_rate = 0.1), loss = "mse")
history <- model |> fit(matrix(c(1, 2)), matrix(c(2, 4)), shuffle = FALSE, verbose = 0)
cat("epochs:", length(history$metrics$loss), "\n")
