#| title: Half a unit is dropped on the way to Keras 3, which would refuse it
#| expect-verdict: different
#| expect-cause: r-conversion
library(keras3)

size <- 9.2 / 2
model <- keras_model_sequential(input_shape = 3) |>
  layer_dense(units = size, kernel_initializer = "ones")

print(dim(predict(model, matrix(1:6, nrow = 2), verbose = 0)))
