# A layer of one's own with new_layer_class(): a gate that lets part of its input through.
library(keras)
library(tensorflow)

layer_gate <- new_layer_class(
  classname = "Gate",
  initialize = function(units, ...) {
    super()$`__init__`(...)
    self$units <- as.integer(units)
  },
  build = function(input_shape) {
    self$kernel <- self$add_weight(
      name = "kernel", shape = shape(input_shape[[2]], self$units),
      initializer = initializer_glorot_uniform(seed = 31L), trainable = TRUE
    )
    self$gate <- self$add_weight(
      name = "gate", shape = shape(input_shape[[2]], self$units),
      initializer = "zeros", trainable = TRUE
    )
  },
  call = function(inputs) {
    tf$matmul(inputs, self$kernel) * tf$sigmoid(tf$matmul(inputs, self$gate))
  },
  get_config = function() {
    list(units = self$units)
  }
)

set.seed(83)
n <- 320
x <- matrix(rnorm(n * 4), n)
y <- x[, 1] * (x[, 2] > 0) + 0.5 * x[, 3] + rnorm(n, sd = 0.1)

input <- layer_input(shape = 4)
output <- input %>%
  layer_gate(units = 10) %>%
  layer_dense(1, kernel_initializer = initializer_glorot_uniform(seed = 32L))
model <- keras_model(input, output)
cat("layers:", sapply(model$layers, function(l) class(l)[1]) |> length(), "\n")
cat("weights:", sapply(get_weights(model), function(w) paste(dim(w), collapse = "x")), "\n")

# with a gate of zeros, half of everything passes
w <- get_weights(model)
by_hand <- (0.5 * x %*% w[[1]]) %*% w[[3]] + rep(w[[4]], each = n)
cat("as by hand:", max(abs(by_hand - predict(model, x, verbose = 0))) < 1e-5, "\n")

model %>% compile(optimizer = optimizer_adam(learning_rate = 0.02), loss = "mse")
history <- model %>% fit(x[1:256, ], y[1:256], epochs = 15, batch_size = 32, shuffle = FALSE,
                         verbose = 0)
cat("loss:", round(history$metrics$loss[c(1, 5, 15)], 3), "\n")

score <- evaluate(model, x[257:n, ], y[257:n], verbose = 0)
cat(sprintf("held-out mse %.3f, variance of the target %.3f\n", score, var(y[257:n])))
gate <- get_weights(model)[[2]]
print(round(apply(abs(gate), 1, mean), 2))
