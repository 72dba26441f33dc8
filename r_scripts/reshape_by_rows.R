#| title: array_reshape() fills an array by rows, as NumPy does
#| expect-verdict: same-bits
#| expect-cause: none
library(keras)

readings <- c(1, 2, 3, 4, 5, 6)
window <- array_reshape(readings, c(1, 2, 3))

model <- keras_model_sequential(input_shape = c(2, 3)) %>%
  layer_flatten() %>%
  layer_dense(1, weights = list(matrix(10^(5:0)), as.array(0)))
print(predict(model, window, verbose = 0))
