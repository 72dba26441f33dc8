# Same writer or not: two inputs through one shared net, and a contrastive loss written in R.
library(keras)

set.seed(53)
writers <- 8
style <- matrix(rnorm(writers * 6), writers)
sheet <- function(w) style[w, ] + rnorm(6, sd = 0.35)

pairs <- 300
left <- right <- matrix(0, pairs, 6)
same <- as.numeric(rbinom(pairs, 1, 0.5))
for (p in seq_len(pairs)) {
  w <- sample(writers, 2)
  left[p, ] <- sheet(w[1])
  right[p, ] <- sheet(if (same[p] == 1) w[1] else w[2])
}
cat("pairs:", pairs, " of one writer:", sum(same), "\n")

base <- keras_model_sequential(name = "base") %>%
  layer_dense(16, activation = "relu", input_shape = 6,
              kernel_initializer = initializer_glorot_uniform(seed = 1L)) %>%
  layer_dense(4, kernel_initializer = initializer_glorot_uniform(seed = 2L))

input_a <- layer_input(shape = 6, name = "a")
input_b <- layer_input(shape = 6, name = "b")
code_a <- base(input_a)
code_b <- base(input_b)

distance <- list(code_a, code_b) %>%
  layer_lambda(function(both) {
    k_sqrt(k_maximum(k_sum(k_square(both[[1]] - both[[2]]), axis = 2, keepdims = TRUE), 1e-7))
  }, name = "distance")
model <- keras_model(list(input_a, input_b), distance)

margin <- 2
contrastive <- function(y_true, y_pred) {
  k_mean(y_true * k_square(y_pred) + (1 - y_true) * k_square(k_maximum(margin - y_pred, 0)))
}
close_enough <- custom_metric("close_enough", function(y_true, y_pred) {
  k_mean(k_equal(y_true, k_cast(y_pred < margin / 2, "float32")))
})

model %>% compile(optimizer = optimizer_rmsprop(learning_rate = 0.01), loss = contrastive,
                  metrics = close_enough)
history <- model %>% fit(
  list(left[1:240, ], right[1:240, ]), same[1:240],
  epochs = 10, batch_size = 24, shuffle = FALSE, verbose = 0
)
print(names(history$metrics))
cat("loss:", round(history$metrics$loss[c(1, 4, 10)], 3), "\n")

held <- 241:300
d <- as.vector(predict(model, list(left[held, ], right[held, ]), verbose = 0))
print(tapply(d, same[held], function(v) round(mean(v), 2)))
print(table(same = same[held], near = d < margin / 2))

# the distance of a pair does not hang on its order
back <- as.vector(predict(model, list(right[held, ], left[held, ]), verbose = 0))
cat("largest change when swapped:", max(abs(back - d)) < 1e-6, "\n")
