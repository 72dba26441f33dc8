# One encoder, two tasks: the kind of a shell, and its weight.
library(keras)

set.seed(229)
tensorflow::set_random_seed(229)
n <- 240
kind <- sample(0:2, n, TRUE)
shells <- cbind(rnorm(n, c(3, 4, 6)[kind + 1], 0.5), rnorm(n, c(2, 4, 3)[kind + 1], 0.5), rnorm(n))
weight <- 0.3 * shells[, 1] * shells[, 2] + rnorm(n, sd = 0.2)
x <- scale(shells)
print(table(kind))

encoder <- keras_model_sequential(name = "encoder")
encoder %>%
  layer_dense(12, activation = "relu", input_shape = 3) %>%
  layer_dense(6, activation = "relu")
cat("layers of the encoder:", length(encoder$layers), "\n")

classifier <- encoder %>% layer_dense(3, activation = "softmax")
classifier %>% compile("adam", "sparse_categorical_crossentropy", metrics = "accuracy")
classifier %>% fit(x, kind, epochs = 10, batch_size = 16, verbose = 0)
p <- predict(classifier, x, verbose = 0)
cat("answers of the classifier:", dim(p), "\n")
cat("row sums:", range(round(rowSums(p), 3)), "\n")

regressor <- encoder %>% layer_dense(1)
regressor %>% compile(optimizer_adam(learning_rate = 0.01), "mse")
history <- regressor %>% fit(x, weight, epochs = 10, batch_size = 16, verbose = 0)
cat("loss of the regressor:", round(history$metrics$loss[c(1, 10)], 2), "\n")

# back to the first task
p <- predict(classifier, x, verbose = 0)
cat("answers of the classifier:", dim(p), "\n")
print(round(head(p, 3), 1))
cat("layers of the encoder:", length(encoder$layers), "\n")
cat("layers of the classifier:", length(classifier$layers), "\n")
