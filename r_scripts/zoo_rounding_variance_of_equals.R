#| title: A large variance of three equal numbers under XLA: a matter of rounding
#| expect-verdict: within-rounding
#| expect-cause: none
#
# tensorflow#118179: three times 7.5e10 has the variance 0, and XLA says 67,108,864. The numbers
# next to 7.5e10 in float32 are 8,192 away, and 67,108,864 is 8,192 squared: the mean is off by one
# place. One rounding of the input does as much.
library(keras3)

input <- keras_input(3)
model <- keras_model(input, op_var(input, axis = -1))
compile(model, optimizer = "sgd", loss = "mse", jit_compile = TRUE)

print(predict(model, matrix(7.5e10, 1, 3), verbose = 0))
