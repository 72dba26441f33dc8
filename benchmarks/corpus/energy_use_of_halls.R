# Yearly energy use of halls from size, workers and hours: a small regression net.
library(keras3)

set.seed(353)
n <- 300
halls <- data.frame(
  square_metres = round(runif(n, 800, 24000)),
  workers = rpois(n, 60),
  hours = round(runif(n, 1500, 6500))
)
halls$kwh <- with(halls, 35 * square_metres + 900 * workers + 22 * hours + rnorm(n, sd = 20000))
print(round(sapply(halls, mean)))

x <- as.matrix(halls[, c("square_metres", "workers", "hours")])
y <- halls$kwh / 1e5
train <- 1:240
cat("inputs range from", min(x), "to", max(x), "\n")

model <- keras_model_sequential(input_shape = 3) |>
  layer_dense(16, activation = "relu", kernel_initializer = initializer_glorot_uniform(seed = 1)) |>
  layer_dense(8, activation = "relu", kernel_initializer = initializer_glorot_uniform(seed = 2)) |>
  layer_dense(1, kernel_initializer = initializer_glorot_uniform(seed = 3))
model |> compile(optimizer = optimizer_sgd(learning_rate = 0.01), loss = "mse", metrics = "mae")

history <- model |> fit(x[train, ], y[train], epochs = 10, batch_size = 24, shuffle = FALSE, verbose = 0)
cat("loss by epoch:\n")
print(signif(history$metrics$loss, 3))

guess <- predict(model, x[-train, ], verbose = 0)[, 1]
cat("missing answers:", sum(is.na(guess)), "of", length(guess), "\n")
cat("different answers:", length(unique(signif(guess, 5))), "\n")
print(data.frame(truth = round(y[-train][1:5], 1), guess = round(guess[1:5], 1)))
straight <- lm(kwh ~ ., data = halls[train, ])
cat("R squared of lm:", round(summary(straight)$r.squared, 2), "\n")
