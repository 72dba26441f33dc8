# Transfer: a convolutional base trained on stripes is frozen and used for blobs.
library(keras)

set.seed(59)
tensorflow::set_random_seed(59)
side <- 10
stripe <- function(across) {
  wave <- rep(c(1, 1, 0, 0), length.out = side + 3)[sample(4, 1) + 0:(side - 1)]
  m <- matrix(wave, side, side)
  if (across) t(m) else m
}
blob <- function(big) {
  at <- runif(2, 4, 7)
  outer(1:side, 1:side, function(i, j) exp(-((i - at[1])^2 + (j - at[2])^2) / if (big) 8 else 2))
}
stack <- function(maker, flags) {
  out <- array(0, c(length(flags), side, side, 1))
  for (k in seq_along(flags)) out[k, , , 1] <- maker(flags[k] == 1) + rnorm(side^2, sd = 0.1)
  out
}
flags <- rbinom(200, 1, 0.5)
stripes <- stack(stripe, flags)
flags2 <- rbinom(120, 1, 0.5)
blobs <- stack(blob, flags2)

base <- keras_model_sequential(name = "base")
base %>% layer_conv_2d(8, 3, activation = "relu", input_shape = c(side, side, 1))
base %>% layer_max_pooling_2d(2)
base %>% layer_flatten()

first <- keras_model_sequential()
first$add(base)
first %>% layer_dense(1, activation = "sigmoid")
first %>% compile("adam", "binary_crossentropy", metrics = "accuracy")
first %>% fit(stripes, flags, epochs = 6, batch_size = 20, verbose = 0)
cat("stripes, accuracy:", round(evaluate(first, stripes, flags, verbose = 0)["accuracy"], 2), "\n")

freeze_weights(base)
before <- get_weights(base)
second <- keras_model_sequential()
second$add(base)
second %>% layer_dense(8, activation = "relu")
second %>% layer_dense(1, activation = "sigmoid")
second %>% compile(optimizer = optimizer_adam(learning_rate = 0.01), loss = "binary_crossentropy",
                   metrics = "accuracy")
cat("trainable weights:", length(second$trainable_weights), "of", length(second$weights), "\n")

history <- second %>% fit(blobs[1:90, , , , drop = FALSE], flags2[1:90], epochs = 8,
                          batch_size = 15, verbose = 0)
cat("base unchanged:", identical(before, get_weights(base)), "\n")
cat("loss:", round(history$metrics$loss[c(1, 4, 8)], 2), "\n")

held <- predict(second, blobs[91:120, , , , drop = FALSE], verbose = 0)[, 1]
print(table(big = flags2[91:120], said = as.integer(held > 0.5)))
