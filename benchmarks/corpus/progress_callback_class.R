# A callback class and a learning-rate schedule written in R.
library(keras3)

callback_diary <- Callback(
  "Diary",
  initialize = function(every = 2) {
    self$every <- every
    self$lines <- list()
  },
  on_train_begin = function(logs = NULL) {
    cat("begin\n")
  },
  on_epoch_end = function(epoch, logs = NULL) {
    if (epoch %% self$every == 0) {
      cat(sprintf("  epoch %d: loss %.3f\n", epoch, logs$loss))
    }
  },
  on_train_end = function(logs = NULL) {
    cat("end\n")
  }
)

set.seed(149)
n <- 200
dose <- runif(n, 0, 4)
response <- 2 / (1 + exp(-2 * (dose - 2))) + rnorm(n, sd = 0.05)
x <- matrix(dose - 2, ncol = 1)
y <- matrix(response, ncol = 1)

model <- keras_model_sequential(input_shape = 1) |>
  layer_dense(8, activation = "tanh", kernel_initializer = initializer_glorot_normal(seed = 1)) |>
  layer_dense(1, kernel_initializer = initializer_glorot_normal(seed = 2))
model |> compile(optimizer = optimizer_sgd(learning_rate = 0.1), loss = "mse")

halve <- function(epoch, lr) if (epoch > 0 && epoch %% 3 == 0) lr / 2 else lr
seen <- c()
watch <- callback_lambda(on_epoch_begin = function(epoch, logs) {
  seen <<- c(seen, as.numeric(model$optimizer$learning_rate))
})

history <- model |> fit(
  x, y, epochs = 8, batch_size = 25, shuffle = FALSE, verbose = 0,
  callbacks = list(callback_diary(every = 4), callback_learning_rate_scheduler(halve), watch)
)
print(names(history$metrics))
cat("rates in the history:", signif(history$metrics$learning_rate, 4), "\n")
cat("epochs that the lambda saw:", length(seen), "\n")
cat("loss fell:", history$metrics$loss[8] < history$metrics$loss[1], "\n")

grid <- matrix(seq(-2, 2, by = 1), ncol = 1)
curve <- predict(model, grid, verbose = 0)[, 1]
print(data.frame(dose = grid[, 1] + 2, rises = c(NA, diff(curve) > 0)))
