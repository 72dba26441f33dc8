#| title: A sigmoid of large numbers is 1
#| expect-verdict: same-bits
#| expect-cause: maths
library(keras)

weight_in_grams <- matrix(c(120, 450, 900))
model <- keras_model_sequential(input_shape = 1) %>%
  layer_dense(1, activation = "sigmoid", kernel_initializer = "ones")
print(predict(model, weight_in_grams, verbose = 0)[, 1])
