# A demand model that is refitted every night with the newest day: five nights, one pass each.
library(keras)

set.seed(239)
day <- function(d) {
  hour <- 0:23
  temperature <- 15 + 8 * sin(2 * pi * (hour - 9) / 24) + rnorm(24)
  data.frame(
    day = d, hour = hour, temperature = temperature,
    demand = 40 + 12 * sin(2 * pi * (hour - 7) / 24) + 0.9 * temperature + rnorm(24)
  )
}
archive <- do.call(rbind, lapply(1:20, day))
as_x <- function(d) cbind(sin(2 * pi * d$hour / 24), cos(2 * pi * d$hour / 24), (d$temperature - 15) / 6)
as_y <- function(d) (d$demand - 53) / 12

model <- keras_model_sequential() %>%
  layer_dense(10, activation = "relu", input_shape = 3,
              kernel_initializer = initializer_he_normal(seed = 1L)) %>%
  layer_dense(1, kernel_initializer = initializer_he_normal(seed = 2L))
model %>% compile(optimizer = optimizer_sgd(learning_rate = 0.02), loss = "mse")
model %>% fit(as_x(archive), as_y(archive), epochs = 5, batch_size = 24, shuffle = FALSE, verbose = 0)
cat("archive:", nrow(archive), "rows\n")

# each night: one pass over the new day
passes <- 0
for (night in 21:25) {
  newest <- day(night)
  before <- evaluate(model, as_x(newest), as_y(newest), verbose = 0)
  history <- model %>% fit(as_x(newest), as_y(newest), batch_size = 24, shuffle = FALSE, verbose = 0)
  after <- evaluate(model, as_x(newest), as_y(newest), verbose = 0)
  passes <- passes + length(history$metrics$loss)
  cat(sprintf("night %d: loss %.4f before, %.4f after\n", night, before, after))
}
cat("passes over the new days:", passes, "\n")
cat("steps of the optimiser in all:", as.numeric(model$optimizer$iterations), "\n")

old <- evaluate(model, as_x(archive), as_y(archive), verbose = 0)
cat(sprintf("loss on the archive: %.4f\n", old))
