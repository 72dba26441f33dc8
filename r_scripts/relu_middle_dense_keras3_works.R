#| title: The founding script in the form that works on Keras 3
#| expect-verdict: within-rounding
#| expect-cause: none
#
# Weights are set after the layers are built, and the input has the shape that the model asks for.
library(tensorflow)
library(keras3)

grid <- -5 + 10 * (1:1000) / 1000
x <- array(grid, dim = c(1000, 1, 1))

# All weights at once: kernels of 1, biases of 0.
with_ones <- function(model) {
  ones <- lapply(get_weights(model), function(w) if (length(dim(w)) == 2) w * 0 + 1 else w * 0)
  set_weights(model, ones)
  model
}

draw <- function(mm) {
  model_a <- keras_model_sequential(input_shape = c(1, 1)) |>
    layer_flatten() |>
    layer_dense(1, activation = mm) |>
    layer_dense(1) |>
    with_ones()

  model_b <- keras_model_sequential(input_shape = c(1, 1)) |>
    layer_flatten() |>
    layer_dense(1, activation = mm) |>
    with_ones()

  model_c <- keras_model_sequential(input_shape = c(1, 1)) |>
    layer_flatten() |>
    layer_activation(mm) |>
    layer_dense(1) |>
    with_ones()

  plot(grid, predict(model_a, x, verbose = 0), type = "l", lwd = 2,
       main = mm, xlab = "x", ylab = "prediction")
  lines(grid, predict(model_b, x, verbose = 0), col = "red", lty = 2)
  lines(grid, predict(model_c, x, verbose = 0), col = "blue", lty = 3)
}

for (mm in c("relu", "gelu", "sigmoid")) draw(mm)
