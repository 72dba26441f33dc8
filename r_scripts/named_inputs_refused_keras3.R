#| title: Keras 3 wants the names that a model's inputs were given
#| expect-verdict: different
#| expect-cause: r-semantics
library(keras3)

height <- keras_input(shape = 1, name = "height")
width <- keras_input(shape = 1, name = "width")
out <- layer_concatenate(list(width, height)) |>
  layer_dense(1, use_bias = FALSE, kernel_initializer = "ones")
model <- keras_model(list(width = width, height = height), out)
refused <- tryCatch(
  predict(model, list(matrix(2), matrix(3)), verbose = 0),
  error = function(e) conditionMessage(e)
)
cat(substr(refused, 1, 120), "\n")
