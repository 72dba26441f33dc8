# Soil moisture in tenths: an LSTM on two weeks of weather.
library(keras)

set.seed(257)
tensorflow::set_random_seed(257)
days <- 330
rain <- rbinom(days, 1, 0.3) * rgamma(days, 2, 0.3)
heat <- 14 + 9 * sin(2 * pi * (1:days) / 365) + rnorm(days)
moisture <- numeric(days)
moisture[1] <- 30
for (d in 2:days) {
  moisture[d] <- 4 + 0.88 * moisture[d - 1] + 0.5 * rain[d] - 0.06 * heat[d] + rnorm(1, sd = 0.4)
}
moisture <- moisture / 10
cat("moisture:", round(range(moisture), 1), "\n")

steps <- 14
weather <- cbind(rain / 10, (heat - 14) / 8)
starts <- seq_len(days - steps)
x <- array(0, dim = c(length(starts), steps, 2))
for (s in starts) x[s, , ] <- weather[s:(s + steps - 1), ]
y <- moisture[starts + steps]
train <- starts <= 250
cat("windows:", dim(x), " targets:", length(y), "\n")

model <- keras_model_sequential()
model %>%
  layer_lstm(units = 8, input_shape = c(steps, 2)) %>%
  layer_dense(units = 1, activation = "sigmoid")
model %>% compile(optimizer = optimizer_adam(learning_rate = 0.02), loss = "mse", metrics = "mae")

history <- model %>% fit(x[train, , ], y[train], epochs = 12, batch_size = 25, verbose = 0)
cat("mse by epoch:", round(history$metrics$loss[c(1, 4, 8, 12)], 2), "\n")

guess <- predict(model, x[!train, , ], verbose = 0)[, 1]
print(head(data.frame(moisture = round(y[!train], 2), guess = round(guess, 2)), 5))
cat(sprintf("mae: net %.2f, mean of the training days %.2f\n",
            mean(abs(guess - y[!train])), mean(abs(mean(y[train]) - y[!train]))))
