#| title: The reciprocal of a reciprocal, which the graph optimiser removes: a matter of rounding
#| expect-verdict: within-rounding
#| expect-cause: none
#
# tensorflow#119429: 1 / (1 / 41) is 41.000004 when it is computed step by step, and 41 when the
# optimiser has removed both divisions. The first is rounded twice, the second not at all.
library(keras3)

input <- keras_input(3)
model <- keras_model(input, op_reciprocal(op_reciprocal(input)))

print(predict(model, matrix(c(7, 41, 47), 1), verbose = 0), digits = 9)
