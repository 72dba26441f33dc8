# Training from a generator: every batch is made when it is asked for.
library(keras)

tensorflow::set_random_seed(13)
set.seed(13)
steps <- 24

wave <- function(kind) {
  t <- seq(0, 2 * pi, length.out = steps)
  phase <- runif(1, 0, 2 * pi)
  if (kind == 1) sin(2 * t + phase) else sign(sin(2 * t + phase))
}

signal_generator <- function(batch_size) {
  made <- 0
  function() {
    made <<- made + 1
    kinds <- sample(0:1, batch_size, replace = TRUE)
    x <- t(sapply(kinds, wave)) + rnorm(batch_size * steps, sd = 0.1)
    list(array_reshape(x, c(batch_size, steps, 1)), array(kinds))
  }
}

train <- signal_generator(16)
first <- train()
cat("a batch:", dim(first[[1]]), "and", length(first[[2]]), "labels\n")
cat("labels:", first[[2]], "\n")

model <- keras_model_sequential() %>%
  layer_conv_1d(filters = 6, kernel_size = 5, activation = "relu", input_shape = c(steps, 1)) %>%
  layer_max_pooling_1d(pool_size = 2) %>%
  layer_flatten() %>%
  layer_dense(1, activation = "sigmoid")
model %>% compile(optimizer = optimizer_adam(learning_rate = 0.02), loss = "binary_crossentropy",
                  metrics = "accuracy")

history <- model %>% fit(train, steps_per_epoch = 10, epochs = 4, verbose = 0)
cat("epochs:", length(history$metrics$loss), "\n")
cat("loss falls:", all(diff(history$metrics$loss) < 0), "\n")

# a fixed set to judge by
set.seed(14)
kinds <- rep(0:1, 30)
x_test <- array_reshape(t(sapply(kinds, wave)), c(60, steps, 1))
score <- model %>% evaluate(x_test, kinds, verbose = 0)
cat(sprintf("accuracy on clean waves: %.2f\n", score[["accuracy"]]))

p <- predict(model, x_test, verbose = 0)[, 1]
print(round(tapply(p, kinds, median), 1))
print(table(kind = kinds, said = as.integer(p > 0.5)))
