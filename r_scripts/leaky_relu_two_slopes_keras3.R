#| title: A leaky relu leaks more as a layer than by its name, on Keras 3
#| expect-verdict: same-bits
#| expect-cause: maths
library(keras3)

x <- matrix(c(-10, -1, 5))
as_layer <- keras_model_sequential(input_shape = 1) |> layer_activation_leaky_relu()
by_name <- keras_model_sequential(input_shape = 1) |> layer_activation("leaky_relu")
print(cbind(predict(as_layer, x, verbose = 0), predict(by_name, x, verbose = 0)))
