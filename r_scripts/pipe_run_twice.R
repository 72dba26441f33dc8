#| title: A pipe that is run again adds its layers again
#| expect-verdict: same-bits
#| expect-cause: r-semantics
library(keras)

model <- keras_model_sequential(input_shape = 1)
grow <- function() {
  model %>% layer_dense(1, kernel_initializer = initializer_constant(4))
}
grow()
grow()
cat("layers:", length(model$layers), "\n")
print(predict(model, matrix(1), verbose = 0))
