# Soil types from three measurements: each sample has one type, and its probabilities are wanted.
library(keras3)

set.seed(347)
set_random_seed(347)
n <- 300
type <- sample(c("clay", "loam", "sand", "peat"), n, TRUE)
means <- rbind(clay = c(60, 7, 3), loam = c(35, 6.5, 5), sand = c(12, 6, 1), peat = c(30, 4.5, 14))
soil <- means[type, ] + cbind(rnorm(n, sd = 8), rnorm(n, sd = 0.5), rnorm(n, sd = 1.5))
colnames(soil) <- c("fine", "acid", "organic")
print(round(apply(soil, 2, tapply, type, mean), 1))

kinds <- factor(type)
x <- scale(soil)
y <- to_categorical(as.integer(kinds) - 1, nlevels(kinds))
train <- 1:240

model <- keras_model_sequential(input_shape = 3) |>
  layer_dense(12, activation = "relu") |>
  layer_dense(4, activation = "sigmoid")
model |> compile(
  optimizer = optimizer_adam(learning_rate = 0.01),
  loss = "categorical_crossentropy",
  metrics = "accuracy"
)
history <- model |> fit(x[train, ], y[train, ], epochs = 12, batch_size = 16, verbose = 0)
cat("accuracy:", round(history$metrics$accuracy[c(1, 6, 12)], 1), "\n")

p <- predict(model, x[-train, ], verbose = 0)
colnames(p) <- levels(kinds)
print(round(head(p, 4), 2))
cat("the probabilities of a sample add up to", round(range(rowSums(p)), 2), "\n")
sure <- p[cbind(seq_len(nrow(p)), max.col(p))]
cat("mean of the highest probability:", round(mean(sure), 2), "\n")

said <- factor(levels(kinds)[max.col(p)], levels = levels(kinds))
print(table(truth = kinds[-train], said = said))
expected_peat <- sum(p[, "peat"])
cat(sprintf("peat samples: %d, expected from the probabilities: %.1f\n",
            sum(kinds[-train] == "peat"), expected_peat))
