#| title: What fit() gives back is no second name of the model
#| expect-verdict: same-bits
#| expect-cause: none
library(keras3)

set_random_seed(3)
cars_x <- as.matrix(cars["speed"]) / 10
model <- keras_model_sequential(input_shape = 1) |> layer_dense(4, activation = "tanh") |> layer_dense(1)
model |> compile(optimizer = "sgd", loss = "mse")
history <- model |> fit(cars_x, cars$dist / 100, epochs = 2, validation_split = 0.2, verbose = 0)
cat("losses:", length(history$metrics$loss), "\n")
print(head(predict(model, cars_x, verbose = 0), 2))
