#| title: With keras3, the layers of a pipe are made in order
#| expect-verdict: within-rounding
#| expect-verdict[onednn]: same-bits
#| expect-cause: none
library(keras3)
set_random_seed(3)

model <- keras_model_sequential(input_shape = 2) |>
  layer_dense(4, activation = "relu") |>
  layer_dense(1)

print(sapply(model$layers, function(layer) layer$name))
print(predict(model, matrix(c(1, 2), 1), verbose = 0))
