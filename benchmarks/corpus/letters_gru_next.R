# The next letter: one-hot windows of a text, a GRU, and a few letters written by the net.
library(keras)

set.seed(311)
text <- paste(rep("the rain in the plain stays mainly in the lane. ", 6), collapse = "")
letters_in <- strsplit(text, "")[[1]]
alphabet <- sort(unique(letters_in), method = "radix")
code <- match(letters_in, alphabet)
cat("letters:", length(letters_in), " different:", length(alphabet), "\n")

window <- 6
starts <- seq(1, length(code) - window, by = 1)
x <- array(0, c(length(starts), window, length(alphabet)))
y <- matrix(0, length(starts), length(alphabet))
for (i in seq_along(starts)) {
  s <- starts[i]
  x[cbind(i, 1:window, code[s:(s + window - 1)])] <- 1
  y[i, code[s + window]] <- 1
}
stopifnot(all(apply(x, c(1, 2), sum) == 1), all(rowSums(y) == 1))
cat("windows:", dim(x), "\n")

input <- layer_input(shape = c(window, length(alphabet)))
state <- input %>% layer_gru(16, kernel_initializer = initializer_glorot_uniform(seed = 1L),
                             recurrent_initializer = initializer_orthogonal(seed = 2L))
output <- state %>% layer_dense(length(alphabet), activation = "softmax",
                                kernel_initializer = initializer_glorot_uniform(seed = 3L))
model <- keras_model(input, output)
model %>% compile(optimizer = optimizer_rmsprop(learning_rate = 0.02), loss = "categorical_crossentropy")
history <- model %>% fit(x, y, epochs = 12, batch_size = 32, shuffle = FALSE, verbose = 0)
cat("loss at the start is about log of the alphabet:",
    abs(history$metrics$loss[1] - log(length(alphabet))) < 0.6, "\n")
cat("loss fell below half:", history$metrics$loss[12] < history$metrics$loss[1] / 2, "\n")

write_on <- function(seed_text, k) {
  written <- strsplit(seed_text, "")[[1]]
  for (step in seq_len(k)) {
    last <- match(tail(written, window), alphabet)
    one <- array(0, c(1, window, length(alphabet)))
    one[cbind(1, 1:window, last)] <- 1
    p <- predict(model, one, verbose = 0)
    written <- c(written, alphabet[which.max(p)])
  }
  paste(written, collapse = "")
}
longer <- write_on("the ra", 4)
cat("written letters:", nchar(longer), "\n")
cat("begins as given:", startsWith(longer, "the ra"), "\n")
