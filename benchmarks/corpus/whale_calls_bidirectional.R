# Whale calls as short sequences: a bidirectional LSTM with masked padding.
library(keras3)

set.seed(19)
set_random_seed(19)
n <- 200
longest <- 14
calls <- array(0, c(n, longest, 2))
rising <- rbinom(n, 1, 0.5)
for (i in 1:n) {
  len <- sample(8:longest, 1)
  pitch <- seq(-1, 1, length.out = len)
  if (rising[i] == 0) pitch <- rev(pitch)
  calls[i, 1:len, 1] <- pitch + rnorm(len, sd = 0.2) + 2
  calls[i, 1:len, 2] <- runif(len, 0.5, 1)
}
lens <- apply(calls[, , 2] > 0, 1, sum)
print(table(lens))

inputs <- keras_input(shape = c(NA, 2))
masked <- inputs |> layer_masking(mask_value = 0)
encode <- layer_bidirectional(layer = layer_lstm(units = 5), merge_mode = "concat")
outputs <- masked |> encode() |> layer_dense(1, activation = "sigmoid")
model <- keras_model(inputs, outputs)
model |> compile(optimizer = optimizer_adam(0.03), loss = "binary_crossentropy", metrics = "accuracy")
cat("weights:", length(get_weights(model)), "\n")

history <- model |> fit(calls[1:160, , ], rising[1:160], epochs = 6, batch_size = 32, verbose = 0)
cat("loss fell:", tail(history$metrics$loss, 1) < history$metrics$loss[1], "\n")

p <- predict(model, calls[161:200, , ], verbose = 0)[, 1]
print(table(rising = rising[161:200], said = as.integer(p > 0.5)))

# padding must not matter: a call with its zeros cut off gives the same answer
short <- which(lens < longest)[1]
padded <- predict(model, calls[short, , , drop = FALSE], verbose = 0)
cut <- predict(model, calls[short, 1:lens[short], , drop = FALSE], verbose = 0)
cat("padding does not matter:", abs(padded - cut) < 1e-5, "\n")
cat("shape of one call:", dim(calls[short, 1:lens[short], , drop = FALSE]), "\n")
