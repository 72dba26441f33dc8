# Loans: will a client fall behind? A dense net with dropout, checked against the share of defaults.
library(keras)

set.seed(251)
tensorflow::set_random_seed(251)
n <- 480
loans <- data.frame(
  income = round(rlnorm(n, 10.3, 0.4)),
  amount = round(runif(n, 1, 40) * 1000),
  years = sample(1:6, n, replace = TRUE),
  owner = rbinom(n, 1, 0.4)
)
loans$burden <- with(loans, amount / income / years)
loans$default <- rbinom(n, 1, plogis(-1 + 4 * loans$burden - 0.8 * loans$owner))
cat("share of defaults:", round(mean(loans$default), 3), "\n")

x <- with(loans, cbind(log(income), amount / 10000, years, owner, burden))
train <- 1:360
centre <- colMeans(x[train, ])
spread <- apply(x[train, ], 2, sd)
x <- scale(x, centre, spread)

model <- keras_model_sequential() %>%
  layer_dense(units = 16, activation = "relu", input_shape = 5) %>%
  layer_dropout(rate = 0.1) %>%
  layer_dense(units = 8, activation = "relu") %>%
  layer_dense(units = 1, activation = "softmax")

model %>% compile(
  loss = "binary_crossentropy",
  optimizer = optimizer_adam(learning_rate = 0.01),
  metrics = c("accuracy")
)

history <- model %>% fit(
  x[train, ], loans$default[train],
  epochs = 12, batch_size = 24, validation_split = 0.2, verbose = 0
)
cat("accuracy by epoch:", round(history$metrics$accuracy, 3), "\n")
cat("validation accuracy:", round(history$metrics$val_accuracy, 3), "\n")

p <- predict(model, x[-train, ], verbose = 0)[, 1]
cat("summary of the predictions:\n")
print(summary(p))
print(table(default = loans$default[-train], said = p > 0.5))
cat("accuracy on new loans:", round(mean((p > 0.5) == loans$default[-train]), 3), "\n")
simple <- glm(default ~ burden + owner, data = loans[train, ], family = binomial)
q <- predict(simple, loans[-train, ], type = "response")
cat("accuracy of glm:", round(mean((q > 0.5) == loans$default[-train]), 3), "\n")
