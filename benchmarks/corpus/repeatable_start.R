# The same start twice: a seed, a net, its first predictions, and once more.
library(keras)

sample_data <- function() {
  set.seed(42)
  x <- matrix(rnorm(200), 50)
  list(x = x, y = x[, 1] - x[, 2] + rnorm(50, sd = 0.1))
}

build <- function() {
  set.seed(42)
  model <- keras_model_sequential() %>%
    layer_dense(8, activation = "tanh", input_shape = 4) %>%
    layer_dense(1)
  model %>% compile(optimizer = optimizer_sgd(learning_rate = 0.05), loss = "mse")
  model
}

first_data <- sample_data()
second_data <- sample_data()
cat("same data:", identical(first_data, second_data), "\n")

first <- build()
second <- build()
start <- lapply(list(first, second), function(m) predict(m, first_data$x, verbose = 0))
cat("same first predictions:", identical(start[[1]], start[[2]]), "\n")

kernels <- lapply(list(first, second), function(m) get_weights(m)[[1]])
cat("kernels:", sapply(kernels, function(k) paste(dim(k), collapse = "x")), "\n")
cat("same kernels:", identical(kernels[[1]], kernels[[2]]), "\n")
cat("same biases:", identical(get_weights(first)[[2]], get_weights(second)[[2]]), "\n")

for (m in list(first, second)) {
  set.seed(42)
  m %>% fit(first_data$x, first_data$y, epochs = 5, batch_size = 10, verbose = 0)
}
end <- lapply(list(first, second), function(m) predict(m, first_data$x, verbose = 0))
cat("same predictions after training:", isTRUE(all.equal(end[[1]], end[[2]])), "\n")
set.seed(42)
a <- rnorm(3)
set.seed(42)
b <- rnorm(3)
cat("R's own draws repeat:", identical(a, b), "\n")
