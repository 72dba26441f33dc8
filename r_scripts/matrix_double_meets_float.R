#| title: R's matrices are double, TensorFlow's variables single
#| expect-verdict: same-error
#| expect-cause: r-conversion
library(tensorflow)
library(keras)

weights <- tf$Variable(tf$ones(shape(2, 1)))
refused <- tryCatch(
  tf$matmul(as_tensor(matrix(c(1, 2, 3, 4), 2)), weights),
  error = function(e) conditionMessage(e)
)
cat(substr(refused, 1, 120), "\n")
