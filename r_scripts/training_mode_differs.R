#| title: A model computes something else while it trains
#| expect-verdict: same-bits
#| expect-cause: maths
library(tensorflow)
library(keras)
set_random_seed(2)

model <- keras_model_sequential(input_shape = 3) %>%
  layer_batch_normalization() %>%
  layer_dropout(0.4)
x <- as_tensor(matrix(c(1, 5, 2, 6, 3, 7), nrow = 2), "float32")

print(predict(model, x, verbose = 0))
print(as.array(model(x)))
print(as.array(model(x, training = TRUE)))
