# Arithmetic, comparison and reduction of tensors, as TensorFlow means them.

# An R value beside a tensor takes the tensor's type.
both_tensors <- function(e1, e2) {
  if (!is_tensor(e1)) e1 <- as_tensor(e1, dtype = e2$dtype)
  if (!is_tensor(e2)) e2 <- as_tensor(e2, dtype = e1$dtype)
  list(e1, e2)
}

#' @method Ops tensorflow.tensor
Ops.tensorflow.tensor <- function(e1, e2) {
  if (missing(e2)) {
    return(switch(.Generic,
      "-" = tf$negative(e1),
      "+" = e1,
      "!" = tf$logical_not(tf$cast(e1, "bool"))))
  }
  if (.Generic == "^") return(hooks$power(e1, e2))
  if (.Generic %in% c("&", "|")) {
    e1 <- tf$cast(e1, "bool")
    e2 <- tf$cast(e2, "bool")
    return(if (.Generic == "&") tf$logical_and(e1, e2) else tf$logical_or(e1, e2))
  }
  both <- both_tensors(e1, e2)
  operator <- switch(.Generic,
    "+" = tf$add, "-" = tf$subtract, "*" = tf$multiply, "/" = tf$truediv,
    "%%" = tf$math$floormod, "%/%" = tf$math$floordiv,
    "==" = tf$equal, "!=" = tf$not_equal, "<" = tf$less, "<=" = tf$less_equal,
    ">" = tf$greater, ">=" = tf$greater_equal)
  operator(both[[1L]], both[[2L]])
}

# Squares, square roots and whole powers have short cuts.
tensor_power <- function(base, exponent) {
  if (is_tensor(base) && is.numeric(exponent) && length(exponent) == 1L && !is.na(exponent)) {
    if (exponent == 2) return(tf$square(base))
    if (exponent == 0.5) return(tf$sqrt(base))
    if (exponent == trunc(exponent) && is.null(dim(exponent))) {
      return(tf$pow(base, as.integer(exponent)))
    }
  }
  both <- both_tensors(base, exponent)
  tf$pow(both[[1L]], both[[2L]])
}

#' @method abs tensorflow.tensor
abs.tensorflow.tensor <- function(x) tf$abs(x)
#' @method sign tensorflow.tensor
sign.tensorflow.tensor <- function(x) tf$sign(x)
#' @method sqrt tensorflow.tensor
sqrt.tensorflow.tensor <- function(x) tf$sqrt(x)
#' @method floor tensorflow.tensor
floor.tensorflow.tensor <- function(x) tf$floor(x)
#' @method ceiling tensorflow.tensor
ceiling.tensorflow.tensor <- function(x) tf$math$ceil(x)
#' @method round tensorflow.tensor
round.tensorflow.tensor <- function(x, digits = 0, ...) tf$round(x)
#' @method exp tensorflow.tensor
exp.tensorflow.tensor <- function(x) tf$exp(x)
#' @method expm1 tensorflow.tensor
expm1.tensorflow.tensor <- function(x) tf$math$expm1(x)
#' @method log1p tensorflow.tensor
log1p.tensorflow.tensor <- function(x) tf$math$log1p(x)
#' @method cos tensorflow.tensor
cos.tensorflow.tensor <- function(x) tf$cos(x)
#' @method sin tensorflow.tensor
sin.tensorflow.tensor <- function(x) tf$sin(x)
#' @method tan tensorflow.tensor
tan.tensorflow.tensor <- function(x) tf$tan(x)
#' @method acos tensorflow.tensor
acos.tensorflow.tensor <- function(x) tf$acos(x)
#' @method asin tensorflow.tensor
asin.tensorflow.tensor <- function(x) tf$asin(x)
#' @method atan tensorflow.tensor
atan.tensorflow.tensor <- function(x) tf$atan(x)
#' @method lgamma tensorflow.tensor
lgamma.tensorflow.tensor <- function(x) tf$math$lgamma(x)
#' @method digamma tensorflow.tensor
digamma.tensorflow.tensor <- function(x) tf$math$digamma(x)

