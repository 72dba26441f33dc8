# Two kinds of clouds in small grey pictures: convolution, batch normalisation, global pooling.
library(keras3)

set.seed(31)
set_random_seed(31)
size <- 16
cloud <- function(layered) {
  y <- matrix(seq_len(size), size, size)
  x <- t(y)
  base <- if (layered) sin(y * runif(1, 0.9, 1.2)) else
    cos(x * runif(1, 0.5, 0.7)) * cos(y * runif(1, 0.5, 0.7))
  pmin(pmax(0.5 + 0.4 * base + rnorm(size^2, sd = 0.08), 0), 1)
}
labels <- rep(0:1, length.out = 160)
images <- array(0, dim = c(160, size, size, 1))
for (i in seq_along(labels)) images[i, , , ] <- cloud(labels[i] == 1)
cat("range:", range(images) |> round(2), " shape:", dim(images), "\n")

mix <- sample(160)
images <- images[mix, , , , drop = FALSE]
labels <- labels[mix]

model <- keras_model_sequential(input_shape = c(size, size, 1)) |>
  layer_conv_2d(8, c(3, 3), padding = "same", use_bias = FALSE) |>
  layer_batch_normalization() |>
  layer_activation("relu") |>
  layer_max_pooling_2d(c(2, 2)) |>
  layer_conv_2d(8, c(3, 3), activation = "relu") |>
  layer_global_average_pooling_2d() |>
  layer_dense(1, activation = "sigmoid")

model |> compile(optimizer = optimizer_adam(learning_rate = 0.01), loss = "binary_crossentropy",
                 metrics = metric_binary_accuracy(name = "acc"))
cat("trainable:", length(model$trainable_weights), "frozen:", length(model$non_trainable_weights), "\n")

history <- model |> fit(images[1:120, , , , drop = FALSE], labels[1:120], epochs = 10,
                        batch_size = 20, verbose = 0)
cat("loss fell:", history$metrics$loss[10] < history$metrics$loss[1], "\n")

moving <- model$layers[[2]]$moving_mean
cat("moving means:", dim(moving), "\n")

p <- predict(model, images[121:160, , , , drop = FALSE], verbose = 0)
cat("predictions:", dim(p), " all between 0 and 1:", all(p >= 0 & p <= 1), "\n")
shapes <- sapply(model$layers, function(l) l$name)
print(gsub("_[0-9]+$", "", shapes))
single <- predict(model, images[121, , , , drop = FALSE], verbose = 0)
cat("one picture alone gives the same:", abs(single[1, 1] - p[1, 1]) < 1e-5, "\n")
