#| title: A missing count is minus two thousand million on Keras 3 as well
#| expect-verdict: different
#| expect-cause: r-conversion
library(keras3)

counts <- matrix(c(4L, NA, 7L, 2L))
model <- keras_model_sequential(input_shape = 1) |>
  layer_dense(1, kernel_initializer = initializer_constant(0.5))
print(predict(model, counts, verbose = 0)[, 1])
