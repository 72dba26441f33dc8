#| title: The graph optimiser adds two constants, and they overflow
#| expect-verdict: different
#| expect-cause: grappler:constant_folding
#| upstream: tensorflow#52045
#| seen-with: tensorflow 2.21.0
#
# (x - 3e38) - 3e38 is -3e38 for x = 3e38. The optimiser computes -3e38 - 3e38 first, which is
# beyond the range of float32. In the thread a constant is lost in a larger one in the same way.
library(keras3)

model <- keras_model_sequential(input_shape = 2) |>
  layer_rescaling(1, offset = -3e38) |>
  layer_rescaling(1, offset = -3e38)

print(predict(model, matrix(c(3e38, 3.1e38), 1), verbose = 0))
