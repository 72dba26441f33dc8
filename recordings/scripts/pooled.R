# A sequence pooled and classified, as it is after training.
library(keras3)

set_random_seed(5)
model <- keras_model_sequential(input_shape = c(6, 4)) |>
  layer_max_pooling_1d(2, name = "pool") |>
  layer_flatten() |>
  layer_dropout(0.5, name = "dropout") |>
  layer_dense(4, activation = "relu", name = "square") |>
  layer_dense(4, name = "scores") |>
  layer_activation_relu(name = "positive")

print(predict(model, array(cos(1:96), c(4, 6, 4)), verbose = 0))
