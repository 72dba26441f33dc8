# The share of water along strips of satellite pixels, from their three bands.
library(keras3)

set.seed(349)
set_random_seed(349)
pixels <- 12
n <- 240
share <- runif(n)
strips <- array(0, c(n, pixels, 3))
for (i in seq_len(n)) {
  water <- runif(pixels) < share[i]
  share[i] <- mean(water)
  strips[i, , 1] <- ifelse(water, 0.1, 0.4) + rnorm(pixels, sd = 0.03)
  strips[i, , 2] <- ifelse(water, 0.2, 0.5) + rnorm(pixels, sd = 0.03)
  strips[i, , 3] <- ifelse(water, 0.6, 0.2) + rnorm(pixels, sd = 0.03)
}
cat("strips:", dim(strips), " mean share:", round(mean(share), 2), "\n")
train <- 1:180

model <- keras_model_sequential(input_shape = c(pixels, 3)) |>
  layer_conv_1d(8, kernel_size = 3, activation = "relu") |>
  layer_dense(8, activation = "relu") |>
  layer_dense(1)
model |> compile(optimizer = optimizer_adam(0.01), loss = "mse", metrics = "mae")
history <- model |> fit(strips[train, , ], share[train], epochs = 12, batch_size = 15, verbose = 0)
cat("mse:", round(history$metrics$loss[c(1, 4, 8, 12)], 3), "\n")
cat("variance of the share:", round(var(share[train]), 3), "\n")

answer <- predict(model, strips[-train, , ], verbose = 0)
cat("shape of the answer:", dim(answer), "\n")
guess <- answer[seq_len(60)]
print(head(data.frame(share = round(share[-train], 2), guess = round(guess, 2)), 5))
result <- evaluate(model, strips[-train, , ], share[-train], verbose = 0)
cat("mae of the test strips:", round(result$mae, 2), "\n")
cat("mae of the mean:", round(mean(abs(share[-train] - mean(share[train]))), 2), "\n")
cat("correlation of guess and share:", round(cor(guess, share[-train]), 1), "\n")
