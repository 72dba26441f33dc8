#| title: Class numbers from 1 on make a class too many
#| expect-verdict: same-bits
#| expect-cause: r-index-base
#
# as.integer() of a factor begins at 1; to_categorical() begins at 0, where nothing ever is.
library(keras)

kind <- factor(c("oak", "elm", "oak", "ash"))
labels <- to_categorical(as.integer(kind))
print(labels)

model <- keras_model_sequential(input_shape = 2) %>%
  layer_dense(ncol(labels), activation = "softmax", kernel_initializer = "zeros")
model %>% compile(optimizer = "sgd", loss = "categorical_crossentropy")
print(evaluate(model, matrix(1, 4, 2), labels, verbose = 0))
