# A convolution over three channels with many filters.
library(keras3)

set_random_seed(3)
model <- keras_model_sequential(input_shape = c(4, 3)) |>
  layer_conv_1d(filters = 9, kernel_size = 3, padding = "same", name = "conv")

print(predict(model, array(1, c(1, 4, 3)), verbose = 0)[1, 1, ])
