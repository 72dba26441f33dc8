#| title: An activation in every layer, or only in the last?
#| expect-verdict: same-bits
#| expect-cause: none
#
# Four rows of three features. Weights and biases are eighths, so that sums of products are exact
# and every order of adding gives the same number.
library(tensorflow)
library(keras)

x <- rbind(c(5, 1, 2), c(3, 9, 8), c(1, 2, 3), c(9, 9, 9))

kernel <- function(rows, columns, first) {
  matrix(((first + 5 * seq_len(rows * columns)) %% 13 - 6) / 8, rows, columns)
}
bias <- function(n, first) ((first + 3 * seq_len(n)) %% 7 - 3) / 8

# Keras wants a bias as an array of one dimension.
parts <- function(w, b) list(w, as.array(b))

w1 <- kernel(3, 6, 1)
w2 <- kernel(6, 6, 2)
w3 <- kernel(6, 3, 3)
b1 <- bias(6, 1)
b2 <- bias(6, 2)
b3 <- bias(3, 3)

# As it was drawn: the second layer is told its input once more.
told_twice <- keras_model_sequential() %>%
  layer_dense(6, activation = "relu", input_shape = 3, weights = parts(w1, b1)) %>%
  layer_dense(6, activation = "relu", input_shape = 3, weights = parts(w2, b2)) %>%
  layer_dense(3, activation = "softmax", weights = parts(w3, b3))
cat("parameters, input_shape twice:", count_params(told_twice), "\n")
print(predict(told_twice, x, verbose = 0))

told_once <- keras_model_sequential() %>%
  layer_dense(6, activation = "relu", input_shape = 3, weights = parts(w1, b1)) %>%
  layer_dense(6, activation = "relu", weights = parts(w2, b2)) %>%
  layer_dense(3, activation = "softmax", weights = parts(w3, b3))
cat("parameters, input_shape once:", count_params(told_once), "\n")
print(predict(told_once, x, verbose = 0))

# Without activations three layers are one: softmax(x W + b).
three_layers <- keras_model_sequential() %>%
  layer_dense(6, input_shape = 3, weights = parts(w1, b1)) %>%
  layer_dense(6, weights = parts(w2, b2)) %>%
  layer_dense(3, activation = "softmax", weights = parts(w3, b3))
print(predict(three_layers, x, verbose = 0))

w <- w1 %*% w2 %*% w3
b <- drop((b1 %*% w2 + b2) %*% w3 + b3)
cat("W and b of the one layer:\n")
print(w)
print(b)
one_layer <- keras_model_sequential() %>%
  layer_dense(3, activation = "softmax", input_shape = 3, weights = parts(w, b))
print(predict(one_layer, x, verbose = 0))

# The network that was drawn: one linear node on three inputs, written in two ways.
line <- parts(kernel(3, 1, 4), bias(1, 4))
sequential <- keras_model_sequential() %>%
  layer_dense(1, activation = "linear", input_shape = 3, weights = line)
print(predict(sequential, x, verbose = 0))

input <- layer_input(shape = 3)
output <- input %>% layer_dense(1, activation = "linear", weights = line)
functional <- keras_model(input, output)
print(predict(functional, x, verbose = 0))

# One linear node that is trained is linear regression: the width of a petal from the rest.
measures <- as.matrix(iris[, 1:4])
around_zero <- sweep(sweep(measures, 2, c(6, 3, 4, 1)), 2, c(1, 0.5, 2, 1), "/")
regression <- keras_model_sequential() %>%
  layer_dense(1, input_shape = 3, weights = parts(matrix(0, 3, 1), 0))
regression %>% compile(optimizer = optimizer_sgd(learning_rate = 0.1, momentum = 0.9), loss = "mse")
history <- regression %>% fit(
  around_zero[, 1:3], measures[, 4],
  epochs = 200, batch_size = 150, shuffle = FALSE, verbose = 0
)
plot(history$metrics$loss, type = "l", log = "y", xlab = "epoch", ylab = "mean squared error",
     main = "One linear node, and least squares")
squares <- lm(measures[, 4] ~ around_zero[, 1:3])
abline(h = mean(residuals(squares)^2), lty = 2)
cat("trained:      ", unlist(get_weights(regression)), "\n")
cat("least squares:", coef(squares)[c(2:4, 1)], "\n")

# Iris in three classes: an activation in every layer, batches in random order.
set_random_seed(1)
species <- to_categorical(as.integer(iris$Species) - 1, 3)
classifier <- keras_model_sequential() %>%
  layer_dense(6, activation = "relu", input_shape = 4, weights = parts(kernel(4, 6, 5), b1)) %>%
  layer_dense(6, activation = "relu", weights = parts(w2, b2)) %>%
  layer_dense(3, activation = "softmax", weights = parts(w3, b3))
classifier %>% compile(
  optimizer = optimizer_adam(learning_rate = 0.01),
  loss = "categorical_crossentropy", metrics = "accuracy"
)
history <- classifier %>% fit(measures, species, epochs = 20, batch_size = 16, verbose = 0)
cat("accuracy after 20 epochs:", tail(history$metrics$accuracy, 1), "\n")
