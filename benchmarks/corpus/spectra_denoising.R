# Noisy spectra made clean by a one-dimensional convolutional autoencoder.
library(keras3)

set.seed(73)
set_random_seed(73)
points <- 32
n <- 240
grid <- seq_len(points)
peak <- function(at, width, height) height * exp(-(grid - at)^2 / (2 * width^2))
clean <- t(replicate(n, peak(runif(1, 6, 14), 2, runif(1, 0.5, 1)) +
                       peak(runif(1, 18, 27), 3, runif(1, 0.3, 0.8))))
noisy <- clean + matrix(rnorm(n * points, sd = 0.15), n)
cat("spectra:", dim(clean), "\n")

as_input <- function(m) array_reshape(m, c(nrow(m), points, 1))
x <- as_input(noisy)
y <- as_input(clean)
stopifnot(all(x[3, , 1] == noisy[3, ]))

inputs <- keras_input(c(points, 1))
encoded <- inputs |>
  layer_conv_1d(8, 5, activation = "relu", padding = "same") |>
  layer_max_pooling_1d(2) |>
  layer_conv_1d(4, 5, activation = "relu", padding = "same")
decoded <- encoded |>
  layer_upsampling_1d(2) |>
  layer_conv_1d(8, 5, activation = "relu", padding = "same") |>
  layer_conv_1d(1, 5, padding = "same")
model <- keras_model(inputs, decoded)
model |> compile(optimizer = "adam", loss = "mse")
cat("output shape:", unlist(model$output_shape), "\n")

history <- model |> fit(x[1:200, , , drop = FALSE], y[1:200, , , drop = FALSE], epochs = 15,
                        batch_size = 20, verbose = 0)
cat("loss fell:", history$metrics$loss[15] < 0.5 * history$metrics$loss[1], "\n")

rebuilt <- predict(model, x[201:n, , , drop = FALSE], verbose = 0)[, , 1]
mse <- function(a, b) mean((a - b)^2)
before <- mse(noisy[201:n, ], clean[201:n, ])
after <- mse(rebuilt, clean[201:n, ])
cat(sprintf("error: noisy %.3f, rebuilt is smaller: %s\n", before, after < before))

strongest <- apply(rebuilt, 1, which.max)
true_top <- apply(clean[201:n, ], 1, which.max)
cat("the highest peak is at most 2 points away in", round(mean(abs(strongest - true_top) <= 2), 1),
    "of the spectra\n")
print(quantile(abs(strongest - true_top), c(0.25, 0.5)))
