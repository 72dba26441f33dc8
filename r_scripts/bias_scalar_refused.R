#| title: A bias of one number arrives without a dimension
#| expect-verdict: different
#| expect-cause: r-conversion
#
# A vector of length one becomes a plain number in Python; as.array() keeps its dimension.
library(keras)

refused <- tryCatch({
  model <- keras_model_sequential(input_shape = 2) %>%
    layer_dense(1, weights = list(matrix(c(2, 3)), -1))
  predict(model, matrix(c(1, 1), nrow = 1), verbose = 0)
}, error = function(e) conditionMessage(e))
print(refused)
