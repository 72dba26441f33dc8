#| title: A small improvement counts, although it was to be ignored
#| expect-verdict: different
#| expect-cause: r-conversion
#
# min_delta is cut down to 0: training goes on as long as the loss falls at all.
library(keras3)

model <- keras_model_sequential(input_shape = 1) |>
  layer_dense(1, kernel_initializer = "zeros", use_bias = FALSE)
model |> compile(optimizer = optimizer_sgd(learning_rate = 0.05), loss = "mse")
history <- model |> fit(
  matrix(1), matrix(1),
  epochs = 30, verbose = 0,
  callbacks = callback_early_stopping(monitor = "loss", min_delta = 0.1, patience = 1)
)
cat("epochs:", length(history$metrics$loss), "\n")
