#| title: Named inputs are taken in the order of the alphabet
#| expect-verdict: different
#| expect-cause: r-semantics
#
# The model lists width before height; a list without names is read the other way about.
library(keras)

height <- layer_input(shape = 1, name = "height")
width <- layer_input(shape = 1, name = "width")
out <- layer_concatenate(list(width, height)) %>%
  layer_dense(1, use_bias = FALSE, weights = list(matrix(c(1, 1000))))
model <- keras_model(list(width = width, height = height), out)
print(predict(model, list(matrix(2), matrix(3)), verbose = 0))
