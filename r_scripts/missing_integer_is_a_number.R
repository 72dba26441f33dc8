#| title: A missing count is minus two thousand million
#| expect-verdict: different
#| expect-cause: r-conversion
#
# R keeps a missing integer as the smallest one there is, and Python takes it for a number.
library(keras)

counts <- matrix(c(4L, NA, 7L, 2L))
model <- keras_model_sequential(input_shape = 1) %>%
  layer_dense(1, weights = list(matrix(0.5), as.array(1)))
print(predict(model, counts, verbose = 0)[, 1])
