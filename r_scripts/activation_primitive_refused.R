#| title: R's own tanh is no activation
#| expect-verdict: abstained
#| expect-verdict[cran]: different
#| expect-cause: r-conversion
#
# tanh is built into R's interpreter, so Python gets an opaque capsule and not a function.
library(keras)

refused <- tryCatch({
  model <- keras_model_sequential(input_shape = 1) %>%
    layer_dense(2, activation = tanh, kernel_initializer = "ones")
  predict(model, matrix(c(-2, 2)), verbose = 0)
}, error = function(e) conditionMessage(e))
cat(substr(refused, 1, 100), "\n")
