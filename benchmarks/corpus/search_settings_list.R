# A list of settings for each experiment, a training for each, and a table of results.
library(keras3)

set.seed(311)
n <- 240
x <- matrix(rnorm(n * 4), n)
y <- x[, 1] - 0.5 * x[, 2] * x[, 3] + rnorm(n, sd = 0.1)
train <- 1:180

defaults <- list(width = 12, rate = 0.02, epochs = 10)
experiments <- list(
  base = list(),
  wide = list(width = 48),
  slow = list(rate = 0.002),
  decayed = list(rate_decay = 0.5)
)

setting <- function(experiment, name) {
  value <- switch(name,
    width = experiment$width,
    rate = experiment$rate,
    epochs = experiment$epochs
  )
  if (is.null(value)) defaults[[name]] else value
}

run <- function(experiment) {
  rate <- setting(experiment, "rate")
  decay <- experiment$rate_decay
  if (!is.null(decay)) {
    rate <- learning_rate_schedule_exponential_decay(rate, decay_steps = 60, decay_rate = decay)
  }
  model <- keras_model_sequential(input_shape = 4) |>
    layer_dense(setting(experiment, "width"), activation = "relu",
                kernel_initializer = initializer_he_normal(seed = 1)) |>
    layer_dense(1, kernel_initializer = initializer_he_normal(seed = 2))
  model |> compile(optimizer = optimizer_adam(learning_rate = rate), loss = "mse")
  history <- model |> fit(x[train, ], y[train], epochs = setting(experiment, "epochs"),
                          batch_size = 18, shuffle = FALSE, verbose = 0,
                          validation_data = list(x[-train, ], y[-train]))
  c(first = history$metrics$loss[1], last = tail(history$metrics$loss, 1),
    val = tail(history$metrics$val_loss, 1))
}

cat("starting rates:", sapply(experiments, setting, "rate"), "\n")
results <- t(sapply(experiments, run))
print(round(results, 2))
best <- rownames(results)[which.min(results[, "val"])]
cat("best:", best, "\n")
cat("decay helps:", results["decayed", "val"] < results["base", "val"], "\n")
cat("first epoch alike in base and decayed (the decay has hardly begun):",
    abs(results["base", "first"] - results["decayed", "first"]) < 0.2, "\n")
