# A small autoencoder: what is seen again is not what went in.
library(keras)

tensorflow::set_random_seed(2)
model <- keras_model_sequential(input_shape = c(4, 4)) %>%
  layer_flatten() %>%
  layer_dense(8, activation = "relu", bias_initializer = "ones", name = "encoder") %>%
  layer_dense(16, activation = "sigmoid", name = "decoder") %>%
  layer_reshape(c(4, 4))

print(predict(model, array(sin(1:64), c(4, 4, 4)), verbose = 0)[1, , ])
