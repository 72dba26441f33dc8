#| title: Functions made by lapply() keep their own round
#| expect-verdict: same-bits
#| expect-cause: none
library(keras)

input <- layer_input(shape = 1)
powers <- lapply(1:3, function(k) layer_lambda(input, function(x) x^k))
model <- keras_model(input, layer_concatenate(powers))
print(predict(model, matrix(2), verbose = 0))
