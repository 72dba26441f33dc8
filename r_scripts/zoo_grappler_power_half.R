#| title: The graph optimiser turns a power of one half into a square root
#| expect-verdict: different
#| expect-cause: grappler:arithmetic
#| upstream: Grappler's ConvertPow on -Inf, not reported yet
#| seen-with: tensorflow 2.21.0
#
# The power pow(-Inf, 0.5) is Inf; the square root of -Inf is not a number.
library(keras3)

input <- keras_input(3)
model <- keras_model(input, op_power(input, 0.5))

print(predict(model, matrix(c(-Inf, 2, 4), 1), verbose = 0))
