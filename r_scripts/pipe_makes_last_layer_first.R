#| title: With keras, the last layer of a pipe is made first
#| expect-verdict: different
#| expect-cause: r-semantics
#
# Random weights are drawn when a layer is made, so that the same seed gives other weights.
library(tensorflow)
library(keras)
set_random_seed(3)

model <- keras_model_sequential(input_shape = 2) %>%
  layer_dense(4, activation = "relu") %>%
  layer_dense(1)

print(sapply(model$layers, function(layer) layer$name))
print(predict(model, matrix(c(1, 2), 1), verbose = 0))
