# A survey's mood in three steps: train on codes, report with names.
library(keras3)

set.seed(307)
set_random_seed(307)
n <- 330
survey <- data.frame(sleep = rnorm(n, 7, 1), work = rnorm(n, 40, 6), sport = rpois(n, 2))
score <- with(survey, 0.9 * (sleep - 7) - 0.12 * (work - 40) + 0.3 * (sport - 2) + rnorm(n, sd = 0.3))
mood <- c("low", "medium", "high")[cut(score, c(-Inf, -0.5, 0.5, Inf), labels = FALSE)]
survey$mood <- factor(mood)
print(table(survey$mood))

x <- scale(as.matrix(survey[, c("sleep", "work", "sport")]))
codes <- as.integer(survey$mood) - 1L
train <- 1:260
model <- keras_model_sequential(input_shape = 3) |>
  layer_dense(16, activation = "relu") |>
  layer_dense(3, activation = "softmax")
model |> compile(optimizer = optimizer_adam(0.02), loss = "sparse_categorical_crossentropy",
                 metrics = "accuracy")
model |> fit(x[train, ], codes[train], epochs = 15, batch_size = 20, verbose = 0)
result <- model |> evaluate(x[-train, ], codes[-train], verbose = 0)
cat(sprintf("accuracy as Keras sees it: %.2f\n", result$accuracy))

mood_names <- c("low", "medium", "high")
p <- predict(model, x[-train, ], verbose = 0)
said <- mood_names[max.col(p, ties.method = "first")]
truth <- as.character(survey$mood[-train])
print(table(truth = factor(truth, levels = mood_names), said = factor(said, levels = mood_names)))
cat(sprintf("accuracy with names: %.2f\n", mean(said == truth)))

rested <- data.frame(sleep = 9, work = 30, sport = 5)
centre <- attr(x, "scaled:center")
spread <- attr(x, "scaled:scale")
one <- (as.matrix(rested) - centre) / spread
answer <- predict(model, one, verbose = 0)
cat("a rested person with short weeks feels", mood_names[which.max(answer)], "\n")
