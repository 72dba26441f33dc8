#| title: R fills an array by columns, NumPy by rows
#| expect-verdict: different
#| expect-cause: r-semantics
#
# Two readings of three sensors, one after the other in a vector. array() takes the first sensor of
# both, where NumPy would take the first reading.
library(keras)

readings <- c(1, 2, 3, 4, 5, 6)
window <- array(readings, dim = c(1, 2, 3))

model <- keras_model_sequential(input_shape = c(2, 3)) %>%
  layer_flatten() %>%
  layer_dense(1, weights = list(matrix(10^(5:0)), as.array(0)))
print(predict(model, window, verbose = 0))
