# Wind power with three quantiles: one loss function for each, made by a factory.
library(keras)

set.seed(71)
n <- 450
wind <- runif(n, 2, 14)
power <- 10 * plogis((wind - 8) * 0.7) + rnorm(n, sd = 0.25 * sqrt(wind))
x <- matrix((wind - mean(wind)) / sd(wind), ncol = 1)
train <- seq_len(n) %% 5 != 0

pinball <- function(q) {
  force(q)
  function(y_true, y_pred) {
    gap <- y_true - y_pred
    k_mean(k_maximum(q * gap, (q - 1) * gap), axis = 2)
  }
}

by_hand <- function(q, truth, guess) {
  gap <- truth - guess
  mean(pmax(q * gap, (q - 1) * gap))
}

fit_one <- function(q) {
  model <- keras_model_sequential() %>%
    layer_dense(16, activation = "tanh", input_shape = 1,
                kernel_initializer = initializer_random_normal(stddev = 0.7, seed = 4L)) %>%
    layer_dense(1, kernel_initializer = initializer_random_normal(stddev = 0.3, seed = 9L),
                bias_initializer = initializer_constant(5))
  model %>% compile(optimizer = optimizer_adam(learning_rate = 0.05), loss = pinball(q))
  model %>% fit(x[train, , drop = FALSE], power[train], epochs = 14, batch_size = 30,
                shuffle = FALSE, verbose = 0)
  model
}

quantiles <- c(0.1, 0.5, 0.9)
models <- lapply(quantiles, fit_one)
names(models) <- paste0("q", quantiles * 100)

held <- sapply(models, function(m) predict(m, x[!train, , drop = FALSE], verbose = 0)[, 1])
cat("answers:", dim(held), "\n")
print(round(head(held, 4), 1))

share <- colMeans(power[!train] <= held)
print(round(share, 1))

losses <- mapply(function(m, q) evaluate(m, x[!train, , drop = FALSE], power[!train], verbose = 0),
                 models, quantiles)
hand <- mapply(function(column, q) by_hand(q, power[!train], held[, column]),
               seq_along(quantiles), quantiles)
print(data.frame(quantile = quantiles, keras = signif(unname(losses), 3), hand = signif(hand, 3)))
cat("agree:", isTRUE(all.equal(unname(losses), hand, tolerance = 1e-4)), "\n")
