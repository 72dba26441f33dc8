#| title: Binary crossentropy asks three questions where softmax answers one
#| expect-verdict: same-bits
#| expect-cause: user-script
library(keras)

x <- diag(3)
model <- keras_model_sequential(input_shape = 3) %>%
  layer_dense(3, activation = "softmax", kernel_initializer = "zeros")
model %>% compile(optimizer = optimizer_sgd(0), loss = "binary_crossentropy")
print(evaluate(model, x, to_categorical(0:2), verbose = 0) / log(3))
