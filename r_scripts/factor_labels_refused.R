#| title: A factor reaches Keras 2 as a list of words
#| expect-verdict: abstained
#| expect-cause: r-conversion
library(keras)

kind <- factor(c("oak", "elm", "oak", "ash"))
model <- keras_model_sequential(input_shape = 2) %>%
  layer_dense(3, activation = "softmax", kernel_initializer = "zeros")
model %>% compile(optimizer = "sgd", loss = "sparse_categorical_crossentropy")
refused <- tryCatch(
  evaluate(model, matrix(1, 4, 2), kind, verbose = 0),
  error = function(e) conditionMessage(e)
)
cat(substr(refused, 1, 80), "\n")
