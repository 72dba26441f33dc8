# The drift of meters: a fixed rate, and the curve of the loss.
library(keras3)

set.seed(373)
n <- 280
meters <- data.frame(age = runif(n, 0, 20), heat = rnorm(n, 18, 6), shocks = rpois(n, 3))
meters$drift <- with(meters, 0.15 * age + 0.05 * (heat - 18) + 0.3 * shocks + rnorm(n, sd = 0.2))
x <- scale(as.matrix(meters[, 1:3]))
y <- as.numeric(scale(meters$drift))
train <- 1:210
print(round(cor(x, y)[, 1], 2))

model <- keras_model_sequential(input_shape = 3) |>
  layer_dense(16, activation = "relu", kernel_initializer = initializer_he_normal(seed = 1)) |>
  layer_dense(1, kernel_initializer = initializer_he_normal(seed = 2))
model |> compile(
  optimizer = optimizer_adam(learning_rate = 2),
  loss = "mse"
)
history <- model |> fit(
  x[train, ], y[train], epochs = 10, batch_size = 30, shuffle = FALSE, verbose = 0,
  validation_data = list(x[-train, ], y[-train])
)
cat("training loss:\n")
print(signif(history$metrics$loss, 3))
cat("validation loss at the end:", signif(tail(history$metrics$val_loss, 1), 3), "\n")

guess <- predict(model, x[-train, ], verbose = 0)[, 1]
cat("different answers:", length(unique(signif(guess, 5))), "of", length(guess), "\n")
cat("spread of the answers:", signif(sd(guess), 3), " of the truth:", signif(sd(y[-train]), 3), "\n")
line <- lm.fit(cbind(1, x[train, ]), y[train])
cat("mse of a straight line:", round(mean((cbind(1, x[-train, ]) %*% line$coefficients - y[-train])^2), 3), "\n")
