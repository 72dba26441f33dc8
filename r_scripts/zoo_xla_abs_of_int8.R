#| title: XLA leaves out the absolute value of a product that overflowed
#| expect-verdict: different
#| expect-cause: xla
#| upstream: tensorflow#118178
#| seen-with: tensorflow 2.21.0
#
# 12 * 12 is -112 in eight bits, and its absolute value 112. XLA takes a square to be positive and
# drops abs().
library(keras3)

input <- keras_input(3, dtype = "int8")
model <- keras_model(input, op_abs(op_square(input)))
compile(model, optimizer = "sgd", loss = "mse", jit_compile = TRUE)

print(predict(model, op_cast(matrix(c(12, 7, 15), 1), "int8"), verbose = 0))
