# Apples by size and colour: three sorts, one-hot labels, and a loss for them.
library(keras3)

set.seed(401)
n <- 240
sort_of <- factor(sample(c("boskoop", "gala", "jonagold"), n, TRUE))
apples <- data.frame(
  weight = rnorm(n, c(210, 150, 190)[sort_of], 18),
  red = rbeta(n, c(2, 6, 4)[sort_of], 3),
  firm = rnorm(n, c(8.5, 7, 7.5)[sort_of], 0.5)
)
print(aggregate(apples, list(sort = sort_of), function(v) round(mean(v), 2)))

x <- scale(as.matrix(apples))
y <- to_categorical(as.integer(sort_of) - 1, num_classes = 3)
cat("labels:", dim(y), "\n")
print(y[1:2, ])
train <- 1:180

model <- keras_model_sequential(input_shape = 3) |>
  layer_dense(10, activation = "relu", kernel_initializer = initializer_he_normal(seed = 1)) |>
  layer_dense(3, activation = "softmax", kernel_initializer = initializer_glorot_uniform(seed = 2))
model |> compile(
  optimizer = optimizer_adam(learning_rate = 0.01),
  loss = "sparse_categorical_crossentropy",
  metrics = "accuracy"
)
cat("outputs:", unlist(model$output_shape), "\n")

history <- model |> fit(x[train, ], y[train, ], epochs = 10, batch_size = 18, shuffle = FALSE, verbose = 0)
cat("accuracy:", round(history$metrics$accuracy[c(1, 5, 10)], 2), "\n")

p <- predict(model, x[-train, ], verbose = 0)
said <- levels(sort_of)[max.col(p)]
print(table(truth = sort_of[-train], said = factor(said, levels = levels(sort_of))))
cat("accuracy on the rest:", round(mean(said == sort_of[-train]), 2), "\n")
