# A logger writes record after record into one long line; a net learns to predict the last field.
library(keras3)

set.seed(331)
set_random_seed(331)
n <- 250
volt <- rnorm(n, 12, 1)
load <- rnorm(n, 5, 1)
temp <- rnorm(n, 40, 5)
noise <- rnorm(n, sd = 0.3)
wear <- 0.8 * (volt - 12) + 1.1 * (load - 5) + 0.15 * (temp - 40) + noise
line <- paste(sprintf("%.3f", rbind(volt, load, temp, wear)), collapse = ";")
cat("characters:", nchar(line), "\n")

values <- as.numeric(strsplit(line, ";")[[1]])
cat("values:", length(values), "\n")
print(values[1:8])

records <- matrix(values, ncol = 4)
colnames(records) <- c("volt", "load", "temp", "wear")
print(dim(records))
print(round(colMeans(records), 1))

x <- scale(records[, c("volt", "load", "temp")])
y <- as.numeric(scale(records[, "wear"]))
train <- 1:200

model <- keras_model_sequential(input_shape = 3) |>
  layer_dense(12, activation = "relu") |>
  layer_dense(1)
model |> compile(optimizer = optimizer_adam(0.02), loss = "mse")
history <- model |> fit(x[train, ], y[train], epochs = 15, batch_size = 20, verbose = 0,
                        validation_data = list(x[-train, ], y[-train]))
cat("validation loss:", round(history$metrics$val_loss[c(1, 5, 10, 15)], 2), "\n")

guess <- predict(model, x[-train, ], verbose = 0)[, 1]
r2 <- 1 - mean((y[-train] - guess)^2) / mean((y[-train] - mean(y[train]))^2)
cat("explained on the last records:", round(r2, 1), "\n")
print(round(cor(records)[, "wear"], 1))
