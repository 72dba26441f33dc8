#| title: The old name of the learning rate is taken and forgotten
#| expect-verdict: same-bits
#| expect-cause: keras-version
library(keras)

model <- keras_model_sequential(input_shape = 1) %>%
  layer_dense(1, kernel_initializer = "ones", use_bias = FALSE)
model %>% compile(optimizer = optimizer_adam(lr = 0.25), loss = "mse")
model %>% fit(matrix(1), matrix(3), epochs = 1, verbose = 0)
cat("the weight moved by", unlist(get_weights(model)) - 1, "\n")
