#| title: A copy of a model is the same model
#| expect-verdict: same-bits
#| expect-cause: r-semantics
#
# An assignment copies a number in R, but only another name for a Python object.
library(keras)

short <- keras_model_sequential(input_shape = 1) %>%
  layer_dense(1, weights = list(matrix(3), as.array(0)))
long <- short
long %>% layer_dense(1, weights = list(matrix(100), as.array(0)))

print(predict(short, matrix(2), verbose = 0))
