# Mushrooms by cap, smell and season: factors become dummy columns, classes become whole numbers.
library(keras3)

set.seed(17)
set_random_seed(17)
n <- 360
mushrooms <- data.frame(
  cap = factor(sample(c("flat", "bell", "cone"), n, TRUE)),
  smell = factor(sample(c("none", "anise", "foul"), n, TRUE, c(0.5, 0.2, 0.3))),
  stem = round(rlnorm(n, 2, 0.3), 1)
)
score <- with(mushrooms, (smell == "foul") * 3 - (smell == "anise") * 1.5 + (cap == "cone") * 0.8 +
                (stem > 8) * 0.5 + rnorm(n, sd = 0.6))
mushrooms$kind <- cut(score, c(-Inf, 0, 2, Inf), labels = c("tasty", "bitter", "toxic"))
print(table(mushrooms$smell, mushrooms$kind))

x <- model.matrix(kind ~ cap + smell + scale(stem), mushrooms)[, -1]
y <- as.integer(mushrooms$kind) - 1L
train <- 1:280

model <- keras_model_sequential(input_shape = ncol(x)) |>
  layer_dense(16, activation = "relu") |>
  layer_dropout(0.1) |>
  layer_dense(nlevels(mushrooms$kind), activation = "softmax")
model |> compile(loss = "sparse_categorical_crossentropy", optimizer = optimizer_adam(0.01), metrics = "accuracy")

history <- model |> fit(x[train, ], y[train], epochs = 20, batch_size = 20, verbose = 0)
cat("accuracy, first and last epoch:", round(history$metrics$accuracy[c(1, 20)], 1), "\n")

p <- predict(model, x[-train, ], verbose = 0)
colnames(p) <- levels(mushrooms$kind)
print(round(head(p, 3), 1))
said <- factor(colnames(p)[apply(p, 1, which.max)], levels = levels(mushrooms$kind))
confusion <- table(truth = mushrooms$kind[-train], said = said)
print(dim(confusion))
cat("right:", sum(diag(confusion)), "of", sum(confusion), "\n")

recall <- diag(confusion) / rowSums(confusion)
for (k in names(recall)) cat(sprintf("  %-7s recall %.1f\n", k, recall[[k]]))
ev <- evaluate(model, x[-train, ], y[-train], verbose = 0)
cat("evaluate() says the same:", abs(ev$accuracy - mean(said == mushrooms$kind[-train])) < 1e-6, "\n")
