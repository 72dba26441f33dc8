# Birds of three islands: a classifier with a validation split.
library(keras)

set.seed(263)
tensorflow::set_random_seed(263)
each <- 70
birds <- data.frame(
  island = factor(rep(c("east", "north", "west"), each = each)),
  bill = c(rnorm(each, 38, 1.5), rnorm(each, 48, 1.8), rnorm(each, 44, 1.6)),
  depth = c(rnorm(each, 18, 0.8), rnorm(each, 15, 0.7), rnorm(each, 19.5, 0.8)),
  mass = c(rnorm(each, 3.7, 0.3), rnorm(each, 5.1, 0.3), rnorm(each, 4.1, 0.3))
)
print(aggregate(cbind(bill, depth, mass) ~ island, data = birds, FUN = function(v) round(mean(v), 1)))

x <- scale(data.matrix(birds[, c("bill", "depth", "mass")]))
y <- to_categorical(as.integer(birds$island) - 1, 3)

model <- keras_model_sequential()
model %>%
  layer_dense(16, activation = "relu", input_shape = 3) %>%
  layer_dense(3, activation = "softmax")
model %>% compile(
  loss = "categorical_crossentropy",
  optimizer = optimizer_adam(learning_rate = 0.02),
  metrics = "accuracy"
)

history <- model %>% fit(x, y, epochs = 15, batch_size = 14, validation_split = 0.35, verbose = 0)
curve <- data.frame(
  epoch = c(1, 5, 10, 15),
  train = round(history$metrics$accuracy[c(1, 5, 10, 15)], 2),
  validation = round(history$metrics$val_accuracy[c(1, 5, 10, 15)], 2)
)
print(curve)
cat("validation loss:", round(history$metrics$val_loss[c(1, 5, 10, 15)], 1), "\n")

p <- predict(model, x, verbose = 0)
said <- levels(birds$island)[max.col(p)]
print(table(island = birds$island, said = factor(said, levels = levels(birds$island))))
