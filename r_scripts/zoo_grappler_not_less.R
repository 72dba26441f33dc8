#| title: The graph optimiser turns "not less" into "greater or equal", which is false for NaN
#| expect-verdict: different
#| expect-cause: grappler:arithmetic
#| upstream: Grappler's ConvertLogicalNot on NaN, not reported yet
#| seen-with: tensorflow 2.21.0
#
# NaN is not less than 0, so that op_logical_not(op_less(NaN, 0)) is TRUE. It is not greater than or
# equal to 0 either.
library(keras3)

x <- keras_input(3)
y <- keras_input(3)
model <- keras_model(list(x, y), op_logical_not(op_less(x, y)))

numbers <- matrix(c(NaN, 1, -1), 1)
print(predict(model, list(numbers, matrix(0, 1, 3)), verbose = 0))
