#| title: op_argmax() counts from 1, other than Python
#| expect-verdict: different
#| expect-cause: r-index-base
library(keras3)

model <- keras_model_sequential(input_shape = 3) |> layer_activation("softmax")
p <- predict(model, rbind(c(0, 3, 1), c(5, 0, 2)), verbose = 0)
print(as.array(op_argmax(p, axis = -1)))
