# A band for delivery times: three nets with quantile losses, made in a loop.
library(keras3)

set.seed(313)
n <- 320
distance <- runif(n, 0, 10)
minutes <- (8 + 3 * distance + rexp(n, 1 / (2 + distance))) / 10
x <- matrix(distance / 5 - 1, ncol = 1)
train <- 1:240

quantiles <- c(low = 0.1, middle = 0.5, high = 0.9)
losses <- list()
for (name in names(quantiles)) {
  q <- quantiles[[name]]
  losses[[name]] <- function(y_true, y_pred) {
    gap <- y_true - y_pred
    op_mean(op_maximum(q * gap, (q - 1) * gap), axis = -1)
  }
}
cat("losses:", names(losses), "\n")

build <- function(loss) {
  model <- keras_model_sequential(input_shape = 1) |>
    layer_dense(12, activation = "relu", kernel_initializer = initializer_he_normal(seed = 5)) |>
    layer_dense(1, kernel_initializer = initializer_he_normal(seed = 6))
  model |> compile(optimizer = optimizer_adam(0.03), loss = loss)
  model |> fit(x[train, , drop = FALSE], minutes[train], epochs = 12, batch_size = 24,
               shuffle = FALSE, verbose = 0)
  model
}
models <- lapply(losses, build)

band <- sapply(models, function(m) predict(m, x[-train, , drop = FALSE], verbose = 0)[, 1])
cat("answers:", dim(band), "\n")
print(round(head(band, 4), 2))
covered <- colMeans(minutes[-train] <= band)
print(round(covered, 2))
cat("mean width of the band:", round(mean(band[, "high"] - band[, "low"]), 2), "\n")
cat("ordered:", mean(band[, "low"] < band[, "middle"] & band[, "middle"] < band[, "high"]), "\n")
