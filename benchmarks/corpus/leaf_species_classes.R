# Leaf measurements of three species: one-hot labels, dropout, a confusion matrix.
library(keras)

set.seed(11)
tensorflow::set_random_seed(11)
per_class <- 80
species <- factor(rep(c("alder", "birch", "hazel"), each = per_class))
width  <- rnorm(3 * per_class, mean = c(4.1, 3.0, 6.2)[species], sd = 0.6)
length <- rnorm(3 * per_class, mean = c(6.0, 5.1, 7.3)[species], sd = 0.7)
teeth  <- rpois(3 * per_class, lambda = c(22, 34, 27)[species])
leaves <- data.frame(width, length, teeth, species)

mixed <- leaves[sample(nrow(leaves)), ]
n_train <- round(0.75 * nrow(mixed))
print(table(mixed$species[1:n_train]))

x <- scale(as.matrix(mixed[, c("width", "length", "teeth")]))
attr(x, "scaled:center") <- NULL
attr(x, "scaled:scale") <- NULL
y <- to_categorical(as.integer(mixed$species) - 1, num_classes = nlevels(mixed$species))
print(dim(y))
print(head(y, 3))

x_train <- x[1:n_train, ]
y_train <- y[1:n_train, ]
x_test <- x[(n_train + 1):nrow(x), ]
y_test <- y[(n_train + 1):nrow(y), ]

model <- keras_model_sequential()
model %>%
  layer_dense(units = 16, activation = "relu", input_shape = c(3)) %>%
  layer_dropout(rate = 0.2) %>%
  layer_dense(units = 3, activation = "softmax")

model %>% compile(
  loss = "categorical_crossentropy",
  optimizer = optimizer_adam(learning_rate = 0.02),
  metrics = c("accuracy")
)

history <- model %>% fit(
  x_train, y_train,
  epochs = 15, batch_size = 16,
  validation_split = 0.2, verbose = 0
)
print(names(history$metrics))
cat(sprintf("training loss: first %.3f, last %.3f\n",
            history$metrics$loss[1], tail(history$metrics$loss, 1)))

scores <- model %>% evaluate(x_test, y_test, verbose = 0)
print(round(scores, 2))

probabilities <- model %>% predict(x_test, verbose = 0)
cat("row sums:", range(round(rowSums(probabilities), 5)), "\n")
predicted <- factor(levels(leaves$species)[max.col(probabilities)], levels = levels(leaves$species))
truth <- mixed$species[(n_train + 1):nrow(mixed)]
confusion <- table(truth = truth, predicted = predicted)
print(confusion)
cat("accuracy by hand:", round(sum(diag(confusion)) / sum(confusion), 2), "\n")
