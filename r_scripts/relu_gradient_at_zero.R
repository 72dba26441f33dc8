#| title: What does the derivative of relu at zero change?
#| expect-verdict: same-bits
#| expect-cause: none
#
# A small network, trained by gradient descent with relu's derivative at 0 taken as 0, 1/2 and 1:
# once in base R, and once with TensorFlow's GradientTape, where relu can be spelled in three ways.
library(tensorflow)
library(keras)

# Exclusive or, with a column of ones for the bias.
x <- cbind(c(0, 0, 1, 1), c(0, 1, 0, 1), 1)
y <- matrix(c(0, 1, 1, 0))
hidden <- 30
rate <- 0.002
steps <- 200

# Numbers between -1 and 1 without a pattern, the same on every machine.
scattered <- function(rows, columns, from) {
  matrix(2 * ((from + seq_len(rows * columns)) * 7919) %% 10007 / 10007 - 1, rows, columns)
}

starts <- list(
  "scattered" = list(x = x, w1 = scattered(3, hidden, 0), w2 = scattered(hidden, 1, 500)),
  # One row of the data is 0 throughout, the bias included.
  "zero row" = list(x = x * c(0, 1, 1, 1),
                    w1 = scattered(3, hidden, 0), w2 = scattered(hidden, 1, 500)),
  # The bias begins at 0, as in Keras: the row (0, 0) then gives sums of exactly 0.
  "zero bias" = list(x = x, w1 = scattered(3, hidden, 0) * c(1, 1, 0),
                     w2 = scattered(hidden, 1, 500)),
  # Every sum of the hidden layer is 0.
  "zero weights" = list(x = x, w1 = matrix(0, 3, hidden), w2 = scattered(hidden, 1, 500))
)

# Base R. The derivative at 0 is an argument.
descend <- function(start, at_zero) {
  w1 <- start$w1
  w2 <- start$w2
  loss <- numeric(steps)
  for (step in seq_len(steps)) {
    a <- start$x %*% w1
    h <- pmax(a, 0)
    error <- h %*% w2 - y
    loss[step] <- sum(error^2)
    slope <- ifelse(a > 0, 1, ifelse(a == 0, at_zero, 0))
    back <- (2 * error) %*% t(w2) * slope
    w2 <- w2 - rate * crossprod(h, 2 * error)
    w1 <- w1 - rate * crossprod(start$x, back)
  }
  loss
}

# A model that changes nothing hands numbers of R to Keras, so that they can be compared there.
carrier <- keras_model_sequential(input_shape = 1) %>% layer_activation("linear")
hand_over <- function(values) predict(carrier, matrix(values), verbose = 0)

for (name in names(starts)) {
  curves <- sapply(c(0, 0.5, 1), function(at_zero) descend(starts[[name]], at_zero))
  for (i in 1:3) hand_over(curves[, i])
  matplot(curves, type = "l", lty = 1:3, main = name, xlab = "step", ylab = "sum of squares")
}

# TensorFlow. What each spelling of relu has as its derivative.
spellings <- list(
  "tf$nn$relu(a)" = function(a) tf$nn$relu(a),
  "tf$maximum(a, 0)" = function(a) tf$maximum(a, tf$constant(0, dtype = a$dtype)),
  "tf$maximum(0, a)" = function(a) tf$maximum(tf$constant(0, dtype = a$dtype), a)
)

for (name in names(spellings)) {
  a <- as_tensor(c(-1, 0, 1), dtype = tf$float32)
  with(tf$GradientTape() %as% tape, {
    tape$watch(a)
    h <- spellings[[name]](a)
  })
  slope <- tape$gradient(h, a)
  cat(name, "has the derivatives", as.array(slope), "at -1, 0, 1\n")
  hand_over(as.array(slope))
}

# The same network, from zero weights, where the spelling decides whether anything is learned.
descend_tape <- function(start, relu) {
  data <- as_tensor(start$x)
  target <- as_tensor(y)
  w1 <- tf$Variable(start$w1)
  w2 <- tf$Variable(start$w2)
  loss <- numeric(10)
  for (step in seq_along(loss)) {
    with(tf$GradientTape() %as% tape, {
      error <- tf$matmul(relu(tf$matmul(data, w1)), w2) - target
      total <- tf$reduce_sum(tf$square(error))
    })
    slopes <- tape$gradient(total, list(w1, w2))
    loss[step] <- as.numeric(total)
    w1$assign_sub(rate * slopes[[1]])
    w2$assign_sub(rate * slopes[[2]])
  }
  loss
}

for (relu in spellings) hand_over(descend_tape(starts[["zero weights"]], relu))

# Four lines of a published listing cannot run; here is what R says to the same slips.
slips <- c("x = x =", "y = y =", "cbind[x, 1]", "no.ones(4)")
for (slip in slips) {
  said <- tryCatch({
    eval(parse(text = slip))
    "nothing"
  }, error = function(e) conditionMessage(e))
  cat("to", slip, "R says", strsplit(said, "\n")[[1]][1], "\n")
}
