# Traffic signs by colour and shape: stop when the validation accuracy stays where it is.
library(keras)

set.seed(307)
n <- 300
sign <- sample(0:2, n, TRUE)
red <- c(0.9, 0.2, 0.5)[sign + 1] + rnorm(n, sd = 0.08)
corners <- c(8, 4, 3)[sign + 1] + rnorm(n, sd = 0.5)
x <- scale(cbind(red, corners))
train <- 1:220

model <- keras_model_sequential() %>%
  layer_dense(16, activation = "relu", input_shape = 2,
              kernel_initializer = initializer_he_normal(seed = 1L)) %>%
  layer_dense(3, activation = "softmax", kernel_initializer = initializer_he_normal(seed = 2L))
model %>% compile(
  optimizer = optimizer_adam(learning_rate = 0.05),
  loss = "sparse_categorical_crossentropy",
  metrics = c("accuracy")
)

rule <- callback_early_stopping(monitor = "val_acc", patience = 3, mode = "max",
                                restore_best_weights = TRUE)
history <- model %>% fit(
  x[train, ], sign[train],
  epochs = 30, batch_size = 22, shuffle = FALSE, verbose = 0,
  validation_data = list(x[-train, ], sign[-train]),
  callbacks = list(rule)
)
accuracy <- history$metrics$val_accuracy
cat("epochs run:", length(history$metrics$loss), "\n")
cat("validation accuracy:", round(accuracy[c(1, 2, 5, 10)], 2), "\n")
cat("last epoch in which it grew:", max(which(diff(cummax(accuracy)) > 0), 0) + 1, "\n")

held <- predict(model, x[-train, ], verbose = 0)
print(table(sign = sign[-train], said = max.col(held) - 1))
cat("loss of the best epoch and now:", isTRUE(all.equal(
  min(history$metrics$val_loss), unname(evaluate(model, x[-train, ], sign[-train], verbose = 0)["loss"]),
  tolerance = 1e-3)), "\n")
