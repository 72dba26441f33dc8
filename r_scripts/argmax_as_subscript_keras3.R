#| title: op_argmax() counts from 1, as a subscript of R needs it
#| expect-verdict: within-rounding
#| expect-cause: none
library(keras3)

model <- keras_model_sequential(input_shape = 3) |> layer_activation("softmax")
p <- predict(model, rbind(c(0, 3, 1), c(5, 0, 2)), verbose = 0)
best <- as.array(op_argmax(p, axis = -1))
print(c("red", "green", "blue")[best])
