# Boiler pressure: three learning rates compared, as an older tutorial writes them.
library(keras)

set.seed(277)
n <- 200
boiler <- data.frame(flow = rnorm(n), fuel = rnorm(n), valve = runif(n, -1, 1))
boiler$pressure <- with(boiler, 0.8 * flow + 1.2 * fuel - 0.7 * valve + rnorm(n, sd = 0.1))
x <- as.matrix(boiler[, 1:3])
y <- boiler$pressure
cat("variance of the target:", round(var(y), 2), "\n")

build <- function(rate) {
  model <- keras_model_sequential() %>%
    layer_dense(8, activation = "relu", input_shape = 3,
                kernel_initializer = initializer_glorot_uniform(seed = 1L)) %>%
    layer_dense(1, kernel_initializer = initializer_glorot_uniform(seed = 2L))
  model %>% compile(loss = "mse", optimizer = optimizer_adam(lr = rate))
  model
}

rates <- c(0.001, 0.01, 0.1)
curves <- list()
for (rate in rates) {
  model <- build(rate)
  history <- model %>% fit(x, y, epochs = 8, batch_size = 20, shuffle = FALSE, verbose = 0)
  curves[[as.character(rate)]] <- history$metrics$loss
}
curves <- as.data.frame(curves, check.names = FALSE)
print(round(curves, 3))

final <- unlist(curves[8, ])
cat("best rate:", names(final)[which.min(final)], "\n")
cat("different curves:", length(unique(signif(final, 6))), "of", length(rates), "\n")
