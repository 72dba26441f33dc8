# Two moons: dense layers with relu as a layer of its own.
library(keras3)

set_random_seed(1)
model <- keras_model_sequential(input_shape = 2) |>
  layer_dense(8, name = "hidden") |>
  layer_activation_relu(name = "relu") |>
  layer_dense(1, activation = "sigmoid", name = "out")

grid <- as.matrix(expand.grid(seq(-1, 1, 0.5), seq(-1, 1, 0.5)))
print(predict(model, unname(grid), verbose = 0))
