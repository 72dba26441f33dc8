# R data on its way into a model.

# Tensors and Python objects pass; a data frame becomes its columns; doubles become floatx();
# integers and logicals keep their type; the order of elements in memory becomes C's.
#' @export
keras_array <- function(x, dtype = NULL) {
  if (is.null(x)) return(x)
  if (is.data.frame(x)) x <- as.list(x)
  if (is_tensor_value(x)) return(x)
  if (is.list(x)) {
    for (part in x) is_tensor_value(part)
    return(lapply(x, keras_array, dtype))
  }
  if (is_python(x) && !inherits(x, "numpy.ndarray")) return(x)
  if (is.null(dtype) && is.double(x)) dtype <- keras$backend$floatx()
  array <- if (is_python(x)) x else r_to_py(known_logicals(as.array(x)))
  if (is.null(dtype)) dtype <- array$dtype
  array$astype(dtype = dtype, order = "C", copy = FALSE)
}

# Python is asked what a tensor is, for values of R as well.
is_tensor_value <- function(x) isTRUE(tf$is_tensor(x))

#' @export
to_categorical <- function(y, num_classes = NULL, dtype = "float32") {
  keras$utils$to_categorical(
    y = y, num_classes = kind_as_nullable_integer(num_classes), dtype = dtype)
}
