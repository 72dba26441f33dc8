# Shapes: a list of integers in which NULL is an unknown dimension.

#' @export
shape <- function(...) {
  structure(do.call(c, c(list(list()), lapply(list(...), shape_part))), class = "keras_shape")
}

# The dimensions in one argument: a number, several, a tensor's or an array's own.
shape_part <- function(part) {
  if (is.null(part)) return(list(NULL))
  if (inherits(part, "keras_shape")) return(unclass(part))
  if (is_python(part)) {
    if (inherits(part, "tensorflow.python.framework.tensor_shape.TensorShape")) {
      return(as.list(part$as_list()))
    }
    # One number that is known only when the graph runs.
    if (inherits(part, "tensorflow.tensor") && identical(part$shape$rank, 0L)) return(list(part))
    symbolic <- inherits(part, "keras.src.backend.common.keras_tensor.KerasTensor")
    return(as.list(if (symbolic) part$shape else keras$ops$shape(part)))
  }
  if (is.list(part)) return(do.call(c, c(list(list()), lapply(unname(part), shape_part))))
  dims <- if (is.null(dim(part))) part else dim(part)
  lapply(suppressWarnings(as.integer(dims)), function(d) if (is.na(d) || d < 0L) NULL else d)
}

#' @method format keras_shape
format.keras_shape <- function(x, ...) {
  dims <- vapply(unclass(x), function(d) if (is.null(d)) "NA" else format(d), "")
  paste0("shape(", paste(dims, collapse = ", "), ")")
}

#' @method print keras_shape
print.keras_shape <- function(x, ...) {
  cat(format(x), "\n", sep = "")
  invisible(x)
}

#' @method "[" keras_shape
`[.keras_shape` <- function(x, i) structure(unclass(x)[i], class = "keras_shape")

#' @method as.integer keras_shape
as.integer.keras_shape <- function(x, ...) {
  vapply(unclass(x), function(d) if (is.null(d)) NA_integer_ else as.integer(d), 0L)
}

#' @method as.double keras_shape
as.double.keras_shape <- function(x, ...) as.double(as.integer(x))

#' @method as.list keras_shape
as.list.keras_shape <- function(x, ...) unclass(x)

#' @method c keras_shape
c.keras_shape <- function(...) shape(...)

#' @export
set_random_seed <- function(seed) {
  seed <- as.integer(seed)
  set.seed(seed)
  py_set_seed(seed)
  keras$utils$set_random_seed(seed)
  invisible(NULL)
}

#' @method r_to_py keras_shape
r_to_py.keras_shape <- function(x, convert = FALSE) do.call(tuple, unclass(x))

#' @method "==" keras_shape
`==.keras_shape` <- function(e1, e2) identical(unclass(shape(e1)), unclass(shape(e2)))

#' @method "!=" keras_shape
`!=.keras_shape` <- function(e1, e2) !identical(unclass(shape(e1)), unclass(shape(e2)))
