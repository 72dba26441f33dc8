#| title: set.seed() does not reach the weights
#| expect-verdict: same-bits
#| expect-cause: r-semantics
library(keras)

draw <- function() {
  set.seed(20)
  model <- keras_model_sequential(input_shape = 1) %>% layer_dense(1)
  predict(model, matrix(1), verbose = 0)[1]
}
cat("the same twice:", draw() == draw(), "\n")
