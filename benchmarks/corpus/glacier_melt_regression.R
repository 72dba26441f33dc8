# Yearly melt of glaciers: a table, grouped summaries, a normalisation layer and a small net.
library(keras3)

set.seed(5)
set_random_seed(5)
n <- 380
glacier <- data.frame(
  region = sample(c("alps", "andes", "iceland"), n, replace = TRUE),
  altitude = round(runif(n, 1200, 5200)),
  summer = round(rnorm(n, 6, 3), 1),
  snow = round(rgamma(n, 5, 2), 2)
)
offset <- c(alps = 0.4, andes = -0.2, iceland = 0.9)
glacier$melt <- with(glacier, 1.5 + offset[region] + 0.25 * summer - 0.35 * snow -
                       altitude / 4000 + rnorm(n, sd = 0.15))
print(head(glacier, 3))
print(aggregate(melt ~ region, glacier, function(v) round(mean(v), 2)))

x <- cbind(model.matrix(~ 0 + region, glacier), as.matrix(glacier[, c("altitude", "summer", "snow")]))
print(colnames(x))
rows <- split(sample(n), rep(c("train", "test"), c(300, 80)))

normalise <- layer_normalization(axis = -1)
normalise |> adapt(x[rows$train, ])

inputs <- keras_input(shape = ncol(x))
outputs <- inputs |>
  normalise() |>
  layer_dense(32, activation = "relu") |>
  layer_dense(1)
model <- keras_model(inputs, outputs)
model |> compile(optimizer = optimizer_adam(0.01), loss = "mean_squared_error",
                 metrics = list("mean_absolute_error"))
model

history <- model |> fit(
  x[rows$train, ], glacier$melt[rows$train],
  epochs = 12, batch_size = 32, validation_split = 0.2, verbose = 0
)
print(names(history$metrics))
cat(sprintf("validation loss: %.3f to %.3f\n", history$metrics$val_loss[1],
            tail(history$metrics$val_loss, 1)))

result <- model |> evaluate(x[rows$test, ], glacier$melt[rows$test], verbose = 0)
str(names(result))
glacier$fitted <- predict(model, x, verbose = 0)[, 1]
test <- glacier[rows$test, ]
r2 <- 1 - sum((test$melt - test$fitted)^2) / sum((test$melt - mean(test$melt))^2)
cat("R squared on the test rows:", round(r2, 1), "\n")
by_region <- tapply(test$melt - test$fitted, test$region, function(e) sqrt(mean(e^2)))
print(round(by_region, 1))
