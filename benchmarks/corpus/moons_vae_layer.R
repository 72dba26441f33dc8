# A variational autoencoder for two moons: a sampling layer of one's own that adds its own loss.
library(keras3)

set.seed(79)
set_random_seed(79)
half <- 150
t <- runif(half, 0, pi)
upper <- cbind(cos(t), sin(t))
lower <- cbind(1 - cos(t), 0.4 - sin(t))
moons <- rbind(upper, lower) + rnorm(4 * half, sd = 0.05)
moons <- moons[sample(nrow(moons)), ]
cat("points:", dim(moons), "\n")

layer_sampling <- Layer(
  "Sampling",
  initialize = function(weight = 0.01, ...) {
    super$initialize(...)
    self$weight <- weight
    self$seed_generator <- random_seed_generator(seed = 12)
  },
  call = function(inputs) {
    mu <- inputs[[1]]
    log_var <- inputs[[2]]
    kl <- -0.5 * op_mean(op_sum(1 + log_var - op_square(mu) - op_exp(log_var), axis = 2))
    self$add_loss(self$weight * kl)
    noise <- random_normal(op_shape(mu), seed = self$seed_generator)
    mu + op_exp(0.5 * log_var) * noise
  },
  compute_output_shape = function(input_shape) input_shape[[1]]
)

inputs <- keras_input(2)
hidden <- inputs |> layer_dense(24, activation = "relu", kernel_initializer = initializer_he_normal(seed = 1))
mu <- hidden |> layer_dense(2, name = "mu", kernel_initializer = initializer_glorot_normal(seed = 2))
log_var <- hidden |> layer_dense(2, name = "log_var", kernel_initializer = initializer_glorot_normal(seed = 3))
sampling <- layer_sampling(weight = 0.005)
z <- sampling(list(mu, log_var))
outputs <- z |>
  layer_dense(24, activation = "relu", kernel_initializer = initializer_he_normal(seed = 4)) |>
  layer_dense(2, kernel_initializer = initializer_glorot_normal(seed = 5))

vae <- keras_model(inputs, outputs)
encoder <- keras_model(inputs, mu)
vae |> compile(optimizer = optimizer_adam(0.01), loss = "mse")
history <- vae |> fit(moons, moons, epochs = 12, batch_size = 30, shuffle = FALSE, verbose = 0)
cat("loss fell:", tail(history$metrics$loss, 1) < history$metrics$loss[1], "\n")
cat("epochs:", length(history$metrics$loss), "\n")

codes <- predict(encoder, moons, verbose = 0)
cat("codes:", dim(codes), "\n")
print(signif(range(codes[, 1]), 1))
cat("weights:", length(vae$trainable_weights), "\n")
rebuilt <- predict(vae, moons, verbose = 0)
cat("rebuilt closer than the mean:",
    mean((rebuilt - moons)^2) < mean(sweep(moons, 2, colMeans(moons))^2), "\n")
