#| title: The last level of a factor has no row in the embedding
#| expect-verdict: same-error
#| expect-cause: r-index-base
library(keras)

fruit <- factor(c("apple", "pear", "plum"))
model <- keras_model_sequential() %>%
  layer_embedding(input_dim = nlevels(fruit), output_dim = 2, input_length = 1) %>%
  layer_flatten()
print(predict(model, matrix(as.integer(fruit)), verbose = 0))
