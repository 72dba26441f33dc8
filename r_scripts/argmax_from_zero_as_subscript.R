#| title: k_argmax() counts from 0, and R leaves element 0 out
#| expect-verdict: within-rounding
#| expect-cause: r-index-base
library(keras)

model <- keras_model_sequential(input_shape = 3) %>% layer_activation("softmax")
p <- predict(model, rbind(c(4, 1, 0), c(0, 3, 1)), verbose = 0)
best <- as.array(k_argmax(p))
print(c("red", "green", "blue")[best])
