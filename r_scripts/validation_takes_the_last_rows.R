#| title: The rows to validate with are the last, as they come
#| expect-verdict: same-bits
#| expect-cause: maths
library(keras)

model <- keras_model_sequential(input_shape = 1) %>%
  layer_dense(1, kernel_initializer = "zeros", use_bias = FALSE)
model %>% compile(optimizer = optimizer_sgd(learning_rate = 0), loss = "mse")
history <- model %>% fit(
  matrix(1:20), matrix(1:20), validation_split = 0.25, epochs = 1, verbose = 0
)
cat(history$metrics$val_loss, mean((16:20)^2), "\n")
