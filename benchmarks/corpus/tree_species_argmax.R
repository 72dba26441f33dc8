# Tree species from leaf and bark: the likeliest class of each tree, compared with its label.
library(keras)

set.seed(293)
tensorflow::set_random_seed(293)
n <- 270
species <- factor(sample(c("ash", "beech", "cherry"), n, TRUE))
trees <- data.frame(
  leaf = rnorm(n, c(8, 6, 10)[species], 0.7),
  bark = rnorm(n, c(5, 1.5, 3)[species], 0.5)
)
print(table(species))

x <- scale(as.matrix(trees))
y <- to_categorical(as.integer(species) - 1, num_classes = 3)
train <- 1:200

model <- keras_model_sequential()
model %>%
  layer_dense(12, activation = "relu", input_shape = 2) %>%
  layer_dense(3, activation = "softmax")
model %>% compile(
  optimizer = optimizer_adam(learning_rate = 0.03),
  loss = "categorical_crossentropy",
  metrics = "accuracy"
)
model %>% fit(x[train, ], y[train, ], epochs = 12, batch_size = 20, verbose = 0)
score <- model %>% evaluate(x[-train, ], y[-train, ], verbose = 0)
cat(sprintf("accuracy by evaluate(): %.2f\n", score["accuracy"]))

likeliest <- model %>% predict(x[-train, ], verbose = 0) %>% k_argmax() %>% as.array() %>% as.vector()
truth <- as.integer(species[-train])
cat("codes of the truth:", sort(unique(truth)), "\n")
cat("codes of the answers:", sort(unique(likeliest)), "\n")
cat(sprintf("accuracy by hand: %.2f\n", mean(likeliest == truth)))
print(table(truth = truth, said = likeliest))

named <- levels(species)[likeliest]
cat("answers with a name:", length(named), "of", length(likeliest), "\n")
print(table(named))
