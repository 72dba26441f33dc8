#| title: A softmax over one number is always one
#| expect-verdict: within-rounding
#| expect-verdict[onednn]: same-bits
#| expect-cause: maths
library(keras)

model <- keras_model_sequential(input_shape = 2) %>%
  layer_dense(4, activation = "tanh") %>%
  layer_dense(1, activation = "softmax")
print(predict(model, rbind(c(-8, 1), c(0, 3), c(9, -2)), verbose = 0))
