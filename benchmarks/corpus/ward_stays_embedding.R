# Length of stay: each ward gets a learned vector, next to the patient's age.
library(keras)

set.seed(281)
n <- 220
wards <- c("surgery", "heart", "lungs", "children", "nerves")
patients <- data.frame(ward = factor(sample(wards, n, TRUE), levels = wards), age = sample(1:90, n, TRUE))
patients$stay <- c(4, 7, 6, 3, 8)[patients$ward] + 0.03 * patients$age + rnorm(n, sd = 0.5)
print(round(tapply(patients$stay, patients$ward, mean), 1))

ward_id <- as.integer(patients$ward)
n_wards <- nlevels(patients$ward)
cat("wards:", n_wards, " ids from", min(ward_id), "to", max(ward_id), "\n")

ward_input <- layer_input(shape = 1, dtype = "int32", name = "ward")
age_input <- layer_input(shape = 1, name = "age")
vector <- ward_input %>%
  layer_embedding(input_dim = n_wards, output_dim = 2) %>%
  layer_flatten()
output <- layer_concatenate(list(vector, age_input)) %>%
  layer_dense(6, activation = "relu", kernel_initializer = initializer_he_normal(seed = 1L)) %>%
  layer_dense(1, kernel_initializer = initializer_he_normal(seed = 2L))
model <- keras_model(list(ward_input, age_input), output)
model %>% compile(optimizer = optimizer_adam(learning_rate = 0.02), loss = "mse")
cat("parameters:", count_params(model), "\n")

age <- patients$age / 90
history <- model %>% fit(list(ward_id, age), patients$stay, epochs = 8, batch_size = 22,
                         shuffle = FALSE, verbose = 0)
cat("loss:", round(history$metrics$loss, 1), "\n")
guess <- predict(model, list(ward_id, age), verbose = 0)[, 1]
print(round(tapply(guess, patients$ward, mean), 1))
