# Noisy gene data: a limit on the norm of each unit's weights keeps the net from overfitting.
library(keras)

set.seed(233)
n <- 160
genes <- 12
x <- matrix(rnorm(n * genes), n)
y <- as.integer(x[, 1] + 0.8 * x[, 2] - 0.6 * x[, 3] + rnorm(n, sd = 0.5) > 0)
train <- 1:110
cat("ones in training:", sum(y[train]), "\n")

build <- function(limit) {
  model <- keras_model_sequential() %>%
    layer_dense(10, activation = "relu", input_shape = genes,
                kernel_initializer = initializer_glorot_uniform(seed = 3L),
                kernel_constraint = constraint_maxnorm(limit)) %>%
    layer_dense(1, activation = "sigmoid",
                kernel_initializer = initializer_glorot_uniform(seed = 4L))
  model %>% compile(optimizer = optimizer_adam(learning_rate = 0.02),
                    loss = "binary_crossentropy", metrics = "accuracy")
  model
}

column_norm <- function(model) sqrt(colSums(get_weights(model)[[1]]^2))

results <- data.frame()
for (limit in c(0.8, 1.5, 3)) {
  model <- build(limit)
  model %>% fit(x[train, ], y[train], epochs = 12, batch_size = 22, shuffle = FALSE, verbose = 0)
  score <- model %>% evaluate(x[-train, ], y[-train], verbose = 0)
  results <- rbind(results, data.frame(
    limit = limit,
    largest = round(max(column_norm(model)), 2),
    accuracy = round(score[["accuracy"]], 2)
  ))
}
print(results)

small <- build(0.8)
small %>% fit(x[train, ], y[train], epochs = 3, batch_size = 22, shuffle = FALSE, verbose = 0)
p <- predict(small, x[-train, ], verbose = 0)[, 1]
cat("different answers of the tightest net:", length(unique(round(p, 6))), "of", length(p), "\n")
print(table(truth = y[-train], said = as.integer(p > 0.5)))
