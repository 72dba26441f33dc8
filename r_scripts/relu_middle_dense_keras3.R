#| title: The founding script on Keras 3 fails twice
#| expect-verdict: same-error
#| expect-cause: keras-version
#
# What worked with the package keras stops with keras3, for two reasons that come one after the
# other. Each is caught here, so that both can be seen.
library(tensorflow)
library(keras3)

x <- as_tensor(-5 + 10 * (1:1000) / 1000, dtype = tf$float32)

# First: a layer no longer takes its weights when it is made.
refused <- tryCatch(
  layer_dense(units = 1, activation = "relu", weights = list(matrix(1, 1, 1), as.array(0, dim = 1))),
  error = function(e) conditionMessage(e)
)
cat("weights = :", refused, "\n\n")

# Second: an input of shape (1000) no longer gains the axis that the model asks for.
model <- keras_model_sequential(input_shape = c(1, 1)) |>
  layer_flatten() |>
  layer_dense(1, activation = "relu", kernel_initializer = "ones") |>
  layer_dense(1, kernel_initializer = "ones")
missing_axis <- tryCatch(
  predict(model, x, verbose = 0),
  error = function(e) conditionMessage(e)
)
cat("input of shape (1000):", missing_axis, "\n")
