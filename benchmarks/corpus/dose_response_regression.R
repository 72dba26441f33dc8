# Growth of seedlings under four doses: a dense net on dose and light.
library(keras)

set.seed(223)
text <- textConnection(c("dose,light,growth", sprintf("%s,%.1f,%.2f",
  rep(c("1", "5", "25", "unknown"), c(70, 70, 70, 4)), runif(214, 5, 15), 0)))
trial <- read.csv(text, stringsAsFactors = TRUE)
trial <- droplevels(trial[trial$dose != "unknown", ])
true_dose <- as.numeric(as.character(trial$dose))
trial$growth <- 2 + 0.4 * true_dose + 0.1 * trial$light + rnorm(nrow(trial), sd = 0.3)
print(aggregate(growth ~ dose, data = trial, FUN = function(g) round(mean(g), 1)))

trial$dose <- as.numeric(trial$dose)
x <- as.matrix(trial[, c("dose", "light")])
x[, "light"] <- (x[, "light"] - 10) / 3
y <- trial$growth
cat("rows:", nrow(x), "\n")

model <- keras_model_sequential() %>%
  layer_dense(units = 1, input_shape = 2, kernel_initializer = "zeros")
model %>% compile(optimizer = optimizer_adam(learning_rate = 0.1), loss = "mse", metrics = "mae")
history <- model %>% fit(x, y, epochs = 60, batch_size = 42, shuffle = FALSE, verbose = 0)
cat("mae at the end:", round(tail(history$metrics$mae, 1), 2), "\n")

coefficients <- get_weights(model)
cat("growth per unit of dose:", round(coefficients[[1]][1, 1], 2), "(the trial was made with 0.4)\n")

new <- cbind(dose = c(1, 5, 25), light = 0)
guess <- predict(model, new, verbose = 0)[, 1]
print(data.frame(dose = new[, "dose"], growth = round(guess, 1)))
cat("the highest dose gives", round(guess[3], 1), "where about 12 was measured\n")

straight <- lm(y ~ x)
print(round(coef(straight), 2))
