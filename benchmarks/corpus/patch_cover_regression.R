# The share of water in small satellite patches, from their three bands.
library(keras3)

set.seed(349)
set_random_seed(349)
side <- 6
n <- 200
share <- runif(n)
patches <- array(0, c(n, side, side, 3))
for (i in seq_len(n)) {
  water <- matrix(runif(side^2) < share[i], side)
  patches[i, , , 1] <- ifelse(water, 0.1, 0.4) + rnorm(side^2, sd = 0.03)
  patches[i, , , 2] <- ifelse(water, 0.2, 0.5) + rnorm(side^2, sd = 0.03)
  patches[i, , , 3] <- ifelse(water, 0.6, 0.2) + rnorm(side^2, sd = 0.03)
}
cat("patches:", dim(patches), " mean share:", round(mean(share), 2), "\n")
train <- 1:150

model <- keras_model_sequential(input_shape = c(side, side, 3)) |>
  layer_conv_2d(8, kernel_size = 3, activation = "relu") |>
  layer_dense(8, activation = "relu") |>
  layer_dense(1)
model |> compile(optimizer = optimizer_adam(0.01), loss = "mse", metrics = "mae")
history <- model |> fit(patches[train, , , ], share[train], epochs = 12, batch_size = 15, verbose = 0)
cat("mse:", round(history$metrics$loss[c(1, 4, 8, 12)], 3), "\n")
cat("variance of the share:", round(var(share[train]), 3), "\n")

answer <- predict(model, patches[-train, , , ], verbose = 0)
cat("shape of the answer:", dim(answer), "\n")
guess <- answer[seq_len(50)]
print(head(data.frame(share = round(share[-train], 2), guess = round(guess, 2)), 4))
cat("mae of the test patches:", round(evaluate(model, patches[-train, , , ], share[-train], verbose = 0)$mae, 2), "\n")
cat("mae of the mean:", round(mean(abs(share[-train] - mean(share[train]))), 2), "\n")
