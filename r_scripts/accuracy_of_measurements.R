#| title: The accuracy of measured numbers stays 0
#| expect-verdict: same-bits
#| expect-cause: user-script
library(keras)

x <- matrix(c(1, 2, 3, 4)); y <- c(1.1, 2.3, 2.9, 4.2)
model <- keras_model_sequential(input_shape = 1) %>% layer_dense(1, kernel_initializer = "ones")
model %>% compile(optimizer = optimizer_sgd(0.01), loss = "mse", metrics = "accuracy")
history <- model %>% fit(x, y, epochs = 2, verbose = 0)
print(history$metrics$accuracy)
