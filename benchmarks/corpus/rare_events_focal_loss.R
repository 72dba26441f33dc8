# Rare failures of pumps: a focal loss and a metric in R, beside class weights.
library(keras3)

set.seed(107)
n <- 600
x <- matrix(rnorm(n * 5), n, dimnames = list(NULL, paste0("s", 1:5)))
risk <- plogis(-3.2 + 1.8 * x[, 1] - 1.2 * x[, 2] + 0.9 * x[, 3])
failed <- rbinom(n, 1, risk)
cat(sprintf("failures: %d of %d (%.1f%%)\n", sum(failed), n, 100 * mean(failed)))
train <- 1:450

focal <- function(gamma = 2, alpha = 0.75) {
  function(y_true, y_pred) {
    y_pred <- op_clip(y_pred, 1e-6, 1 - 1e-6)
    hit <- -alpha * y_true * (1 - y_pred)^gamma * op_log(y_pred)
    miss <- -(1 - alpha) * (1 - y_true) * y_pred^gamma * op_log(1 - y_pred)
    op_mean(hit + miss, axis = -1)
  }
}
metric_share <- custom_metric("share_alarmed", function(y_true, y_pred) {
  op_mean(op_cast(y_pred > 0.5, "float32"))
})

build <- function(loss) {
  model <- keras_model_sequential(input_shape = 5) |>
    layer_dense(12, activation = "relu", kernel_initializer = initializer_he_normal(seed = 3)) |>
    layer_dense(1, activation = "sigmoid", kernel_initializer = initializer_glorot_normal(seed = 4))
  model |> compile(optimizer = optimizer_adam(0.02), loss = loss, metrics = list(metric_share))
  model
}

runs <- list(
  plain = list(loss = "binary_crossentropy", weight = NULL),
  weighted = list(loss = "binary_crossentropy", weight = list("0" = 1, "1" = 8)),
  focal = list(loss = focal(), weight = NULL)
)
results <- lapply(runs, function(run) {
  model <- build(run$loss)
  model |> fit(x[train, ], failed[train], epochs = 10, batch_size = 30, shuffle = FALSE, verbose = 0,
               class_weight = run$weight)
  p <- predict(model, x[-train, ], verbose = 0)[, 1]
  truth <- failed[-train]
  c(recall = mean(p[truth == 1] > 0.5), alarms = mean(p > 0.5))
})
table_of <- do.call(rbind, results)
print(round(table_of, 2))
cat("more alarms with weights:", table_of["weighted", "alarms"] > table_of["plain", "alarms"], "\n")

# the loss by hand
model <- build(focal())
p <- pmin(pmax(predict(model, x[1:40, ], verbose = 0)[, 1], 1e-6), 1 - 1e-6)
y <- failed[1:40]
hand <- mean(-0.75 * y * (1 - p)^2 * log(p) - 0.25 * (1 - y) * p^2 * log(1 - p))
said <- evaluate(model, x[1:40, ], y, verbose = 0)
cat("the loss is what it says:", abs(said$loss - hand) < 1e-5, "\n")
