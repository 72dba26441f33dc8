# Parcels: a pipeline of tf$data without tfdatasets, mapped, batched and repeated.
library(keras3)
library(tensorflow, exclude = c("set_random_seed", "shape"))

set.seed(127)
set_random_seed(127)
n <- 300
parcels <- data.frame(weight = rlnorm(n, 0.5, 0.6), km = runif(n, 5, 800), fragile = rbinom(n, 1, 0.2))
parcels$late <- rbinom(n, 1, plogis(-2 + 0.004 * parcels$km + 0.5 * parcels$weight))
print(summary(parcels$km))

x <- as.matrix(parcels[, c("weight", "km", "fragile")])
y <- matrix(parcels$late, ncol = 1)
slices <- tf$data$Dataset$from_tensor_slices(
  tuple(tf$constant(x, dtype = "float32"), tf$constant(y, dtype = "float32"))
)
scale_by <- tf$constant(c(2, 400, 1), dtype = "float32")
prepare <- function(features, label) tuple(features / scale_by, label)

train <- slices$take(240L)$map(prepare)$shuffle(240L, seed = 1L)$batch(30L)
held <- slices$skip(240L)$map(prepare)$batch(30L)
cat("batches:", as.integer(train$cardinality()), "and", as.integer(held$cardinality()), "\n")
one <- reticulate::iter_next(reticulate::as_iterator(held))
cat("a batch:", dim(one[[1]]), "and", dim(one[[2]]), "\n")
print(round(as.array(one[[1]])[1:2, ], 3))

model <- keras_model_sequential(input_shape = 3) |>
  layer_dense(10, activation = "relu") |>
  layer_dense(1, activation = "sigmoid")
model |> compile(optimizer = optimizer_adam(0.02), loss = "binary_crossentropy",
                 metrics = list(metric_auc(name = "auc")))
history <- model |> fit(train, epochs = 8, validation_data = held, verbose = 0)
print(names(history$metrics))
cat("loss fell:", history$metrics$loss[8] < history$metrics$loss[1], "\n")

p <- predict(model, held, verbose = 0)[, 1]
truth <- parcels$late[241:n]
cat("predictions:", length(p), "\n")
direct <- predict(model, sweep(x[241:n, ], 2, c(2, 400, 1), "/"), verbose = 0)[, 1]
cat("the pipeline changes nothing:", max(abs(p - direct)) < 1e-5, "\n")
auc <- mean(outer(p[truth == 1], p[truth == 0], ">"))
cat("auc above chance:", auc > 0.5, "\n")
