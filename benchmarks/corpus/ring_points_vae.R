# A variational autoencoder with a lambda layer: points on a ring, two latent numbers.
library(keras)
library(tensorflow)

set.seed(41)
set_random_seed(41)
n <- 480
angle <- runif(n, 0, 2 * pi)
radius <- rnorm(n, 1, 0.05)
points <- cbind(radius * cos(angle), radius * sin(angle), radius * cos(2 * angle))
cat("data:", dim(points), " mean length:", round(mean(sqrt(rowSums(points[, 1:2]^2))), 3), "\n")

latent <- 2L
x <- layer_input(shape = c(3))
h <- x %>% layer_dense(24, activation = "relu")
z_mean <- h %>% layer_dense(latent, name = "z_mean")
z_log_var <- h %>% layer_dense(latent, name = "z_log_var")

draw <- function(arg) {
  mu <- arg[, 1:2]
  log_var <- arg[, 3:4]
  noise <- k_random_normal(shape = k_shape(mu), mean = 0, stddev = 1, seed = 77L)
  mu + k_exp(log_var / 2) * noise
}
z <- layer_concatenate(list(z_mean, z_log_var)) %>% layer_lambda(draw, name = "z")

decode_hidden <- layer_dense(units = 24, activation = "relu")
decode_out <- layer_dense(units = 3)
rebuilt <- decode_out(decode_hidden(z))

vae <- keras_model(x, rebuilt)
encoder <- keras_model(x, z_mean)
latent_input <- layer_input(shape = latent)
generator <- keras_model(latent_input, decode_out(decode_hidden(latent_input)))

penalty <- k_mean(-0.5 * k_sum(1 + z_log_var - k_square(z_mean) - k_exp(z_log_var), axis = 2L))
vae$add_loss(0.02 * penalty)
vae %>% compile(optimizer = optimizer_adam(learning_rate = 0.01), loss = "mse")

history <- vae %>% fit(points, points, epochs = 8, batch_size = 40, shuffle = FALSE, verbose = 0)
loss <- history$metrics$loss
cat("epochs:", length(loss), " the loss fell:", loss[8] < loss[1], "\n")

codes <- predict(encoder, points, verbose = 0)
cat("codes:", dim(codes), "\n")
print(round(apply(codes, 2, sd), 1))

grid <- as.matrix(expand.grid(c(-1, 1), c(-1, 1)))
made <- predict(generator, grid, verbose = 0)
print(round(cbind(grid, made), 1))
cat("same decoder in both models:",
    identical(get_weights(generator)[[1]], get_weights(vae)[[7]]), "\n")
