# Customers who leave: sample weights by contract value, and what they do to the loss.
library(keras3)

set.seed(137)
n <- 400
clients <- data.frame(months = rpois(n, 20) + 1, calls = rpois(n, 2), value = round(rlnorm(n, 3, 0.8)))
clients$left <- rbinom(n, 1, plogis(0.3 + 0.5 * clients$calls - 0.12 * clients$months))
clients$class <- cut(clients$value, quantile(clients$value, c(0, 0.5, 0.9, 1)),
                     labels = c("small", "middle", "large"), include.lowest = TRUE)
print(with(clients, table(class, left)))

x <- scale(as.matrix(clients[, c("months", "calls")]))
y <- clients$left
weight <- clients$value / mean(clients$value)
cat("weights: mean", mean(weight), "max", round(max(weight), 1), "\n")

train <- seq_len(320)
new_model <- function() {
  m <- keras_model_sequential(input_shape = 2) |>
    layer_dense(8, activation = "relu", kernel_initializer = initializer_he_uniform(seed = 1)) |>
    layer_dense(1, activation = "sigmoid", kernel_initializer = initializer_glorot_uniform(seed = 2))
  m |> compile(optimizer = optimizer_sgd(learning_rate = 0.2), loss = "binary_crossentropy",
               weighted_metrics = list("accuracy"))
  m
}

plain <- new_model()
weighted <- new_model()
start <- predict(plain, x[train, ], verbose = 0)[, 1]
plain |> fit(x[train, ], y[train], epochs = 8, batch_size = 32, shuffle = FALSE, verbose = 0)
weighted |> fit(x[train, ], y[train], sample_weight = weight[train], epochs = 8, batch_size = 32,
                shuffle = FALSE, verbose = 0)

p <- cbind(plain = predict(plain, x, verbose = 0)[, 1], weighted = predict(weighted, x, verbose = 0)[, 1])
print(round(apply(p[-train, ], 2, mean), 3))

entropy <- function(p) -(y * log(p) + (1 - y) * log(1 - p))
cat(sprintf("loss at the start, by hand: %.3f\n", mean(entropy(c(start, rep(0.5, n - 320)))[train])))
cat("the weights change the answers:", !isTRUE(all.equal(p[, "plain"], p[, "weighted"])), "\n")
value_loss <- apply(p[train, ], 2, function(q) sum(weight[train] * -(y[train] * log(q) +
                      (1 - y[train]) * log(1 - q))) / sum(weight[train]))
print(round(value_loss, 3))
by_class <- aggregate(p[-train, ], by = list(class = clients$class[-train]), FUN = mean)
by_class[, -1] <- round(by_class[, -1], 2)
print(by_class)
