# Tides: windows from timeseries_dataset_from_array(), a GRU, and a check of what a window holds.
library(keras3)

set.seed(2)
set_random_seed(2)
hours <- 0:359
tide <- 2 * sin(2 * pi * hours / 12.4) + 0.6 * sin(2 * pi * hours / 24) + rnorm(360, sd = 0.05)
wind <- rnorm(360)
series <- cbind(tide, wind)
series <- scale(series)
attributes(series)[c("scaled:center", "scaled:scale")] <- NULL

past <- 16
n_train <- 280
inputs <- series[1:(n_train - past), ]
targets <- series[(past + 1):n_train, 1]

train <- timeseries_dataset_from_array(inputs, targets, sequence_length = past, batch_size = 32)
held <- timeseries_dataset_from_array(
  series[n_train:(nrow(series) - past), ], series[(n_train + past):nrow(series), 1],
  sequence_length = past, batch_size = 32
)

batch <- reticulate::iter_next(reticulate::as_iterator(train))
cat("batch:", dim(batch[[1]]), "targets:", dim(batch[[2]]), "\n")
first <- as.array(batch[[1]])[1, , 1]
cat("the first window is the first rows:", all.equal(first, series[1:past, 1], tolerance = 1e-6), "\n")
cat("its target is the next value:",
    all.equal(as.array(batch[[2]])[1], unname(series[past + 1, 1]), tolerance = 1e-6), "\n")

inputs_layer <- keras_input(shape = c(past, 2))
outputs <- inputs_layer |> layer_gru(8) |> layer_dense(1)
model <- keras_model(inputs_layer, outputs)
model |> compile(optimizer = optimizer_adam(0.02), loss = "mse", metrics = "mae")
history <- model |> fit(train, epochs = 6, validation_data = held, verbose = 0)
cat("epochs:", length(history$metrics$val_loss), "\n")
cat("validation loss fell:", history$metrics$val_loss[6] < history$metrics$val_loss[1], "\n")

result <- evaluate(model, held, verbose = 0)
print(names(result))
forecast <- predict(model, held, verbose = 0)
cat("forecasts:", dim(forecast), "\n")
truth <- series[(n_train + past):nrow(series), 1][seq_len(nrow(forecast))]
cat("correlation:", round(cor(forecast[, 1], truth), 1), "\n")
