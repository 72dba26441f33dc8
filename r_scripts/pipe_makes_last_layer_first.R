#| title: With keras, the last layer of a pipe is made first, and named first
#| expect-verdict: within-rounding
#| expect-verdict[onednn]: same-bits
#| expect-cause: none
#
# Keras 2 draws random weights when a layer is built, in the order of the model: the seed gives the
# same weights. Only the names tell that the last layer was made first.
library(tensorflow)
library(keras)
set_random_seed(3)

model <- keras_model_sequential(input_shape = 2) %>%
  layer_dense(4, activation = "relu") %>%
  layer_dense(1)

print(sapply(model$layers, function(layer) layer$name))
print(predict(model, matrix(c(1, 2), 1), verbose = 0))
