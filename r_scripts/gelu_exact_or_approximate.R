#| title: Two formulas go by the name of gelu
#| expect-verdict: same-bits
#| expect-cause: maths
#
# The exact one needs the normal distribution, the approximation a tanh; they part in the 4th digit.
library(tensorflow)
library(keras)

x <- matrix(c(-2.5, -0.75, 0.25, 1.5))
exact <- keras_model_sequential(input_shape = 1) %>%
  layer_lambda(function(z) tf$nn$gelu(z, approximate = FALSE))
approximate <- keras_model_sequential(input_shape = 1) %>%
  layer_lambda(function(z) tf$nn$gelu(z, approximate = TRUE))

print(cbind(
  exact = predict(exact, x, verbose = 0)[, 1],
  approximate = predict(approximate, x, verbose = 0)[, 1],
  definition = x[, 1] * pnorm(x[, 1])
), digits = 6)
