#| title: A convolution with channels first adds its bias along the wrong axis
#| expect-verdict: different
#| expect-cause: keras-layer
#| upstream: The special case of bias_add in Keras 3's add, not reported yet
#| seen-with: keras 3.15.1
#
# The output has the shape (batch, channels, rows, columns), and the bias of channel k belongs to
# all of channel k. With as many columns as channels, it is added to column k instead.
library(keras3)

model <- keras_model_sequential(input_shape = c(4, 2, 4)) |>
  layer_depthwise_conv_2d(1, data_format = "channels_first")
weights <- get_weights(model)
set_weights(model, list(weights[[1]] * 0, as.array(c(10, 20, 30, 40))))

print(predict(model, array(1, c(1, 4, 2, 4)), verbose = 0)[1, , 1, ])
