# Five-fold cross validation of a small regression net, fold by fold in an R loop.
library(keras)

set.seed(67)
n <- 200
cider <- data.frame(
  sugar = rnorm(n, 11, 1.5), acid = rnorm(n, 6, 0.8), tannin = rexp(n, 1), months = sample(2:12, n, TRUE)
)
cider$score <- with(cider, 60 + 2 * sugar - 3 * abs(acid - 6) + 4 * log(months) - 1.5 * tannin +
                      rnorm(n, sd = 2))
features <- c("sugar", "acid", "tannin", "months")

k <- 5
fold <- sample(rep(1:k, length.out = n))
print(table(fold))

build <- function(width) {
  model <- keras_model_sequential() %>%
    layer_dense(width, activation = "relu", input_shape = length(features),
                kernel_initializer = initializer_he_normal(seed = 21L)) %>%
    layer_dense(1, kernel_initializer = initializer_he_normal(seed = 22L),
                bias_initializer = initializer_constant(75))
  compile(model, optimizer = optimizer_rmsprop(learning_rate = 0.02), loss = "mse", metrics = "mae")
  model
}

curves <- NULL
scores <- c()
for (i in 1:k) {
  train <- cider[fold != i, ]
  test <- cider[fold == i, ]
  x_train <- scale(train[, features])
  x_test <- scale(test[, features], center = attr(x_train, "scaled:center"),
                  scale = attr(x_train, "scaled:scale"))
  model <- build(12)
  history <- model %>% fit(x_train, train$score, epochs = 8, batch_size = 16, shuffle = FALSE,
                           validation_data = list(x_test, test$score), verbose = 0)
  curves <- rbind(curves, history$metrics$val_mae)
  result <- evaluate(model, x_test, test$score, verbose = 0)
  scores <- c(scores, result[["mae"]])
  cat(sprintf("fold %d: %d rows, mae %.2f\n", i, nrow(test), scores[i]))
}

cat(sprintf("mean mae %.2f, sd %.2f\n", mean(scores), sd(scores)))
average <- colMeans(curves)
cat("average curve:", round(average, 1), "\n")
cat("best epoch on average:", which.min(average), "\n")

guess_mean <- mean(abs(cider$score - mean(cider$score)))
cat("better than guessing the mean:", mean(scores) < guess_mean, "\n")
