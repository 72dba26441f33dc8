#| title: R's own tanh is no activation for keras3 either
#| expect-verdict: failed
#| expect-cause: r-conversion
library(keras3)

model <- keras_model_sequential(input_shape = 1) |>
  layer_dense(2, activation = tanh, kernel_initializer = "ones")
print(predict(model, matrix(c(-2, 2)), verbose = 0))
