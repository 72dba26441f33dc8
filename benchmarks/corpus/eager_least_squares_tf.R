# TensorFlow alone: a straight line by gradient descent, and tf$keras for a curve.
library(tensorflow)

set.seed(151)
n <- 120
x <- runif(n, -1, 1)
y <- 3 * x - 1 + rnorm(n, sd = 0.1)

xt <- tf$constant(matrix(x, ncol = 1), dtype = tf$float32)
yt <- tf$constant(matrix(y, ncol = 1), dtype = tf$float32)
slope <- tf$Variable(0, dtype = tf$float32)
offset <- tf$Variable(0, dtype = tf$float32)

for (step in 1:80) {
  with(tf$GradientTape() %as% tape, {
    error <- slope * xt + offset - yt
    loss <- tf$reduce_mean(tf$square(error))
  })
  g <- tape$gradient(loss, list(slope, offset))
  slope$assign_sub(0.3 * g[[1]])
  offset$assign_sub(0.3 * g[[2]])
}
line <- coef(lm(y ~ x))
cat(sprintf("slope %.3f, offset %.3f\n", as.numeric(slope), as.numeric(offset)))
cat("as lm() has it:", all(abs(c(as.numeric(offset), as.numeric(slope)) - line) < 0.01), "\n")

a <- tf$reshape(tf$range(12), shape(3, 4))
print(as.array(a))
print(as.array(a[2, ]))
print(as.array(tf$reduce_sum(a, axis = 0L)))
cat("product:", dim(tf$matmul(a, a, transpose_b = TRUE)), "\n")

layers <- tf$keras$layers
model <- tf$keras$Sequential(list(
  layers$Input(shape(1)),
  layers$Dense(12L, activation = "tanh",
               kernel_initializer = tf$keras$initializers$GlorotUniform(seed = 1L)),
  layers$Dense(1L, kernel_initializer = tf$keras$initializers$GlorotUniform(seed = 2L))
))
model$compile(optimizer = tf$keras$optimizers$Adam(learning_rate = 0.05), loss = "mse")
curve <- x^2
history <- model$fit(xt, matrix(curve, ncol = 1), epochs = 10L, batch_size = 20L, shuffle = FALSE,
                     verbose = 0L)
loss <- unlist(history$history$loss)
cat("epochs:", length(loss), "loss fell:", loss[10] < loss[1], "\n")
guess <- as.array(model$predict(xt, verbose = 0L))
cat("answers:", dim(guess), "correlation above 0.5:", cor(guess[, 1], curve) > 0.5, "\n")
