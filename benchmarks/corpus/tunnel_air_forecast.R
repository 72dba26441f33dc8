# Air quality in a tunnel: scaled inputs in training, a forecast for tomorrow's traffic.
library(keras3)

set.seed(379)
set_random_seed(379)
n <- 320
tunnel <- data.frame(
  cars = round(rnorm(n, 1400, 350)), trucks = round(rnorm(n, 180, 60)), fans = sample(1:8, n, TRUE)
)
tunnel$co <- with(tunnel, 2 + 0.004 * cars + 0.02 * trucks - 0.6 * fans + rnorm(n, sd = 0.4))
features <- c("cars", "trucks", "fans")
print(round(sapply(tunnel[features], function(v) c(mean = mean(v), sd = sd(v))), 1))

today <- tunnel[1:260, ]
tomorrow <- tunnel[261:320, ]

x <- scale(as.matrix(today[features]))
y <- today$co
model <- keras_model_sequential(input_shape = 3) |>
  layer_dense(16, activation = "relu") |>
  layer_dense(1)
model |> compile(optimizer = optimizer_adam(0.03), loss = "mse", metrics = "mae")
history <- model |> fit(x, y, epochs = 20, batch_size = 20, validation_split = 0.2, verbose = 0)
cat(sprintf("mae in training %.1f, in validation %.1f\n",
            tail(history$metrics$mae, 1), tail(history$metrics$val_mae, 1)))

x_tomorrow <- as.matrix(tomorrow[features])
guess <- predict(model, x_tomorrow, verbose = 0)[, 1]
print(data.frame(co = round(tomorrow$co[1:4], 1), guess = round(guess[1:4])))
cat(sprintf("mae for tomorrow: %.0f\n", mean(abs(guess - tomorrow$co))))
cat("limit of 10 passed in", sum(guess > 10), "of", length(guess), "hours; measured:",
    sum(tomorrow$co > 10), "\n")
