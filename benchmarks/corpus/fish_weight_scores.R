# Fish weights: a small net and its scores, rounded for a report, as with the older package.
library(keras3)

set.seed(389)
n <- 200
fish <- data.frame(length = runif(n, 10, 60), height = runif(n, 3, 18))
fish$weight <- with(fish, 0.02 * length^2 + 3 * height + rnorm(n, sd = 3))
x <- scale(as.matrix(fish[, c("length", "height")]))
y <- fish$weight / 30
train <- 1:150
print(summary(fish$weight))

model <- keras_model_sequential(input_shape = 2) |>
  layer_dense(10, activation = "relu", kernel_initializer = initializer_he_normal(seed = 1)) |>
  layer_dense(1, kernel_initializer = initializer_he_normal(seed = 2))
model |> compile(optimizer = optimizer_adam(0.02), loss = "mse", metrics = list("mae"))
history <- model |> fit(x[train, ], y[train], epochs = 12, batch_size = 15, shuffle = FALSE, verbose = 0)
cat("loss fell:", history$metrics$loss[12] < history$metrics$loss[1], "\n")

inside <- model |> evaluate(x[train, ], y[train], verbose = 0)
outside <- model |> evaluate(x[-train, ], y[-train], verbose = 0)
cat("names:", names(outside), "\n")
ratio <- outside / inside
cat("outside against inside:", round(ratio, 2), "\n")
report <- rbind(inside = inside, outside = outside)
print(round(report, 3))
