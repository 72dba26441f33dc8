#| title: Keras 3 wants an input with all its axes
#| expect-verdict: same-error
#| expect-cause: keras-version
library(keras3)

model <- keras_model_sequential(input_shape = c(1, 1)) |>
  layer_flatten() |>
  layer_dense(1, kernel_initializer = "ones")
refused <- tryCatch(
  predict(model, c(0, 1, 2, 5), verbose = 0),
  error = function(e) conditionMessage(e)
)
cat(substr(refused, 1, 150), "\n")
