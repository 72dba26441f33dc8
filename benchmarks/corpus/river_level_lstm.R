# River level: windows made with embed(), an LSTM, and the naive forecast to beat.
library(keras)

set.seed(29)
tensorflow::set_random_seed(29)
hours <- 420
rain <- rbinom(hours, 1, 0.1) * rexp(hours, 0.5)
level <- numeric(hours)
level[1] <- 2
for (h in 2:hours) level[h] <- 0.3 + 0.85 * level[h - 1] + 0.25 * rain[h] + rnorm(1, sd = 0.03)
level <- level + 0.2 * sin(2 * pi * (1:hours) / 24)
print(summary(level))

window <- 12
lagged <- embed(level, window + 1)           # newest value first
y <- lagged[, 1]
past <- lagged[, ncol(lagged):2]             # oldest to newest
n <- nrow(past)
cat("windows:", dim(past), "\n")

cut <- floor(0.8 * n)
m <- mean(past[1:cut, ])
s <- sd(past[1:cut, ])
x <- array_reshape((past - m) / s, c(n, window, 1))
target <- (y - m) / s

model <- keras_model_sequential() %>%
  layer_lstm(units = 10, input_shape = c(window, 1)) %>%
  layer_dense(units = 1)
model %>% compile(loss = "mean_squared_error", optimizer = optimizer_adam(learning_rate = 0.01))

history <- model %>% fit(
  x[1:cut, , , drop = FALSE], target[1:cut],
  epochs = 8, batch_size = 32, shuffle = FALSE, verbose = 0
)
cat("training loss:", round(history$metrics$loss, 4), "\n")

held <- (cut + 1):n
forecast <- predict(model, x[held, , , drop = FALSE], verbose = 0)[, 1] * s + m
naive <- past[held, window]
cat(sprintf("rmse: lstm %.3f, naive %.3f\n",
            sqrt(mean((forecast - y[held])^2)), sqrt(mean((naive - y[held])^2))))

print(head(data.frame(hour = held + window, level = round(y[held], 2),
                      forecast = round(forecast, 2)), 6))

# one step at a time: feed the forecast back
state <- x[n, , , drop = FALSE]
ahead <- numeric(4)
for (k in 1:4) {
  ahead[k] <- predict(model, state, verbose = 0)[1, 1]
  state[1, , 1] <- c(state[1, -1, 1], ahead[k])
}
cat("next four hours:", round(ahead * s + m, 2), "\n")
