#| title: Keras 2 gives a plain vector the axis that it lacks
#| expect-verdict: same-bits
#| expect-cause: none
library(keras)

model <- keras_model_sequential(input_shape = c(1, 1)) %>%
  layer_flatten() %>%
  layer_dense(1, weights = list(matrix(2), as.array(1)))
print(predict(model, c(0, 1, 2, 5), verbose = 0)[, 1])
