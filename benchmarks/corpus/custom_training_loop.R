# A training loop of one's own for a keras3 model: batches from a shuffled index, a gradient tape.
library(keras3)
library(tensorflow, exclude = c("set_random_seed", "shape"))

set.seed(113)
set_random_seed(113)
n <- 256
x <- matrix(runif(n * 2, -2, 2), n)
y <- matrix(sin(x[, 1]) + 0.5 * x[, 2], ncol = 1)

model <- keras_model_sequential(input_shape = 2) |>
  layer_dense(20, activation = "tanh") |>
  layer_dense(1)
optimizer <- optimizer_adam(learning_rate = 0.02)
loss_fn <- loss_mean_squared_error()
train_metric <- metric_mean(name = "train_loss")

train_step <- function(xb, yb) {
  with(tf$GradientTape() %as% tape, {
    predicted <- model(xb, training = TRUE)
    loss <- loss_fn(yb, predicted)
  })
  gradients <- tape$gradient(loss, model$trainable_weights)
  optimizer$apply(gradients, model$trainable_weights)
  loss
}

batch_size <- 32
epochs <- 6
record <- numeric(epochs)
for (epoch in seq_len(epochs)) {
  index <- sample(n)
  train_metric$reset_state()
  for (start in seq(1, n, by = batch_size)) {
    rows <- index[start:(start + batch_size - 1)]
    loss <- train_step(tf$constant(x[rows, ], dtype = "float32"),
                       tf$constant(y[rows, , drop = FALSE], dtype = "float32"))
    train_metric$update_state(loss)
  }
  record[epoch] <- as.numeric(train_metric$result())
  cat(sprintf("epoch %d: loss %.3f\n", epoch, record[epoch]))
}
cat("falls:", record[epochs] < record[1] / 3, "\n")
cat("optimiser steps:", as.integer(optimizer$iterations), "\n")

fresh <- matrix(runif(40, -2, 2), 20)
truth <- sin(fresh[, 1]) + 0.5 * fresh[, 2]
guess <- predict(model, fresh, verbose = 0)[, 1]
cat("rmse on fresh points below 0.5:", sqrt(mean((guess - truth)^2)) < 0.5, "\n")
print(round(cor(guess, truth), 1))
