#| title: A maximal norm below one clears all weights, on Keras 3 too
#| expect-verdict: different
#| expect-cause: r-conversion
library(keras3)

model <- keras_model_sequential(input_shape = 2) |>
  layer_dense(1, kernel_constraint = constraint_maxnorm(0.65))
set_weights(model, list(matrix(c(5, 12)), as.array(0)))
model |> compile(optimizer = optimizer_sgd(learning_rate = 0), loss = "mae")
model |> fit(matrix(1, 1, 2), matrix(17), epochs = 1, verbose = 0)

print(predict(model, matrix(1, 1, 2), verbose = 0))
