#| title: A vector goes down the columns in R and along the rows in TensorFlow
#| expect-verdict: different
#| expect-cause: r-semantics
#
# Each of the three rows is to be weighted; the weights meet the columns once tensors are at work.
library(tensorflow)
library(keras)

weight <- c(1, 10, 100)
scores <- matrix(1, nrow = 3, ncol = 3)

model <- keras_model_sequential(input_shape = 3) %>% layer_activation("linear")
print(predict(model, scores * weight, verbose = 0))
print(as.array(as_tensor(scores, "float32") * weight))
