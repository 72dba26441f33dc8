#| title: Minus one drops in R, and takes the last from a tensor
#| expect-verdict: different
#| expect-cause: r-index-base
library(tensorflow)
library(keras)

table <- matrix(1:8, nrow = 2)
tensor <- as_tensor(table, "float32")
model <- keras_model_sequential(input_shape = 3) %>%
  layer_dense(1, kernel_initializer = "ones")

print(predict(model, table[, -1], verbose = 0))
print(as.array(tensor[, -1]))
