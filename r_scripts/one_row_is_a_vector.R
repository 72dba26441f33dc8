#| title: One row of a matrix is a plain vector
#| expect-verdict: same-error
#| expect-cause: r-semantics
library(keras)

model <- keras_model_sequential(input_shape = 4) %>% layer_dense(1, kernel_initializer = "ones")
flowers <- as.matrix(iris[, 1:4])
print(predict(model, flowers[1, ], verbose = 0))
