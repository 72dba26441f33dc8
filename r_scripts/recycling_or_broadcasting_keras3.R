#| title: A vector goes along the rows in Keras 3, down the columns in R
#| expect-verdict: different
#| expect-cause: r-semantics
library(keras3)

weight <- c(1, 10, 100)
scores <- matrix(1, nrow = 3, ncol = 3)

model <- keras_model_sequential(input_shape = 3) |> layer_activation("linear")
print(predict(model, scores * weight, verbose = 0))
print(as.array(op_multiply(scores, weight)))
