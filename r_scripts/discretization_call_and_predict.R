#| title: Numbers put into bins by a call and by predict
#| expect-verdict: same-bits
#| expect-cause: none
#
# The graph that predict() traces must choose the same bins as the layer does when it is called.
library(tensorflow)
library(keras)

input <- layer_input(shape = 5)
model <- keras_model(input, layer_discretization(input, bin_boundaries = c(-1, 0.25, 0.5, 2)))
x <- matrix(c(-4, -1, 0.3, 0.5, 9), nrow = 1)

print(predict(model, x, verbose = 0))
print(as.array(model(as_tensor(x, "float32"))))
