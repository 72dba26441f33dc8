#| title: Half a unit is dropped on the way
#| expect-verdict: same-bits
#| expect-cause: r-conversion
#
# The R package makes a whole number of 4.6 by cutting it off. Keras 2 would do the same.
library(keras)

size <- 9.2 / 2
model <- keras_model_sequential(input_shape = 3) %>%
  layer_dense(units = size, kernel_initializer = "ones")

print(dim(predict(model, matrix(1:6, nrow = 2), verbose = 0)))
