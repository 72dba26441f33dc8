# Blocks of a signal with TensorFlow: cut into pieces, averaged, and weighted.
library(tensorflow)

set.seed(397)
signal <- sin(seq(0, 6 * pi, length.out = 48)) + rnorm(48, sd = 0.1)
x <- tf$constant(signal, dtype = tf$float32)
cat("values:", as.integer(tf$size(x)), "\n")
cat("mean:", round(as.numeric(tf$reduce_mean(x)), 3), "\n")

cut_into <- function(values, pieces) {
  width <- length(signal) / pieces
  tf$reshape(values, c(pieces, width))
}

energy <- function(blocks) as.array(tf$reduce_mean(tf$square(blocks), axis = 1L))
four <- cut_into(x, 4)
cat("blocks:", dim(four), "\n")
print(round(energy(four), 3))

weights <- tf$nn$softmax(tf$constant(energy(four), dtype = tf$float32))
print(round(as.array(weights), 3))
mixed <- tf$linalg$matvec(tf$transpose(four), weights)
cat("mixed block:", dim(mixed), "\n")
print(round(as.array(mixed), 2))

dense <- tf$keras$layers$Dense(3L, kernel_initializer = tf$keras$initializers$GlorotUniform(seed = 1L))
out <- dense(four)
cat("out:", dim(out), "\n")
print(round(as.array(tf$reduce_sum(out, axis = 0L)), 3))
