#| title: Learning |x| with two relus, or with three
#| expect-verdict: same-bits
#| expect-cause: none
#
# One hidden layer of relu units on one input. Where the units look at the start decides what the
# net can learn: with a kernel of both signs, both sides of zero; otherwise one side only.
library(tensorflow)
library(keras)

x <- matrix(seq(-1000, 1000, length.out = 400))
y <- abs(x)

# The hidden kernel runs evenly from one end to the other.
starts <- list(
  "good" = c(-1, 1),
  "bad-right" = c(0.5, 1),
  "bad-left" = c(-1, -0.5)
)

learn <- function(ends, units) {
  kernel <- matrix(seq(ends[1], ends[2], length.out = units), nrow = 1)
  out <- matrix(0.25, units, 1)
  model <- keras_model_sequential(input_shape = 1) %>%
    layer_dense(units, activation = "relu", weights = list(kernel, array(0, units))) %>%
    layer_dense(1, weights = list(out, array(0, 1)))
  model %>% compile(optimizer = optimizer_adam(learning_rate = 0.02), loss = "mse")
  # The order of the points comes from this seed.
  set_random_seed(5)
  model %>% fit(x, y, epochs = 10, verbose = 0)
  predict(model, x, verbose = 0)
}

par(mfrow = c(1, 2))
for (units in 2:3) {
  plot(x, y, type = "l", lwd = 4, col = "grey80",
       main = paste(units, "units"), xlab = "x", ylab = "prediction")
  for (i in seq_along(starts)) {
    lines(x, learn(starts[[i]], units), col = i + 1)
  }
  legend("top", names(starts), col = seq_along(starts) + 1, lty = 1, bty = "n")
}
