#| title: Weights of classes without names weigh nothing
#| expect-verdict: different
#| expect-cause: r-conversion
#
# An unnamed list becomes a Python list, which Keras takes and then forgets.
library(keras)

model <- keras_model_sequential(input_shape = 1) %>%
  layer_dense(1, activation = "sigmoid", kernel_initializer = "zeros")
model %>% compile(optimizer = optimizer_sgd(learning_rate = 0.1), loss = "binary_crossentropy")
history <- model %>% fit(
  matrix(c(1, 2, 3, 4)), matrix(c(0, 1, 0, 1)),
  class_weight = list(1, 5), epochs = 1, shuffle = FALSE, verbose = 0
)
cat("loss in units of log(2):", history$metrics$loss / log(2), "\n")
