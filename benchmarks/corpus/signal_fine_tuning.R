# Fine tuning: a net learned on machine A is adapted to machine B with few rows.
library(keras)

set.seed(269)
tensorflow::set_random_seed(269)
machine <- function(n, shift) {
  x <- matrix(rnorm(n * 4), n)
  list(x = x, y = as.integer(x[, 1] * shift[1] + x[, 2] * shift[2] + rnorm(n, sd = 0.3) > 0))
}
a <- machine(300, c(1, 1))
b <- machine(120, c(-1, 1))
cat("ones: A", round(mean(a$y), 2), " B", round(mean(b$y), 2), "\n")

model <- keras_model_sequential()
model %>%
  layer_dense(12, activation = "relu", input_shape = 4) %>%
  layer_dense(8, activation = "relu") %>%
  layer_dense(1, activation = "sigmoid")
model %>% compile(optimizer_adam(learning_rate = 0.01), "binary_crossentropy", metrics = "accuracy")
model %>% fit(a$x, a$y, epochs = 10, batch_size = 20, verbose = 0)

accuracy <- function(data) unname(round(evaluate(model, data$x, data$y, verbose = 0)["accuracy"], 2))
cat("after learning A: accuracy on A", accuracy(a), " on B", accuracy(b), "\n")

# keep what was learned, adapt the end
freeze_weights(model)
model %>% compile(optimizer_adam(learning_rate = 0.05), "binary_crossentropy", metrics = "accuracy")
history <- model %>% fit(b$x[1:80, ], b$y[1:80], epochs = 12, batch_size = 16, shuffle = FALSE, verbose = 0)

cat("loss on B by epoch:", round(history$metrics$loss, 3), "\n")
cat("after adapting: accuracy on A", accuracy(a), " on B", accuracy(b), "\n")
p <- predict(model, b$x[81:120, ], verbose = 0)[, 1]
print(table(truth = b$y[81:120], said = as.integer(p > 0.5)))
