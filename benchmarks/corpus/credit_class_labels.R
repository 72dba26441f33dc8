# Credit classes as in an older course: fit a classifier and ask it for class labels.
library(keras)

set.seed(271)
n <- 240
clients <- data.frame(debt = runif(n, 0, 2), income = rlnorm(n, 1, 0.4), age = sample(20:75, n, TRUE))
score <- with(clients, 1.5 * debt - 0.8 * log(income) + rnorm(n, sd = 0.2))
clients$class <- cut(score, quantile(score, c(0, 1/3, 2/3, 1)), labels = c("A", "B", "C"),
                     include.lowest = TRUE)
print(table(clients$class))

x <- scale(as.matrix(clients[, c("debt", "income", "age")]))
y <- to_categorical(as.integer(clients$class) - 1)
train <- 1:180

model <- keras_model_sequential() %>%
  layer_dense(units = 16, activation = "relu", input_shape = c(3),
              kernel_initializer = initializer_he_normal(seed = 1L)) %>%
  layer_dense(units = 3, activation = "softmax",
              kernel_initializer = initializer_he_normal(seed = 2L))
model %>% compile(
  optimizer = "rmsprop",
  loss = "categorical_crossentropy",
  metrics = c("accuracy")
)
model %>% fit(x[train, ], y[train, ], epochs = 12, batch_size = 20, shuffle = FALSE, verbose = 0)

score <- model %>% evaluate(x[-train, ], y[-train, ], verbose = 0)
cat("names of the score:", names(score), "\n")

classes <- model %>% predict_classes(x[-train, ])
print(table(truth = clients$class[-train], said = LETTERS[classes + 1]))
cat("accuracy:", mean(LETTERS[classes + 1] == clients$class[-train]), "\n")
