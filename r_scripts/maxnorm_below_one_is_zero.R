#| title: A maximal norm below one clears all weights
#| expect-verdict: different
#| expect-cause: r-conversion
#
# The kernel has a norm of 13; after one step it should have one of 0.65.
library(keras)

model <- keras_model_sequential(input_shape = 2) %>%
  layer_dense(
    1,
    kernel_constraint = constraint_maxnorm(0.65),
    weights = list(matrix(c(5, 12)), as.array(0))
  )
model %>% compile(optimizer = optimizer_sgd(learning_rate = 0), loss = "mae")
model %>% fit(matrix(1, 1, 2), matrix(17), epochs = 1, verbose = 0)

print(predict(model, matrix(1, 1, 2), verbose = 0))
