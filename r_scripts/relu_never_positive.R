#| title: A unit of relu that is never positive cannot learn
#| expect-verdict: same-bits
#| expect-cause: maths
library(keras)

x <- matrix(c(0.2, 0.5, 0.9))
model <- keras_model_sequential(input_shape = 1) %>%
  layer_dense(1, activation = "relu", weights = list(matrix(-2), as.array(-0.1))) %>%
  layer_dense(1, weights = list(matrix(1), as.array(0.4)))
model %>% compile(optimizer = optimizer_sgd(0.1), loss = "mse")
model %>% fit(x, x[, 1], epochs = 2, verbose = 0)
print(predict(model, x, verbose = 0)[, 1])
