#| title: A shape of R's numbers is no shape for TensorFlow
#| expect-verdict: different
#| expect-cause: r-conversion
#
# 3 is a double in R, and no wrapper stands between the script and tf$reshape().
library(tensorflow)
library(keras)

numbers <- tf$range(6)
refused <- tryCatch(
  tf$reshape(numbers, c(3, -1)),
  error = function(e) conditionMessage(e)
)
cat(substr(refused, 1, 80), "\n")
