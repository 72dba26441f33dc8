# Callbacks that write files: checkpoints, a CSV log; then save, load and compare.
library(keras)

set.seed(47)
tensorflow::set_random_seed(47)
n <- 300
paint <- data.frame(humidity = runif(n, 20, 90), heat = runif(n, 5, 35), coats = sample(1:3, n, TRUE))
paint$hours <- with(paint, 2 + 0.04 * humidity - 0.06 * heat + 0.8 * coats + rnorm(n, sd = 0.2))
x <- scale(as.matrix(paint[, 1:3]))
y <- paint$hours
train <- 1:240

folder <- tempfile("paint")
dir.create(folder)
best <- file.path(folder, "best.h5")
log_file <- file.path(folder, "log.csv")

make <- function() {
  m <- keras_model_sequential()
  m %>% layer_dense(12, activation = "relu", input_shape = 3)
  m %>% layer_dense(1)
  m %>% compile(optimizer = optimizer_adam(learning_rate = 0.05), loss = "mse", metrics = "mae")
  m
}
model <- make()

history <- model %>% fit(
  x[train, ], y[train], epochs = 10, batch_size = 24, verbose = 0,
  validation_data = list(x[-train, ], y[-train]),
  callbacks = list(
    callback_model_checkpoint(best, monitor = "val_loss", save_best_only = TRUE,
                              save_weights_only = TRUE),
    callback_csv_logger(log_file),
    callback_reduce_lr_on_plateau(monitor = "val_loss", factor = 0.5, patience = 2)
  )
)
print(list.files(folder))
log <- read.csv(log_file)
print(names(log))
cat("log agrees with the history:",
    isTRUE(all.equal(log$val_loss, history$metrics$val_loss, tolerance = 1e-6)), "\n")
best_epoch <- which.min(history$metrics$val_loss)
cat("best epoch:", best_epoch, "of", nrow(log), "\n")

again <- make()
load_model_weights_hdf5(again, best)
score <- evaluate(again, x[-train, ], y[-train], verbose = 0)
cat(sprintf("val_loss %.4f, from the checkpoint %.4f\n",
            min(history$metrics$val_loss), score["loss"]))

whole <- file.path(folder, "whole.h5")
save_model_hdf5(model, whole)
copy <- load_model_hdf5(whole)
cat("predictions of the copy are identical:",
    identical(predict(model, x[-train, ], verbose = 0), predict(copy, x[-train, ], verbose = 0)), "\n")
print(head(data.frame(truth = round(y[-train], 2),
                      guess = round(predict(copy, x[-train, ], verbose = 0)[, 1], 1)), 4))
unlink(folder, recursive = TRUE)
