#| title: A step is skipped only if all of it is the mask
#| expect-verdict: within-rounding
#| expect-cause: none
library(keras)

x <- array(0, c(1, 3, 2))
x[1, 1, ] <- c(2, 1)
x[1, 2, ] <- c(0, 4)

sums <- function(...) {
  model <- keras_model_sequential(input_shape = c(3, 2))
  for (layer in list(...)) model$add(layer)
  model %>% layer_simple_rnn(
    1, activation = "linear", use_bias = FALSE,
    kernel_initializer = "ones", recurrent_initializer = initializer_constant(100)
  )
  predict(model, x, verbose = 0)[1]
}
cat("without a mask:", sums(), "with one:", sums(layer_masking(mask_value = 0)), "\n")
