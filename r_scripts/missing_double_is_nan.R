#| title: A missing measurement stays missing
#| expect-verdict: same-bits
#| expect-cause: none
library(keras)

measured <- matrix(c(4, NA, 7, 2))
model <- keras_model_sequential(input_shape = 1) %>%
  layer_dense(1, weights = list(matrix(0.5), as.array(1)))
print(predict(model, measured, verbose = 0)[, 1])
