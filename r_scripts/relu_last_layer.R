#| title: May relu be the activation of the last layer?
#| expect-verdict: same-error
#| expect-cause: user-script
#
# A convolutional autoencoder for signals of 200 steps in 4 channels, with values from 0 to 255:
# first as it was printed, which cannot work, then mended, with two last activations.
library(tensorflow)
library(keras)

# Triangular waves of whole numbers: x[i, 1, k, l] = |(17 i + (2 l - 1) k) mod 510 - 255|.
n <- 24
at <- expand.grid(i = 1:n, j = 1, k = 1:200, l = 1:4)
x <- array(with(at, abs((17 * i + (2 * l - 1) * k) %% 510 - 255)), dim = c(n, 1, 200, 4))

# Every layer draws its first weights from a seed of its own: a pipe makes its last layer first.
conv <- function(object, filters, seed, activation = "relu", padding = "same") {
  layer_conv_2d(object, filters, c(1, 3), activation = activation, padding = padding,
                kernel_initializer = initializer_glorot_uniform(seed = seed))
}
pool <- function(object) layer_max_pooling_2d(object, c(1, 2), padding = "same")
up <- function(object) layer_upsampling_2d(object, c(1, 2))

autoencode <- function(signal, last, third) {
  signal %>%
    conv(64, 1) %>% pool() %>% conv(32, 2) %>% pool() %>% conv(32, 3) %>% pool() %>%
    conv(32, 4) %>% up() %>% conv(32, 5) %>% up() %>% conv(64, 6, padding = third) %>% up() %>%
    conv(4, 7, activation = last)
}

# As it was printed, first: the model is made from a name that nobody defined.
signal <- layer_input(shape = c(1, 200, 4))
decoded <- autoencode(signal, last = "sigmoid", third = "valid")
cat("the name:", tryCatch(
  keras_model(input_img, decoded),
  error = function(e) conditionMessage(e)
), "\n")

# Second: one layer pads nothing, so that what comes out is narrower than what went in.
printed <- keras_model(signal, decoded)
printed %>% compile(optimizer = "adam", loss = "mae")
cat("what comes out:", dim(predict(printed, x[1:2, , , , drop = FALSE], verbose = 0)), "\n")
refused <- tryCatch(
  printed %>% fit(x, x, epochs = 1, batch_size = 16, verbose = 0),
  error = function(e) conditionMessage(e)
)
cat("fit:", substr(refused, 1, 300), "\n")

# Do the axes arrive as R wrote them? A convolution of whole numbers can be checked by hand.
whole <- array((seq_len(1 * 3 * 4 * 2) * 5) %% 7 - 3, dim = c(1, 3, 4, 2))
by_hand <- keras_model_sequential() %>%
  layer_conv_2d(2, c(1, 3), padding = "same", input_shape = c(1, 200, 4),
                weights = list(whole, as.array(c(1, -2)))) %>%
  layer_max_pooling_2d(c(1, 2)) %>%
  layer_upsampling_2d(c(1, 2))
made <- predict(by_hand, x, verbose = 0)
cat("x[3, 1, 10, 2] =", x[3, 1, 10, 2], " made[3, 1, 10, 2] =", made[3, 1, 10, 2], "\n")

# Mended, and trained from the same weights with the same batches.
train <- function(last, x) {
  set_random_seed(1)
  signal <- layer_input(shape = c(1, 200, 4))
  model <- keras_model(signal, autoencode(signal, last, third = "same"))
  model %>% compile(optimizer = optimizer_adam(learning_rate = 0.001), loss = "mae")
  history <- model %>% fit(x, x, epochs = 20, batch_size = 8, verbose = 0)
  predict(model, x[1:8, , , , drop = FALSE], verbose = 0)
  history$metrics$loss
}
losses <- list(sigmoid = train("sigmoid", x), relu = train("relu", x))
scaled <- train("sigmoid", x / 255)

floor <- mean(abs(x - pmin(pmax(x, 0), 1)))
cat("the floor of a sigmoid:", floor, "\n")
cat("losses after the last epoch:", sapply(losses, tail, 1), "\n")
cat("scaled to 0..1, times 255:", 255 * tail(scaled, 1), "\n")
matplot(do.call(cbind, losses), type = "l", lty = 1, col = c("black", "red"),
        xlab = "epoch", ylab = "mean absolute error", main = "The last activation")
abline(h = floor, lty = 2)
