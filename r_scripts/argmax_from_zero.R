#| title: k_argmax() counts from 0, as Python does
#| expect-verdict: within-rounding
#| expect-cause: none
library(keras)

model <- keras_model_sequential(input_shape = 3) %>% layer_activation("softmax")
p <- predict(model, rbind(c(0, 3, 1), c(5, 0, 2)), verbose = 0)
print(as.array(k_argmax(p, axis = -1)))
