# Shapes.

#' @export
shape <- function(..., dims = NULL) {
  parts <- if (missing(dims)) list(...) else if (is.null(dims)) NULL else list(dims)
  if (!missing(dims) && is.null(dims)) return(tf$TensorShape(NULL))
  do.call(tensor_shape, shape_parts(parts))
}

# A TensorShape of dimensions; an unknown one is NULL.
tensor_shape <- function(...) {
  dims <- list(...)
  if (length(dims) && !any(vapply(dims, is.null, NA))) dims <- as.integer(unlist(dims))
  tf$TensorShape(dims)
}

# Every argument taken apart into single dimensions; NULL, NA and -1 are unknown.
shape_parts <- function(parts) {
  flat <- lapply(parts, function(part) {
    if (is.null(part)) return(list(NULL))
    if (is_shape(part)) return(shape_list(part))
    if (is_python(part)) part <- as.array(part)
    lapply(as.list(part), function(d) {
      if (is.null(d) || is.na(d) || d < 0) NULL else as.integer(d)
    })
  })
  do.call(c, c(list(list()), flat))
}

is_shape <- function(x) inherits(x, "tensorflow.python.framework.tensor_shape.TensorShape")

shape_list <- function(x) if (is_shape(x)) as.list(x$as_list()) else as.list(x)

#' @method length tensorflow.python.framework.tensor_shape.TensorShape
length.tensorflow.python.framework.tensor_shape.TensorShape <- function(x) {
  if (py_is_null_xptr(x)) return(0L)
  rank <- x$rank
  if (is.null(rank)) NA_integer_ else as.integer(rank)
}

#' @method as.list tensorflow.python.framework.tensor_shape.TensorShape
as.list.tensorflow.python.framework.tensor_shape.TensorShape <- function(x, ...) shape_list(x)

#' @method as.integer tensorflow.python.framework.tensor_shape.TensorShape
as.integer.tensorflow.python.framework.tensor_shape.TensorShape <- function(x, ...) {
  vapply(shape_list(x), function(d) if (is.null(d)) NA_integer_ else as.integer(d), 0L)
}

#' @method as.double tensorflow.python.framework.tensor_shape.TensorShape
as.double.tensorflow.python.framework.tensor_shape.TensorShape <- function(x, ...) {
  as.double(as.integer(x))
}

#' @method "[" tensorflow.python.framework.tensor_shape.TensorShape
`[.tensorflow.python.framework.tensor_shape.TensorShape` <- function(x, i) {
  do.call(tensor_shape, shape_list(x)[i])
}

#' @method "[[" tensorflow.python.framework.tensor_shape.TensorShape
`[[.tensorflow.python.framework.tensor_shape.TensorShape` <- function(x, i) {
  shape_list(x)[[i]]
}

#' @method c tensorflow.python.framework.tensor_shape.TensorShape
c.tensorflow.python.framework.tensor_shape.TensorShape <- function(...) {
  Reduce(function(a, b) a$concatenate(b), list(...))
}

#' @method merge tensorflow.python.framework.tensor_shape.TensorShape
merge.tensorflow.python.framework.tensor_shape.TensorShape <- function(x, y, ...) {
  x$merge_with(y)
}

#' @method format tensorflow.python.framework.tensor_shape.TensorShape
format.tensorflow.python.framework.tensor_shape.TensorShape <- function(x, ...) {
  if (py_is_null_xptr(x) || is.null(x$rank)) return("(<unknown>)")
  dims <- vapply(shape_list(x), function(d) if (is.null(d)) "NA" else format(d), "")
  paste0("(", paste(dims, collapse = ", "), ")")
}

#' @method print tensorflow.python.framework.tensor_shape.TensorShape
print.tensorflow.python.framework.tensor_shape.TensorShape <- function(x, ...) {
  cat(py_repr(x), "\n", sep = "")
  invisible(x)
}

#' @method "==" tensorflow.python.framework.tensor_shape.TensorShape
`==.tensorflow.python.framework.tensor_shape.TensorShape` <- function(e1, e2) {
  as_shape(e1)$`__eq__`(e2)
}

#' @method "!=" tensorflow.python.framework.tensor_shape.TensorShape
`!=.tensorflow.python.framework.tensor_shape.TensorShape` <- function(e1, e2) {
  as_shape(e1)$`__ne__`(e2)
}

as_shape <- function(x) if (is_shape(x)) x else do.call(tensor_shape, shape_parts(list(x)))
