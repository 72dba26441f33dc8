# Adverts: will it be clicked, and how long will it be watched? Two heads on one body.
library(keras3)

set.seed(103)
n <- 420
ads <- data.frame(hour = sample(0:23, n, TRUE), seconds = sample(c(6, 15, 30), n, TRUE),
                  device = factor(sample(c("phone", "tablet", "tv"), n, TRUE)))
ads$clicked <- rbinom(n, 1, plogis(-1 + 2 * (ads$device == "phone") + 0.8 * (ads$hour > 17)))
ads$watched <- with(ads, pmin(1, pmax(0, 0.9 - seconds / 50 + 0.3 * (device == "tv") + rnorm(n, sd = 0.1))))
print(round(tapply(ads$clicked, ads$device, mean), 2))

x <- cbind(sin(2 * pi * ads$hour / 24), cos(2 * pi * ads$hour / 24), ads$seconds / 30,
           to_categorical(as.integer(ads$device) - 1, 3))
cat("inputs:", dim(x), "\n")

seeded <- function(s) initializer_he_normal(seed = s)
inputs <- keras_input(shape = 6)
body <- inputs |> layer_dense(24, activation = "relu", kernel_initializer = seeded(1))
click <- body |> layer_dense(1, activation = "sigmoid", name = "click", kernel_initializer = seeded(2))
watch <- body |> layer_dense(1, name = "watch", kernel_initializer = seeded(3))
model <- keras_model(inputs, list(click = click, watch = watch))

model |> compile(
  optimizer = optimizer_adam(learning_rate = 0.01),
  loss = list(click = "binary_crossentropy", watch = "mse"),
  loss_weights = list(click = 1, watch = 4),
  metrics = list(click = "accuracy", watch = "mae")
)
train <- 1:340
history <- model |> fit(
  x[train, ], list(click = ads$clicked[train], watch = ads$watched[train]),
  epochs = 10, batch_size = 20, shuffle = FALSE, verbose = 0
)
print(sort(names(history$metrics)))

out <- predict(model, x[-train, ], verbose = 0)
str(lapply(out, dim))
said <- out$click[, 1] > 0.5
cat("click accuracy at least as good as the commonest answer:",
    mean(said == ads$clicked[-train]) >= max(table(ads$clicked[-train])) / 80 - 0.05, "\n")
cat(sprintf("watch: rmse below sd: %s\n",
            sqrt(mean((out$watch[, 1] - ads$watched[-train])^2)) < sd(ads$watched[-train])))
result <- evaluate(model, x[-train, ], list(click = ads$clicked[-train], watch = ads$watched[-train]),
                   verbose = 0)
print(round(unlist(result), 1))
