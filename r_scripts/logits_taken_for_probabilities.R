#| title: A loss of probabilities is fed with any numbers
#| expect-verdict: same-bits
#| expect-cause: user-script
#
# The last layer has no sigmoid, and the loss does not know: it clips what is beyond 0 and 1.
library(keras)

model <- keras_model_sequential(input_shape = 1) %>%
  layer_dense(1, weights = list(matrix(3), as.array(0)))
model %>% compile(optimizer = "sgd", loss = "binary_crossentropy")
print(evaluate(model, matrix(c(-2, -1, 1, 2)), matrix(c(0, 0, 1, 1)), verbose = 0))
