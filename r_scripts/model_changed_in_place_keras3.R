#| title: A copy of a model is the same model on Keras 3 as well
#| expect-verdict: same-bits
#| expect-cause: r-semantics
library(keras3)

short <- keras_model_sequential(input_shape = 1) |>
  layer_dense(1, kernel_initializer = initializer_constant(3))
long <- short
long |> layer_dense(1, kernel_initializer = initializer_constant(100))

print(predict(short, matrix(2), verbose = 0))
