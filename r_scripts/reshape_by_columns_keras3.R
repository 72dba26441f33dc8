#| title: R fills an array by columns, whatever the Keras
#| expect-verdict: different
#| expect-cause: r-semantics
library(keras3)

readings <- c(1, 2, 3, 4, 5, 6)
window <- readings
dim(window) <- c(1, 2, 3)

model <- keras_model_sequential(input_shape = c(2, 3)) |>
  layer_flatten() |>
  layer_dense(1, use_bias = FALSE)
set_weights(model, list(matrix(10^(5:0))))
print(predict(model, window, verbose = 0))
