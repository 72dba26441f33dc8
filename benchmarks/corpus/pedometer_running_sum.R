# Steps so far: a lambda layer that adds up along time, before a dense layer reads the last hours.
library(keras3)

set.seed(337)
n <- 240
hours <- 8
steps <- array(rpois(n * hours, 4) / 4, c(n, hours, 1))
total <- apply(steps, 1, sum)
goal <- as.numeric(total > 8)
cat("goals reached:", sum(goal), "of", n, "\n")

inputs <- keras_input(shape = c(hours, 1))
running <- inputs |> layer_lambda(function(v) op_cumsum(v, axis = 1), name = "so_far",
                                  output_shape = c(hours, 1))
outputs <- running |>
  layer_flatten() |>
  layer_dense(1, activation = "sigmoid", kernel_initializer = initializer_glorot_uniform(seed = 1))
model <- keras_model(inputs, outputs)
so_far <- keras_model(inputs, running)

one <- steps[1, , , drop = FALSE]
cat("steps of the first person:", one, "\n")
cat("so far, person alone:     ", predict(so_far, one, verbose = 0), "\n")
several <- predict(so_far, steps[1:4, , , drop = FALSE], verbose = 0)
cat("so far, third of four:    ", several[3, , 1], "\n")
cat("cumsum() of R:            ", cumsum(steps[3, , 1]), "\n")

model |> compile(optimizer = optimizer_adam(0.05), loss = "binary_crossentropy", metrics = "accuracy")
history <- model |> fit(steps[1:180, , , drop = FALSE], goal[1:180], epochs = 12, batch_size = 30,
                        shuffle = FALSE, verbose = 0)
cat("accuracy:", round(history$metrics$accuracy[c(1, 6, 12)], 2), "\n")

held <- steps[181:n, , , drop = FALSE]
together <- predict(model, held, verbose = 0)[, 1]
alone <- sapply(1:10, function(i) predict(model, held[i, , , drop = FALSE], verbose = 0)[1, 1])
cat("alone as together:", max(abs(alone - together[1:10])) < 1e-4, "\n")
print(table(goal = goal[181:n], said = as.integer(together > 0.5)))
