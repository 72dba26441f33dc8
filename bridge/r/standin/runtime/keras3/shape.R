# Shapes: a list of integers in which NULL is an unknown dimension.

#' @export
shape <- function(...) {
  parts <- lapply(list(...), function(part) {
    if (is.null(part)) return(list(NULL))
    if (inherits(part, "keras_shape")) return(unclass(part))
    if (is_python(part)) {
      if (inherits(part, "tensorflow.python.framework.tensor_shape.TensorShape")) {
        return(as.list(part$as_list()))
      }
      part <- if (inherits(part, "keras.src.backend.common.keras_tensor.KerasTensor")) part$shape
              else keras$ops$shape(part)
    } else if (!is.null(dim(part))) {
      part <- dim(part)
    }
    lapply(as.list(part), function(d) {
      if (is.null(d) || is_python(d)) return(d)
      if (is.na(d) || d < 0) NULL else as.integer(d)
    })
  })
  structure(do.call(c, c(list(list()), parts)), class = "keras_shape")
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
  invisible(seed)
}

#' @method r_to_py keras_shape
r_to_py.keras_shape <- function(x, convert = FALSE) do.call(tuple, unclass(x))

#' @method "==" keras_shape
`==.keras_shape` <- function(e1, e2) identical(unclass(shape(e1)), unclass(shape(e2)))

#' @method "!=" keras_shape
`!=.keras_shape` <- function(e1, e2) !identical(unclass(shape(e1)), unclass(shape(e2)))
