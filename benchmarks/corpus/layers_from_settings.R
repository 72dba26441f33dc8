# Nets described by lists: layers added with Reduce(), settings handed on with do.call().
library(keras)

set.seed(331)
n <- 220
x <- matrix(runif(n * 3, -1, 1), n)
y <- ifelse(x[, 1] > 0, x[, 2], -x[, 2]) + 0.2 * x[, 3] + rnorm(n, sd = 0.05)
train <- 1:160

plans <- list(
  flat = list(list(units = 16, activation = "relu")),
  deep = list(list(units = 12, activation = "relu"), list(units = 8, activation = "relu")),
  smooth = list(list(units = 16, activation = "tanh"))
)

add_layer <- function(tensor, settings) {
  settings$kernel_initializer <- initializer_glorot_uniform(seed = settings$units)
  do.call(layer_dense, c(list(tensor), settings))
}

build <- function(plan) {
  input <- layer_input(shape = 3)
  hidden <- Reduce(add_layer, plan, input)
  output <- hidden %>% layer_dense(1, kernel_initializer = initializer_glorot_uniform(seed = 99L))
  model <- keras_model(input, output)
  model %>% compile(optimizer = optimizer_adam(learning_rate = 0.02), loss = "mse", metrics = "mae")
  model
}

models <- lapply(plans, build)
sizes <- vapply(models, count_params, numeric(1))
print(sizes)
cat("units of the deep net:", sapply(models$deep$layers[2:4], function(l) l$units), "\n")

histories <- Map(function(model, name) {
  model %>% fit(x[train, ], y[train], epochs = 10, batch_size = 20, shuffle = FALSE, verbose = 0,
                validation_data = list(x[-train, ], y[-train]))
}, models, names(models))
curves <- sapply(histories, function(h) h$metrics$val_mae)
cat("curves:", dim(curves), "\n")
print(round(curves[c(1, 10), ], 2))

summary_table <- data.frame(plan = names(plans), parameters = sizes,
                            val_mae = round(curves[10, ], 2), row.names = NULL)
print(summary_table[order(summary_table$parameters), ])
answers <- sapply(models, function(m) predict(m, x[1:3, ], verbose = 0)[, 1])
print(round(answers, 1))
