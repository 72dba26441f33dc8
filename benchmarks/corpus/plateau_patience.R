# Early stopping: at least 0.05 of progress in three epochs, or the training ends.
library(keras3)

set.seed(317)
n <- 300
x <- matrix(runif(n * 3, -1, 1), n)
y <- 2 * x[, 1] - x[, 2] + 0.5 * x[, 3] + rnorm(n, sd = 0.2)
train <- 1:220

build <- function() {
  model <- keras_model_sequential(input_shape = 3) |>
    layer_dense(8, activation = "tanh", kernel_initializer = initializer_glorot_uniform(seed = 1)) |>
    layer_dense(1, kernel_initializer = initializer_glorot_uniform(seed = 2))
  model |> compile(optimizer = optimizer_sgd(learning_rate = 0.02), loss = "mse")
  model
}

train_with <- function(callbacks) {
  model <- build()
  history <- model |> fit(
    x[train, ], y[train], epochs = 40, batch_size = 20, shuffle = FALSE, verbose = 0,
    validation_data = list(x[-train, ], y[-train]), callbacks = callbacks
  )
  history$metrics$val_loss
}

stop_early <- callback_early_stopping(monitor = "val_loss", min_delta = 0.05, patience = 3)
free <- train_with(list())
stopped <- train_with(list(stop_early))

cat("epochs without stopping:", length(free), "\n")
cat("epochs with stopping:", length(stopped), "\n")
cat("validation loss every fifth epoch:", round(free[seq(1, 40, by = 5)], 3), "\n")

# where the rule should have ended the training
best <- Inf
waited <- 0
ends <- NA
for (epoch in seq_along(free)) {
  if (free[epoch] < best - 0.05) {
    best <- free[epoch]
    waited <- 0
  } else {
    waited <- waited + 1
    if (waited >= 3) {
      ends <- epoch
      break
    }
  }
}
cat("by the rule it should end after epoch", ends, "\n")
cat("progress in the last ten epochs:", round(free[30] - free[40], 4), "\n")
