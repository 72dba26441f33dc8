# Flats: a table and a district number as inputs, rent and days until let as outputs.
library(keras)

set.seed(61)
tensorflow::set_random_seed(61)
n <- 500
district <- sample(0:9, n, replace = TRUE)
area <- rnorm(n, 68, 18)
floor_no <- sample(0:6, n, replace = TRUE)
level <- seq(8, 17, length.out = 10)[district + 1]
rent <- level * area / 100 + 0.1 * floor_no + rnorm(n, sd = 0.6)
days <- pmax(1, 30 - 1.2 * level + 0.1 * area + rnorm(n, sd = 3)) / 10

numbers <- scale(cbind(area, floor_no))
cat("centre:", round(attr(numbers, "scaled:center"), 2), "\n")

table_input <- layer_input(shape = 2, name = "numbers")
district_input <- layer_input(shape = 1, name = "district", dtype = "int32")

place <- district_input %>%
  layer_embedding(input_dim = 10, output_dim = 3, name = "place") %>%
  layer_flatten()
body <- layer_concatenate(list(table_input, place)) %>%
  layer_dense(24, activation = "relu") %>%
  layer_dense(12, activation = "relu")
rent_output <- body %>% layer_dense(1, name = "rent")
days_output <- body %>% layer_dense(1, name = "days")

model <- keras_model(inputs = list(table_input, district_input),
                     outputs = list(rent_output, days_output))
model %>% compile(
  optimizer = optimizer_adam(learning_rate = 0.01),
  loss = list(rent = "mse", days = "mae"),
  loss_weights = list(rent = 1, days = 3)
)

train <- 1:400
history <- model %>% fit(
  x = list(numbers[train, ], district[train]),
  y = list(rent[train], days[train]),
  epochs = 30, batch_size = 20, verbose = 0
)
print(sort(names(history$metrics)))
last <- sapply(history$metrics, function(m) tail(m, 1))
cat(sprintf("sum of the weighted losses: %s\n",
            isTRUE(all.equal(unname(last["loss"]),
                             unname(last["rent_loss"] + 3 * last["days_loss"]), tolerance = 1e-4))))

answers <- predict(model, list(numbers[-train, ], district[-train]), verbose = 0)
str(answers)
cat(sprintf("rent: rmse %.2f against sd %.2f\n",
            sqrt(mean((answers[[1]][, 1] - rent[-train])^2)), sd(rent[-train])))
cat(sprintf("days: rmse %.2f against sd %.2f\n",
            sqrt(mean((answers[[2]][, 1] - days[-train])^2)), sd(days[-train])))

places <- get_layer(model, "place") %>% get_weights()
print(dim(places[[1]]))
