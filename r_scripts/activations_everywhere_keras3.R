#| title: The input told once more to an inner layer, on Keras 3
#| expect-verdict: within-rounding
#| expect-cause: none
#
# On Keras 3 too an inner layer ignores what it is told of its input, the right number and a wrong
# one; every layer that is told says so with a warning.
library(keras3)

x <- rbind(c(5, 1, 2), c(3, 9, 8), c(1, 2, 3), c(9, 9, 9))

kernel <- function(rows, columns, first) {
  matrix(((first + 5 * seq_len(rows * columns)) %% 13 - 6) / 8, rows, columns)
}
bias <- function(n, first) as.array(((first + 3 * seq_len(n)) %% 7 - 3) / 8)
weights <- list(kernel(3, 6, 1), bias(6, 1), kernel(6, 6, 2), bias(6, 2), kernel(6, 3, 3), bias(3, 3))

for (told in list(NULL, 3, 4)) {
  second <- if (is.null(told)) {
    layer_dense(units = 6, activation = "relu")
  } else {
    layer_dense(units = 6, activation = "relu", input_shape = told)
  }
  model <- keras_model_sequential(input_shape = 3)
  model$add(layer_dense(units = 6, activation = "relu"))
  model$add(second)
  model$add(layer_dense(units = 3, activation = "softmax"))
  set_weights(model, weights)
  cat("told", if (is.null(told)) "nothing" else told, ":", count_params(model), "parameters\n")
  print(predict(model, x, verbose = 0))
}
