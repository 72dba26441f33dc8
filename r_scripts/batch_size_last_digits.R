#| title: The size of the batch changes the last digits
#| expect-verdict: same-bits, within-rounding
#| expect-cause: rounding
#
# Float32 sums depend on the order of adding, and the order on how many rows are taken at once. R
# itself adds in double precision, and comes to a third result.
library(tensorflow)
library(keras)
set_random_seed(11)

model <- keras_model_sequential(input_shape = 80) %>%
  layer_dense(300, activation = "tanh") %>%
  layer_dense(1)
x <- matrix(sin(seq_len(80 * 40)), nrow = 40)

together <- predict(model, x, batch_size = 40, verbose = 0)
one_by_one <- predict(model, x, batch_size = 1, verbose = 0)
cat("largest gap between batch sizes:", max(abs(together - one_by_one)), "\n")

w <- get_weights(model)
hidden <- tanh(sweep(x %*% w[[1]], 2, w[[2]], "+"))
in_r <- sweep(hidden %*% w[[3]], 2, w[[4]], "+")
cat("largest gap to R's doubles:", max(abs(together - in_r)), "\n")
