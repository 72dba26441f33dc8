#| title: A 3-D convolution with wide strides reads its windows one place too late
#| expect-verdict: different
#| expect-verdict[onednn]: same-bits
#| expect-cause: kernel:Conv3D
#| expect-cause[onednn]: none
#| upstream: TensorFlow's Conv3D without oneDNN, not reported yet
#| seen-with: tensorflow 2.21.0
#
# With padding "same", a kernel of 1 and strides of 3, the windows over 9 places start at places 1,
# 4 and 7, as they do in one and two dimensions. The kernel for three starts at 2, 5 and 8.
library(keras)

model <- keras_model_sequential(input_shape = c(9, 1, 1, 1)) %>%
  layer_conv_3d(1, 1, strides = 3, padding = "same", kernel_initializer = "ones")

print(predict(model, array(1:9, c(1, 9, 1, 1, 1)), verbose = 0)[1, , 1, 1, 1])
