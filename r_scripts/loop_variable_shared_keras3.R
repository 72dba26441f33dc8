#| title: Functions made in a loop all see its last round, on Keras 3 too
#| expect-verdict: different
#| expect-cause: r-semantics
library(keras3)

input <- keras_input(shape = 1)
powers <- list()
for (k in 1:3) {
  powers[[k]] <- layer_lambda(input, function(x) x^k)
}
model <- keras_model(input, layer_concatenate(powers))
print(predict(model, matrix(2), verbose = 0))
