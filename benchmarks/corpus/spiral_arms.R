# Two spirals: can a small net tell them apart?
library(keras3)

set.seed(367)
n <- 200
turn <- runif(n, 0.3, 2.2)
arm <- rep(0:1, length.out = n)
angle <- turn * pi + arm * pi
x <- cbind(turn * cos(angle), turn * sin(angle)) + rnorm(2 * n, sd = 0.05)
x <- x / 2
cat("points:", dim(x), " of the first arm:", sum(arm == 0), "\n")
print(round(apply(x, 2, range), 2))

model <- keras_model_sequential(input_shape = 2) |>
  layer_dense(32, activation = "relu", kernel_initializer = initializer_he_normal(seed = 1)) |>
  layer_dense(32, activation = "relu", kernel_initializer = initializer_he_normal(seed = 2)) |>
  layer_dense(1, activation = "sigmoid", kernel_initializer = initializer_glorot_uniform(seed = 3))
model |> compile(optimizer = optimizer_adam(learning_rate = 0.01), loss = "binary_crossentropy",
                 metrics = "accuracy")
cat("parameters:", count_params(model), "\n")

history <- model |> fit(x, arm, epochs = 2, batch_size = 200, shuffle = FALSE, verbose = 0)
cat("loss:", round(history$metrics$loss, 3), "\n")
cat("accuracy:", round(history$metrics$accuracy, 2), "\n")

p <- predict(model, x, verbose = 0)[, 1]
print(table(arm = arm, said = as.integer(p > 0.5)))
cat("range of the predictions:", round(range(p), 2), "\n")

# a map of the plane
grid <- expand.grid(first = seq(-1, 1, 0.5), second = seq(-1, 1, 0.5))
field <- matrix(predict(model, as.matrix(grid), verbose = 0), 5)
print(round(field, 1))
nearest <- sapply(seq_len(n), function(i) {
  d <- rowSums(sweep(x, 2, x[i, ])^2)
  d[i] <- Inf
  arm[which.min(d)]
})
cat("accuracy of the nearest neighbour:", mean(nearest == arm), "\n")