times_pi <- function(x) tf$multiply(tf$constant(pi, x$dtype), x)
#' @method cospi tensorflow.tensor
cospi.tensorflow.tensor <- function(x) tf$cos(times_pi(x))
#' @method sinpi tensorflow.tensor
sinpi.tensorflow.tensor <- function(x) tf$sin(times_pi(x))
#' @method tanpi tensorflow.tensor
tanpi.tensorflow.tensor <- function(x) tf$tan(times_pi(x))

#' @method log tensorflow.tensor
log.tensorflow.tensor <- function(x, base) {
  if (missing(base)) return(tf$math$log(x))
  base <- tf$convert_to_tensor(base, x$dtype)
  tf$truediv(tf$math$log(x), tf$math$log(base))
}
#' @method log2 tensorflow.tensor
log2.tensorflow.tensor <- function(x) log(x, 2)
#' @method log10 tensorflow.tensor
log10.tensorflow.tensor <- function(x) log(x, 10)

#' @method is.nan tensorflow.tensor
is.nan.tensorflow.tensor <- function(x) tf$math$is_nan(x)
#' @method is.finite tensorflow.tensor
is.finite.tensorflow.tensor <- function(x) tf$math$is_finite(x)
#' @method is.infinite tensorflow.tensor
is.infinite.tensorflow.tensor <- function(x) tf$math$is_inf(x)

# Axes are counted from 1 in R.
python_axis <- function(axis) {
  if (is.null(axis)) return(NULL)
  axis <- as.integer(axis)
  ifelse(axis > 0L, axis - 1L, axis)
}

#' @method Summary tensorflow.tensor
Summary.tensorflow.tensor <- function(..., axis = NULL, keepdims = FALSE, na.rm = FALSE) {
  axis <- python_axis(axis)
  name <- paste0("R/", .Generic)
  reduce <- function(x, operator) operator(x, axis = axis, keepdims = keepdims, name = name)
  generic <- .Generic
  one <- function(x) {
    switch(generic,
      sum = reduce(x, tf$reduce_sum), prod = reduce(x, tf$reduce_prod),
      max = reduce(x, tf$reduce_max), min = reduce(x, tf$reduce_min),
      any = reduce(x, tf$reduce_any), all = reduce(x, tf$reduce_all),
      range = tf$stack(list(reduce(x, tf$reduce_min), reduce(x, tf$reduce_max)), name = name))
  }
  values <- list(...)
  if (length(values) == 1L) one(values[[1L]]) else one(tf$stack(lapply(values, one), name = name))
}

#' @method mean tensorflow.tensor
mean.tensorflow.tensor <- function(x, ..., axis = NULL, keepdims = FALSE) {
  tf$reduce_mean(x, axis = python_axis(axis), keepdims = keepdims, name = "R/mean")
}

#' @method sort tensorflow.tensor
sort.tensorflow.tensor <- function(x, decreasing = FALSE, ..., axis = -1L, name = NULL) {
  direction <- if (decreasing) "DESCENDING" else "ASCENDING"
  tf$sort(x, axis = as.integer(axis), direction = direction, name = name)
}

#' @method t tensorflow.tensor
t.tensorflow.tensor <- function(x) hooks$transpose(x)

#' @method aperm tensorflow.tensor
aperm.tensorflow.tensor <- function(a, perm, ...) {
  tf$transpose(a, as.integer(perm) - 1L, FALSE, name = "R/aperm")
}

#' @method rbind tensorflow.tensor
rbind.tensorflow.tensor <- function(...) refuse_function("rbind", "tensorflow")
#' @method cbind tensorflow.tensor
cbind.tensorflow.tensor <- function(...) refuse_function("cbind", "tensorflow")
