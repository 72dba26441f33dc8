#| title: Axis 1 is the first after the batch in keras
#| expect-verdict: same-bits
#| expect-cause: none
library(keras)

left <- layer_input(shape = c(2, 2))
right <- layer_input(shape = c(2, 2))
model <- keras_model(list(left, right), layer_concatenate(list(left, right), axis = 1))
a <- array_reshape(1:4, c(1, 2, 2))
print(dim(predict(model, list(a, a * 10), verbose = 0)))
