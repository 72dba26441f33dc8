#| title: Axis 1 is the batch in keras3
#| expect-verdict: different
#| expect-cause: r-index-base
#
# Two tables with the same columns are to be put one above the other; the rows of the batch are.
library(keras3)

left <- keras_input(shape = c(2, 2))
right <- keras_input(shape = c(2, 2))
model <- keras_model(list(left, right), layer_concatenate(list(left, right), axis = 1))
a <- array_reshape(1:4, c(1, 2, 2))
print(dim(predict(model, list(a, a * 10), verbose = 0)))
