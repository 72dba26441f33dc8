#| title: A relu in a middle dense layer looks linear
#| expect-verdict: within-rounding
#| expect-cause: none
#
# Three small models over a grid of 1,000 points. Every kernel is 1 and every bias 0, so that each
# model should simply draw its activation.
library(tensorflow)
library(keras)

x <- as_tensor(-5 + 10 * (1:1000) / 1000, dtype = tf$float32)
ones <- list(matrix(1, 1, 1), as.array(0, dim = 1))

draw <- function(mm) {
  # A: the activation sits in a dense layer that another dense layer follows.
  model_a <- keras_model_sequential(input_shape = c(1, 1)) %>%
    layer_flatten() %>%
    layer_dense(1, activation = mm, weights = ones) %>%
    layer_dense(1, weights = ones)

  # B: the activation sits in the last dense layer.
  model_b <- keras_model_sequential(input_shape = c(1, 1)) %>%
    layer_flatten() %>%
    layer_dense(1, activation = mm, weights = ones)

  # C: the activation is a layer of its own.
  model_c <- keras_model_sequential(input_shape = c(1, 1)) %>%
    layer_flatten() %>%
    layer_activation(mm) %>%
    layer_dense(1, weights = ones)

  grid <- as.array(x)
  plot(grid, predict(model_a, x, verbose = 0), type = "l", lwd = 2,
       main = mm, xlab = "x", ylab = "prediction")
  lines(grid, predict(model_b, x, verbose = 0), col = "red", lty = 2)
  lines(grid, predict(model_c, x, verbose = 0), col = "blue", lty = 3)
}

for (mm in c("relu", "gelu", "sigmoid", "tanh", "elu", "selu", "softplus", "leaky_relu")) {
  draw(mm)
}
