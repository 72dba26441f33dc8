# A grid of widths and rates with expand.grid() and Map(), the best kept and trained on.
library(keras3)

set.seed(139)
n <- 260
kiln <- data.frame(heat = runif(n, 900, 1250), hold = runif(n, 0.5, 4))
kiln$shrink <- with(kiln, 4 + 3 * plogis((heat - 1100) / 40) + 0.3 * log(hold) + rnorm(n, sd = 0.1))
x <- scale(as.matrix(kiln[, c("heat", "hold")]))
y <- kiln$shrink
train <- 1:160
valid <- 161:210
test <- 211:n

grid <- expand.grid(width = c(4, 16), rate = c(0.005, 0.05), KEEP.OUT.ATTRS = FALSE)
print(grid)

train_one <- function(width, rate) {
  model <- keras_model_sequential(input_shape = 2) |>
    layer_dense(width, activation = "relu", kernel_initializer = initializer_he_normal(seed = 1)) |>
    layer_dense(1, kernel_initializer = initializer_he_normal(seed = 2))
  model |> compile(optimizer = optimizer_adam(learning_rate = rate), loss = "mse")
  history <- model |> fit(x[train, ], y[train], epochs = 8, batch_size = 16, shuffle = FALSE,
                          validation_data = list(x[valid, ], y[valid]), verbose = 0)
  list(model = model, val = tail(history$metrics$val_loss, 1), parameters = count_params(model))
}
runs <- Map(train_one, grid$width, grid$rate)

grid$parameters <- vapply(runs, function(r) as.numeric(r$parameters), numeric(1))
grid$val <- round(vapply(runs, `[[`, numeric(1), "val"), 2)
ordered <- grid[order(grid$val), ]
rownames(ordered) <- NULL
print(ordered)

best <- runs[[which.min(grid$val)]]$model
test_loss <- evaluate(best, x[test, ], y[test], verbose = 0)
cat("names of the result:", names(test_loss), "\n")
cat("better than the mean:", test_loss$loss < var(y[test]), "\n")
cat("rates as Keras has them:",
    unique(vapply(runs, function(r) signif(as.numeric(r$model$optimizer$learning_rate), 3), 1)), "\n")
