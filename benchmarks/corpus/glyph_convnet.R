# Small drawings of three glyphs, made in R, told apart by a convolutional net.
library(keras)

set.seed(23)
tensorflow::set_random_seed(23)
side <- 12

draw <- function(kind) {
  picture <- matrix(0, side, side)
  at <- sample(3:(side - 2), 1)
  if (kind == 0) {
    picture[at, 2:(side - 1)] <- 1
  } else if (kind == 1) {
    picture[2:(side - 1), at] <- 1
  } else {
    diag(picture) <- 1
    picture <- picture[, c(at:side, seq_len(at - 1))]
  }
  picture + matrix(rnorm(side^2, sd = 0.15), side)
}

make_set <- function(n) {
  kinds <- sample(0:2, n, replace = TRUE)
  pictures <- array(0, dim = c(n, side, side, 1))
  for (i in seq_len(n)) pictures[i, , , 1] <- draw(kinds[i])
  list(x = pictures, y = kinds)
}
train <- make_set(240)
test <- make_set(60)
cat("pictures:", dim(train$x), "\n")
print(table(train$y))

model <- keras_model_sequential() %>%
  layer_conv_2d(filters = 8, kernel_size = c(3, 3), activation = "relu",
                input_shape = c(side, side, 1)) %>%
  layer_max_pooling_2d(pool_size = c(2, 2)) %>%
  layer_conv_2d(filters = 12, kernel_size = c(3, 3), activation = "relu") %>%
  layer_flatten() %>%
  layer_dense(units = 3, activation = "softmax")

model %>% compile(
  optimizer = "adam",
  loss = "sparse_categorical_crossentropy",
  metrics = "accuracy"
)
cat("parameters:", count_params(model), "\n")

history <- model %>% fit(train$x, train$y, epochs = 8, batch_size = 24, verbose = 0)
cat("accuracy by epoch:", round(history$metrics$accuracy, 2), "\n")

score <- model %>% evaluate(test$x, test$y, verbose = 0)
cat(sprintf("test accuracy: %.2f\n", score["accuracy"]))

guess <- max.col(predict(model, test$x, verbose = 0)) - 1
print(table(truth = test$y, guess = guess))

# what the first layer's filters look like on average
filters <- get_weights(model)[[1]]
cat("kernel shape:", dim(filters), "\n")
print(round(apply(filters, 4, mean), 3))
