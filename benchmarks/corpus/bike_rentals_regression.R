# Daily bike rentals: dummy columns from model.matrix(), scaled inputs, a small net against lm().
library(keras)

set.seed(101)
days <- data.frame(
  season = factor(sample(c("spring", "summer", "autumn", "winter"), 360, replace = TRUE),
                  levels = c("spring", "summer", "autumn", "winter")),
  holiday = rbinom(360, 1, 0.08),
  temperature = round(rnorm(360, 14, 8), 1),
  wind = round(rgamma(360, 3, 0.3), 1)
)
bonus <- c(spring = 300, summer = 900, autumn = 450, winter = -200)
days$rentals <- round(2100 + bonus[as.character(days$season)] + 65 * days$temperature -
                        28 * days$wind - 420 * days$holiday + rnorm(360, sd = 160))

str(days)
print(aggregate(rentals ~ season, data = days, FUN = mean))

design <- model.matrix(~ season + holiday + temperature + wind, data = days)[, -1]
train <- sample(nrow(days), 280)

centre <- colMeans(design[train, ])
spread <- apply(design[train, ], 2, sd)
x_train <- scale(design[train, ], center = centre, scale = spread)
x_test  <- scale(design[-train, ], center = centre, scale = spread)

y_mean <- mean(days$rentals[train])
y_sd <- sd(days$rentals[train])
y_train <- (days$rentals[train] - y_mean) / y_sd
y_test <- (days$rentals[-train] - y_mean) / y_sd

model <- keras_model_sequential() %>%
  layer_dense(units = 24, activation = "relu", input_shape = ncol(x_train),
              kernel_initializer = initializer_he_uniform(seed = 5L)) %>%
  layer_dense(units = 12, activation = "relu",
              kernel_initializer = initializer_he_uniform(seed = 6L)) %>%
  layer_dense(units = 1, kernel_initializer = initializer_glorot_uniform(seed = 7L))

model %>% compile(
  optimizer = optimizer_rmsprop(learning_rate = 0.005),
  loss = "mse",
  metrics = "mae"
)
summary(model)

history <- model %>% fit(
  x_train, y_train,
  epochs = 12, batch_size = 20, shuffle = FALSE, verbose = 0,
  validation_data = list(x_test, y_test),
  callbacks = list(callback_early_stopping(monitor = "val_loss", patience = 4))
)
cat("epochs run:", length(history$metrics$loss), "\n")
cat("validation mae by epoch:", round(history$metrics$val_mae, 3), "\n")

net <- as.vector(predict(model, x_test, verbose = 0)) * y_sd + y_mean
line <- lm(rentals ~ season + holiday + temperature + wind, data = days[train, ])
straight <- predict(line, days[-train, ])

rmse <- function(truth, guess) sqrt(mean((truth - guess)^2))
result <- c(net = rmse(days$rentals[-train], net), lm = rmse(days$rentals[-train], straight))
print(round(result, 1))

left <- data.frame(season = days$season[-train], error = days$rentals[-train] - net)
print(aggregate(error ~ season, data = left, FUN = function(e) round(mean(e))))
