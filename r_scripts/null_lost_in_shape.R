#| title: c() drops NULL, and a shape loses its first dimension
#| expect-verdict: different
#| expect-cause: r-semantics
#
# The input is meant to take any number of rows of four; it takes four numbers.
library(keras)

refused <- tryCatch({
  input <- layer_input(batch_shape = c(NULL, 4))
  model <- keras_model(input, layer_dense(input, 1, kernel_initializer = "ones"))
  predict(model, matrix(1:8, nrow = 2), verbose = 0)
}, error = function(e) conditionMessage(e))
print(refused)
