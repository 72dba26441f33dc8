# Sequences of different lengths from pumps: an LSTM that takes any number of steps.
library(keras)

set.seed(283)
n <- 120
longest <- 15
lens <- sample(6:longest, n, TRUE)
failing <- rbinom(n, 1, 0.4)
runs <- array(0, c(n, longest, 2))
for (i in seq_len(n)) {
  trend <- if (failing[i] == 1) seq(0, 1.5, length.out = lens[i]) else 0
  runs[i, seq_len(lens[i]), 1] <- trend + rnorm(lens[i], sd = 0.3)
  runs[i, seq_len(lens[i]), 2] <- rnorm(lens[i], 1, 0.2)
}
print(table(failing))
cat("runs:", dim(runs), "\n")

model <- keras_model_sequential()
model %>%
  layer_lstm(units = 6, input_shape = c(NULL, 2)) %>%
  layer_dense(units = 1, activation = "sigmoid")
model %>% compile(optimizer = optimizer_adam(learning_rate = 0.02), loss = "binary_crossentropy",
                  metrics = "accuracy")

train <- 1:90
history <- model %>% fit(runs[train, , ], failing[train], epochs = 6, batch_size = 15, verbose = 0)
cat("accuracy:", round(history$metrics$accuracy, 2), "\n")

p <- predict(model, runs[-train, , ], verbose = 0)[, 1]
print(table(failing = failing[-train], said = as.integer(p > 0.5)))
short <- predict(model, runs[1, 1:6, , drop = FALSE], verbose = 0)
cat("a short run:", dim(short), "\n")
