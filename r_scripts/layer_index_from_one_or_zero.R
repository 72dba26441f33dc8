#| title: One layer has two numbers
#| expect-verdict: different
#| expect-cause: r-index-base
#
# get_layer() counts from 1, the method of the Python object from 0.
library(keras)

model <- keras_model_sequential(input_shape = 2) %>%
  layer_dense(3, name = "inner", kernel_initializer = "ones") %>%
  layer_dense(1, name = "outer", kernel_initializer = "ones")

cat(get_layer(model, index = 1)$name, model$get_layer(index = 1L)$name, "\n")
print(predict(model, matrix(c(1, 2), 1), verbose = 0))
