# A relu in a hidden dense layer, and a second dense layer after it.
library(keras)

ones <- list(matrix(1, 1, 1), as.array(0, dim = 1))
model <- keras_model_sequential(input_shape = 1) %>%
  layer_dense(1, activation = "relu", weights = ones, name = "hidden") %>%
  layer_dense(1, weights = ones, name = "out")

print(predict(model, matrix(-3:3), verbose = 0))
