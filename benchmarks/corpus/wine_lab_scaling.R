# Wine grades from the lab: standardised by hand, then a dense classifier.
library(keras)

set.seed(227)
tensorflow::set_random_seed(227)
n <- 300
lab <- cbind(
  alcohol = rnorm(n, 12, 1),
  magnesium = rnorm(n, 100, 14),
  proline = rnorm(n, 750, 300)
)
grade <- as.integer(lab[, "alcohol"] - 12 + (lab[, "magnesium"] - 100) / 28 +
                      rnorm(n, sd = 0.3) > 0)
cat("good wines:", sum(grade), "of", n, "\n")

standardise <- function(m) (m - colMeans(m)) / apply(m, 2, sd)
x <- standardise(lab)
cat("rows and columns:", dim(x), "\n")
print(round(apply(x, 2, mean), 2))
print(round(apply(x, 2, sd), 2))

train <- 1:220
model <- keras_model_sequential()
model %>%
  layer_dense(units = 8, activation = "relu", input_shape = ncol(x)) %>%
  layer_dense(units = 1, activation = "sigmoid")
model %>% compile(
  optimizer = optimizer_adam(learning_rate = 0.02),
  loss = "binary_crossentropy",
  metrics = "accuracy"
)

history <- model %>% fit(
  x[train, ], grade[train],
  epochs = 10, batch_size = 20, verbose = 0,
  validation_data = list(x[-train, ], grade[-train])
)
cat("loss:", round(history$metrics$loss, 2), "\n")
cat("validation accuracy:", round(history$metrics$val_accuracy, 2), "\n")

p <- predict(model, x[-train, ], verbose = 0)[, 1]
print(table(grade = grade[-train], said = as.integer(p > 0.5)))
reference <- glm(grade ~ lab, family = binomial)
cat("accuracy of glm on all rows:", round(mean((fitted(reference) > 0.5) == grade), 2), "\n")
