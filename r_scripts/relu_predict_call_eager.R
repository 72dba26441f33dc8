#| title: One relu, run by predict, by a call and eagerly
#| expect-verdict: same-bits
#| expect-cause: none
#
# A hidden layer bends, the layer after it adds nothing. However the model is run, the bend is there.
library(tensorflow)
library(keras)

identity <- list(matrix(1), as.array(0))
model <- keras_model_sequential(input_shape = 1) %>%
  layer_dense(1, activation = "relu", weights = identity) %>%
  layer_dense(1, weights = identity)
x <- matrix(c(-3, -1.5, 0, 2, 4.5))

print(predict(model, x, verbose = 0)[, 1])
print(as.array(model(as_tensor(x, "float32")))[, 1])

model$run_eagerly <- TRUE
model$predict_function <- NULL
print(predict(model, x, verbose = 0)[, 1])
