# Printed tiles, read as one long stream of grey values, picture after picture, row by row.
library(keras)

set.seed(201)
tensorflow::set_random_seed(201)
side <- 10
n <- 240
kind <- sample(0:1, n, replace = TRUE)

# the file: each picture's rows one after the other, then the next picture
stream <- unlist(lapply(kind, function(k) {
  frame <- matrix(0, side, side)
  at <- sample(2:(side - 1), 1)
  if (k == 1) frame[at, ] <- 1 else frame[, at] <- 1
  frame <- frame + rnorm(side^2, sd = 0.1)
  as.vector(t(frame))
}))
cat("values in the stream:", length(stream), "\n")

images <- array(stream, dim = c(n, side, side, 1))
cat("pictures:", dim(images), "\n")
cat("sum of the first picture:", round(sum(images[1, , , ]), 1), "\n")

train <- 1:180
model <- keras_model_sequential()
model %>%
  layer_conv_2d(filters = 6, kernel_size = c(3, 3), activation = "relu",
                input_shape = c(side, side, 1)) %>%
  layer_max_pooling_2d(pool_size = c(2, 2)) %>%
  layer_flatten() %>%
  layer_dense(units = 1, activation = "sigmoid")

model %>% compile(
  optimizer = optimizer_adam(learning_rate = 0.01),
  loss = "binary_crossentropy",
  metrics = "accuracy"
)

history <- model %>% fit(
  images[train, , , , drop = FALSE], kind[train],
  epochs = 8, batch_size = 20, verbose = 0
)
cat("training accuracy:", round(history$metrics$accuracy, 2), "\n")

score <- model %>% evaluate(images[-train, , , , drop = FALSE], kind[-train], verbose = 0)
cat(sprintf("test accuracy: %.2f (guessing gives %.2f)\n", score["accuracy"],
            max(table(kind[-train])) / length(kind[-train])))
said <- as.integer(predict(model, images[-train, , , , drop = FALSE], verbose = 0) > 0.5)
print(table(kind = kind[-train], said = said))
