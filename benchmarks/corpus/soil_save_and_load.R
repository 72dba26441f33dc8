# A model saved, loaded, cloned and rebuilt from its configuration: the same answers each time.
library(keras3)

set.seed(131)
n <- 220
soil <- data.frame(sand = runif(n, 10, 80), clay = runif(n, 5, 50), depth = sample(c(10, 30, 60), n, TRUE))
soil$water <- with(soil, 35 - 0.3 * sand + 0.2 * clay + 0.05 * depth + rnorm(n, sd = 1.5))
x <- scale(as.matrix(soil[, 1:3]))
y <- soil$water / 10

model <- keras_model_sequential(input_shape = 3, name = "soil") |>
  layer_dense(14, activation = "elu", kernel_initializer = initializer_glorot_uniform(seed = 1),
              kernel_regularizer = regularizer_l2(1e-4)) |>
  layer_dense(1, kernel_initializer = initializer_glorot_uniform(seed = 2))
model |> compile(optimizer = optimizer_nadam(0.01), loss = "mse", metrics = list("mae"))
model |> fit(x[1:180, ], y[1:180], epochs = 10, batch_size = 20, shuffle = FALSE, verbose = 0)
reference <- predict(model, x[181:n, ], verbose = 0)
cat("predictions:", dim(reference), "\n")

path <- tempfile(fileext = ".keras")
save_model(model, path)
cat("file written:", file.exists(path), "\n")
loaded <- load_model(path)
cat("loaded, identical:", identical(predict(loaded, x[181:n, ], verbose = 0), reference), "\n")
cat("still compiled:", loaded$compiled, "\n")

weights_path <- tempfile(fileext = ".weights.h5")
save_model_weights(model, weights_path)
twin <- clone_model(model)
different <- predict(twin, x[181:n, ], verbose = 0)
load_model_weights(twin, weights_path)
cat("clone with weights, identical:",
    identical(predict(twin, x[181:n, ], verbose = 0), reference), "\n")

rds <- tempfile(fileext = ".rds")
saveRDS(get_weights(model), rds)
from_config <- from_config(get_config(model))
set_weights(from_config, readRDS(rds))
cat("from its configuration, identical:",
    identical(predict(from_config, x[181:n, ], verbose = 0), reference), "\n")

scores <- sapply(list(model = model, loaded = loaded), function(m)
  evaluate(m, x[181:n, ], y[181:n], verbose = 0)$mae)
print(round(scores, 2))
cat("training goes on:", {
  more <- loaded |> fit(x[1:180, ], y[1:180], epochs = 2, batch_size = 20, shuffle = FALSE, verbose = 0)
  length(more$metrics$loss)
}, "epochs\n")
unlink(c(path, weights_path, rds))
