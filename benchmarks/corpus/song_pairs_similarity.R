# Do two songs sound alike? One shared tower, two inputs, cosine similarity as the answer.
library(keras3)

set.seed(89)
genres <- 5
profile <- matrix(rnorm(genres * 8), genres)
n <- 400
first <- sample(genres, n, TRUE)
second <- ifelse(runif(n) < 0.5, first, sample(genres, n, TRUE))
song <- function(g) profile[g, ] + matrix(rnorm(length(g) * 8, sd = 0.4), length(g))
a <- song(first)
b <- song(second)
alike <- as.numeric(first == second)
cat("pairs:", n, "alike:", sum(alike), "\n")

tower <- keras_model_sequential(input_shape = 8, name = "tower") |>
  layer_dense(16, activation = "relu", kernel_initializer = initializer_glorot_uniform(seed = 1)) |>
  layer_dense(6, kernel_initializer = initializer_glorot_uniform(seed = 2)) |>
  layer_unit_normalization()

in_a <- keras_input(8, name = "song_a")
in_b <- keras_input(8, name = "song_b")
similarity <- layer_dot(list(tower(in_a), tower(in_b)), axes = 2)
answer <- similarity |>
  layer_dense(1, activation = "sigmoid", kernel_initializer = initializer_constant(3), name = "answer")
model <- keras_model(list(in_a, in_b), answer)
model |> compile(optimizer = optimizer_adam(0.01), loss = "binary_crossentropy", metrics = "accuracy")

train <- 1:320
history <- model |> fit(
  list(song_a = a[train, ], song_b = b[train, ]), alike[train],
  epochs = 8, batch_size = 32, shuffle = FALSE, verbose = 0
)
cat(sprintf("accuracy %.2f to %.2f\n", history$metrics$accuracy[1], tail(history$metrics$accuracy, 1)))

p <- predict(model, list(a[-train, ], b[-train, ]), verbose = 0)[, 1]
print(table(alike = alike[-train], said = as.integer(p > 0.5)))

code <- predict(tower, a[1:5, ], verbose = 0)
cat("lengths of the codes:", round(sqrt(rowSums(code^2)), 3), "\n")

# the answer from the codes by hand
codes_b <- predict(tower, b[1:5, ], verbose = 0)
w <- get_weights(get_layer(model, "answer"))
by_hand <- plogis(rowSums(code * codes_b) * w[[1]][1, 1] + as.numeric(w[[2]]))
cat("as by hand:", max(abs(by_hand - predict(model, list(a[1:5, ], b[1:5, ]), verbose = 0)[, 1])) < 1e-5, "\n")
