#| title: A loss that grows until it is no number
#| expect-verdict: same-bits
#| expect-cause: maths
library(keras)

x <- matrix(c(1000, 2000, 3000)); y <- 2 * x[, 1]
model <- keras_model_sequential(input_shape = 1) %>% layer_dense(1, kernel_initializer = "ones")
model %>% compile(optimizer = optimizer_sgd(0.1), loss = "mse")
history <- model %>% fit(x, y, epochs = 12, verbose = 0)
print(is.finite(tail(history$metrics$loss, 1)))
