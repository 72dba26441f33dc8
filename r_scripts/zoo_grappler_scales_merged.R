#| title: The graph optimiser multiplies two constants, and they overflow
#| expect-verdict: different
#| expect-cause: grappler:constant_folding
#| upstream: tensorflow#47548
#| seen-with: tensorflow 2.21.0
#
# (x * 1e30) * 1e30 is 1e30 for x = 1e-30. The optimiser computes 1e30 * 1e30 first, which is
# infinite in float32. The thread has a sum of constants where this has a product.
library(keras)

model <- keras_model_sequential(input_shape = 2) %>%
  layer_rescaling(1e30) %>%
  layer_rescaling(1e30)

print(predict(model, matrix(c(1e-30, 3e-30), 1), verbose = 0))
