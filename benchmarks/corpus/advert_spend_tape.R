# Sales against advertising: a small net trained by hand with a gradient tape, batch by batch.
library(keras)
library(tensorflow)

set.seed(211)
set_random_seed(211)
n <- 240
spend <- data.frame(tv = runif(n, 0, 300), radio = runif(n, 0, 50), paper = runif(n, 0, 100))
spend$sales <- with(spend, 3 + 0.045 * tv + 0.19 * radio + rnorm(n, sd = 0.8))
print(round(sapply(spend, mean), 1))

x <- scale(as.matrix(spend[, c("tv", "radio", "paper")]))
y <- matrix(as.numeric(scale(spend$sales)), ncol = 1)
cat("x:", dim(x), " y:", dim(y), "\n")

model <- keras_model_sequential() %>%
  layer_dense(8, activation = "relu", input_shape = 3,
              kernel_initializer = initializer_glorot_uniform(seed = 1L)) %>%
  layer_dense(1, kernel_initializer = initializer_glorot_uniform(seed = 2L))
optimizer <- optimizer_sgd(learning_rate = 0.1)

batch_size <- 40
n_batches <- n / batch_size
mse_per_epoch <- c()
for (epoch in 1:12) {
  rows <- sample(n)
  total <- 0
  for (b in seq_len(n_batches)) {
    take <- rows[((b - 1) * batch_size + 1):(b * batch_size)]
    x_batch <- tf$constant(x[take, ], dtype = "float32")
    y_batch <- tf$constant(y[take, ], dtype = "float32")
    with(tf$GradientTape() %as% tape, {
      loss <- tf$reduce_mean(tf$square(model(x_batch) - y_batch))
    })
    gradients <- tape$gradient(loss, model$trainable_variables)
    optimizer$apply_gradients(zip_lists(gradients, model$trainable_variables))
    total <- total + as.numeric(loss)
  }
  mse_per_epoch <- c(mse_per_epoch, total / n_batches)
}
cat("mean squared error per epoch:\n")
print(round(mse_per_epoch, 3))

fitted <- predict(model, x, verbose = 0)[, 1]
cat("spread of the answers:", round(sd(fitted), 3), " of the targets:", round(sd(y), 3), "\n")
straight <- lm(sales ~ tv + radio + paper, data = spend)
cat(sprintf("R squared of lm: %.2f, of the net: %.2f\n", summary(straight)$r.squared,
            1 - mean((y - fitted)^2) / mean(y^2)))
