#| title: A factor becomes class numbers from 0 on with keras3
#| expect-verdict: same-bits
#| expect-cause: none
library(keras3)

kind <- factor(c("oak", "elm", "oak", "ash"))
model <- keras_model_sequential(input_shape = 2) |>
  layer_dense(3, activation = "softmax", kernel_initializer = "zeros")
model |> compile(optimizer = "sgd", loss = "sparse_categorical_crossentropy")
print(unlist(evaluate(model, matrix(1, 4, 2), kind, verbose = 0)))
print(log(3))
