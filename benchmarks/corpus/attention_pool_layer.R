# A layer written with Layer(): attention pooling over the steps of a sequence.
library(keras3)

layer_attention_pool <- Layer(
  "AttentionPool",
  initialize = function(units = 4, ...) {
    super$initialize(...)
    self$units <- as.integer(units)
  },
  build = function(input_shape) {
    width <- tail(unlist(input_shape), 1)
    self$score <- self$add_weight(shape = shape(width, self$units),
                                  initializer = initializer_glorot_uniform(seed = 8), name = "score")
    self$vote <- self$add_weight(shape = shape(self$units, 1),
                                 initializer = initializer_glorot_uniform(seed = 9), name = "vote")
    super$build(input_shape)
  },
  call = function(x) {
    votes <- op_matmul(op_tanh(op_matmul(x, self$score)), self$vote)
    weights <- op_softmax(votes, axis = 2)
    op_sum(weights * x, axis = 2)
  },
  get_config = function() {
    config <- super$get_config()
    config$units <- self$units
    config
  }
)

set.seed(109)
n <- 300
steps <- 10
x <- array(rnorm(n * steps * 3), c(n, steps, 3))
spot <- sample(steps, n, TRUE)
for (i in 1:n) x[i, spot[i], 2] <- 3
y <- x[cbind(1:n, spot, 3)]
cat("the target sits where channel 2 is high; sd of the target:", round(sd(y), 2), "\n")

inputs <- keras_input(c(steps, 3))
outputs <- inputs |>
  layer_attention_pool(units = 6, name = "pool") |>
  layer_dense(1, kernel_initializer = initializer_glorot_uniform(seed = 10))
model <- keras_model(inputs, outputs)
model |> compile(optimizer = optimizer_adam(0.03), loss = "mse")
shapes <- lapply(get_weights(model), dim)
print(sapply(shapes, paste, collapse = "x"))

history <- model |> fit(x[1:240, , ], y[1:240], epochs = 12, batch_size = 24, shuffle = FALSE, verbose = 0)
loss <- history$metrics$loss
cat("loss fell below a half of its start:", loss[12] < loss[1] / 2, "\n")

# the pooling by hand for one sequence
w <- get_weights(model)
one <- x[241, , ]
votes <- tanh(one %*% w[[1]]) %*% w[[2]]
share <- exp(votes - max(votes))
share <- share / sum(share)
pooled <- colSums(one * as.vector(share))
hand <- as.numeric(sum(pooled * w[[3]]) + w[[4]])
cat("as by hand:", abs(hand - predict(model, x[241, , , drop = FALSE], verbose = 0)[1, 1]) < 1e-4, "\n")
cat("shares add up to", sum(share), "\n")
config <- get_config(get_layer(model, "pool"))
cat("units in the configuration:", config$units, "\n")
