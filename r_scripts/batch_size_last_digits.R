#| title: The size of the batch changes the last digits
#| expect-verdict: within-rounding
#| expect-cause: rounding
#
# Float32 sums depend on the order of adding, and the order on how many rows are taken at once. R
# itself adds in double precision, and comes to a third result.
library(keras)

spread <- function(rows, columns) matrix(sin(seq_len(rows * columns)) / 9, nrow = rows)
model <- keras_model_sequential(input_shape = 80) %>%
  layer_dense(300, activation = "tanh", weights = list(spread(80, 300), array(0, 300))) %>%
  layer_dense(1, weights = list(spread(300, 1), array(0, 1)))
x <- matrix(cos(seq_len(80 * 40)), nrow = 40)

together <- predict(model, x, batch_size = 40, verbose = 0)
one_by_one <- predict(model, x, batch_size = 1, verbose = 0)
cat("largest gap between batch sizes:", max(abs(together - one_by_one)), "\n")

hidden <- tanh(x %*% spread(80, 300))
cat("largest gap to R's doubles:", max(abs(together - hidden %*% spread(300, 1))), "\n")
