# Logistic regression with a gradient tape and an optimiser, beside glm().
library(keras)
library(tensorflow)

set.seed(97)
n <- 250
study <- data.frame(hours = runif(n, 0, 10), sleep = rnorm(n, 7, 1.2))
study$passed <- rbinom(n, 1, plogis(-4 + 0.6 * study$hours + 0.25 * study$sleep))
print(colMeans(study))

x <- scale(as.matrix(study[, c("hours", "sleep")]))
features <- tf$constant(x, dtype = "float32")
labels <- tf$constant(matrix(study$passed, ncol = 1), dtype = "float32")
cat("shapes:", paste(dim(features), collapse = "x"), paste(dim(labels), collapse = "x"), "\n")

w <- tf$Variable(tf$zeros(shape(2, 1)))
b <- tf$Variable(tf$zeros(shape(1)))
optimizer <- optimizer_sgd(learning_rate = 0.8, momentum = 0.5)

logits <- function(input) tf$matmul(input, w) + b
cross_entropy <- function() {
  tf$reduce_mean(tf$nn$sigmoid_cross_entropy_with_logits(labels = labels, logits = logits(features)))
}

losses <- c()
for (step in 1:60) {
  with(tf$GradientTape() %as% tape, {
    loss <- cross_entropy()
  })
  gradients <- tape$gradient(loss, list(w, b))
  optimizer$apply_gradients(zip_lists(gradients, list(w, b)))
  losses <- c(losses, as.numeric(loss))
  if (step %% 20 == 0) cat(sprintf("step %3d  loss %.5f\n", step, losses[step]))
}
cat("first loss is log(2):", abs(losses[1] - log(2)) < 1e-6, "\n")

fitted <- glm(passed ~ x, data = study, family = binomial)
both <- rbind(tape = c(as.numeric(b), as.numeric(w)), glm = unname(coef(fitted)))
colnames(both) <- c("intercept", "hours", "sleep")
print(round(both, 2))

chance <- as.array(tf$sigmoid(logits(features)))[, 1]
print(table(passed = study$passed, said = as.integer(chance > 0.5)))
cat("same answers as glm:", mean((chance > 0.5) == (fitted.values(fitted) > 0.5)), "\n")
