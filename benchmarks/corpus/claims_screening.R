# Insurance claims that deserve a second look: a dense net and a binary cross entropy.
library(keras3)

set.seed(359)
n <- 420
claims <- data.frame(
  amount = rlnorm(n, 7, 0.7), late_days = rpois(n, 4), earlier = rpois(n, 0.7),
  night = rbinom(n, 1, 0.3)
)
claims$suspicious <- rbinom(n, 1, plogis(-2.2 + 0.25 * claims$late_days + 0.9 * claims$earlier +
                                           0.8 * claims$night))
cat("suspicious:", sum(claims$suspicious), "of", n, "\n")

x <- cbind(log(claims$amount), claims$late_days, claims$earlier, claims$night)
x <- scale(x)
y <- claims$suspicious
train <- 1:320

model <- keras_model_sequential(input_shape = 4) |>
  layer_dense(12, activation = "relu", kernel_initializer = initializer_he_normal(seed = 1)) |>
  layer_dense(6, activation = "relu", kernel_initializer = initializer_he_normal(seed = 2)) |>
  layer_dense(1, activation = "relu", kernel_initializer = initializer_he_normal(seed = 21))
model |> compile(optimizer = optimizer_adam(0.01), loss = "binary_crossentropy", metrics = "accuracy")

history <- model |> fit(x[train, ], y[train], epochs = 15, batch_size = 20, shuffle = FALSE, verbose = 0)
cat("loss:", round(history$metrics$loss[c(1, 5, 10, 15)], 2), "\n")
cat("accuracy:", round(history$metrics$accuracy[c(1, 5, 10, 15)], 2), "\n")

p <- predict(model, x[-train, ], verbose = 0)[, 1]
cat("range of the predictions:", round(range(p), 2), "\n")
cat("exactly 0:", sum(p == 0), " above 1:", sum(p > 1), " of", length(p), "\n")
print(table(suspicious = y[-train], said = p > 0.5))

reference <- glm(y ~ x, family = binomial, subset = train)
q <- plogis(cbind(1, x[-train, ]) %*% coef(reference))
entropy <- function(p) -mean(y[-train] * log(p) + (1 - y[-train]) * log(1 - p))
cat(sprintf("cross entropy of glm on the rest: %.2f\n", entropy(q)))
result <- evaluate(model, x[-train, ], y[-train], verbose = 0)
cat(sprintf("cross entropy of the net: %.2f\n", result$loss))
