#| title: 3-D average pooling with wide strides starts at the wrong place
#| expect-verdict: different
#| expect-verdict[onednn]: same-bits
#| expect-cause: kernel:AvgPool3D
#| expect-cause[onednn]: none
#| upstream: TensorFlow's AvgPool3D, not reported yet
#| seen-with: tensorflow 2.21.0
#
# Windows of 1 with strides of 3 and padding "same" over 9 places start at places 1, 4 and 7. The
# kernel for three dimensions starts at 2, 5 and 8.
library(keras3)

model <- keras_model_sequential(input_shape = c(9, 1, 1, 1)) |>
  layer_average_pooling_3d(pool_size = 1, strides = 3, padding = "same")

print(predict(model, array(1:9, c(1, 9, 1, 1, 1)), verbose = 0)[1, , 1, 1, 1])
