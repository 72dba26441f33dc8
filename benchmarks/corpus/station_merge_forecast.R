# Pollution at stations: measurements joined with a table of stations, then a dense net.
library(keras3)

set.seed(301)
set_random_seed(301)
stations <- data.frame(
  id = paste0("S", 1:40),
  traffic = round(runif(40, 0, 10), 1),
  green = round(runif(40, 0, 1), 2)
)
n <- 300
measured <- data.frame(id = sample(stations$id, n, TRUE), wind = rexp(n, 0.5))
at <- match(measured$id, stations$id)
measured$dust <- 10 + 2.5 * stations$traffic[at] - 8 * stations$green[at] - 0.8 * measured$wind + rnorm(n)
print(head(measured, 3))

joined <- merge(measured[, c("id", "wind")], stations, by = "id")
cat("rows:", nrow(measured), "and joined:", nrow(joined), "\n")

x <- scale(as.matrix(joined[, c("wind", "traffic", "green")]))
y <- as.numeric(scale(measured$dust))
mix <- sample(n)
train <- mix[1:240]
test <- mix[241:300]

model <- keras_model_sequential(input_shape = 3) |>
  layer_dense(16, activation = "relu") |>
  layer_dense(1)
model |> compile(optimizer = optimizer_adam(0.01), loss = "mse")
history <- model |> fit(x[train, ], y[train], epochs = 15, batch_size = 20, verbose = 0,
                        validation_data = list(x[test, ], y[test]))
cat("training loss:", round(history$metrics$loss[c(1, 5, 10, 15)], 2), "\n")
cat("validation loss:", round(history$metrics$val_loss[c(1, 5, 10, 15)], 2), "\n")

guess <- predict(model, x[test, ], verbose = 0)[, 1]
cat("R squared on the test rows:", round(1 - mean((guess - y[test])^2) / var(y[test]), 1), "\n")
cat("correlation of traffic with dust:", round(cor(joined$traffic, measured$dust), 2), "\n")
