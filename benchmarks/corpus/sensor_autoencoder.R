# An autoencoder for machine sensors: unusual rows are those that it cannot rebuild.
library(keras)

set.seed(37)
tensorflow::set_random_seed(37)
n <- 400
load <- runif(n)
heat <- 40 + 30 * load + rnorm(n, sd = 1.5)
sensors <- cbind(
  current = 5 + 12 * load + rnorm(n, sd = 0.5),
  heat = heat,
  noise = 55 + 0.4 * heat + rnorm(n),
  oil = 3.5 - 0.8 * load + rnorm(n, sd = 0.08),
  speed = 900 + 500 * load + rnorm(n, sd = 20)
)
broken <- sort(sample(301:n, 12))
sensors[broken, "oil"] <- sensors[broken, "oil"] - 1.6
sensors[broken, "noise"] <- sensors[broken, "noise"] + 12

train <- 1:300
low <- apply(sensors[train, ], 2, min)
high <- apply(sensors[train, ], 2, max)
unit <- sweep(sweep(sensors, 2, low), 2, high - low, "/")
print(round(apply(unit[train, ], 2, range), 2))

input <- layer_input(shape = 5)
code <- input %>%
  layer_dense(8, activation = "tanh") %>%
  layer_dense(2, activation = "tanh", name = "code")
output <- code %>%
  layer_dense(8, activation = "tanh") %>%
  layer_dense(5, activation = "linear")

autoencoder <- keras_model(inputs = input, outputs = output)
encoder <- keras_model(inputs = input, outputs = code)

autoencoder %>% compile(optimizer = optimizer_adam(learning_rate = 0.02), loss = "mse")
history <- autoencoder %>% fit(unit[train, ], unit[train, ], epochs = 15, batch_size = 25, verbose = 0)
cat("loss:", signif(history$metrics$loss[c(1, 5, 10, 15)], 3), "\n")

error <- rowMeans((predict(autoencoder, unit, verbose = 0) - unit)^2)
limit <- quantile(error[train], 0.99)
cat("limit:", signif(limit, 2), names(limit), "\n")

flagged <- which(error > limit & seq_len(n) > 300)
print(table(broken = seq_len(n)[301:n] %in% broken, flagged = 301:n %in% flagged))
cat("found:", length(intersect(flagged, broken)), "of", length(broken), "\n")

codes <- predict(encoder, unit[c(1:3, broken[1:3]), ], verbose = 0)
colnames(codes) <- c("first", "second")
print(round(codes, 2))
cat("correlation of a code with the load:", round(max(abs(cor(
  predict(encoder, unit[train, ], verbose = 0), load[train]))), 1), "\n")
