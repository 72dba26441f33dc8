# Operations whose arguments depend on each other.

# The array itself, not R's copy of it.
#' @export
op_convert_to_numpy <- function(x) unconverted(keras$ops)$convert_to_numpy(x)

#' @export
op_convert_to_tensor <- function(x, dtype = NULL, sparse = NULL) {
  keras$ops$convert_to_tensor(kind_vector_as_array(x), dtype, sparse)
}

#' @export
op_shape <- function(x) shape(keras$ops$shape(x))

# An array of R takes the type of the tensor beside it.
#' @export
op_matmul <- function(x1, x2) {
  if (is_python(x2) && is.atomic(x1) && !is.null(x1)) x1 <- tensor_like(x1, x2)
  if (is_python(x1) && is.atomic(x2) && !is.null(x2)) x2 <- tensor_like(x2, x1)
  keras$ops$matmul(x1, x2)
}

tensor_like <- function(x, other) {
  if (keras$ops$is_tensor(other)) keras$ops$convert_to_tensor(x, dtype = keras$ops$dtype(other)) else x
}

#' @export
op_top_k <- function(x, k, sorted = TRUE, zero_indexed = FALSE) {
  .call <- match.call()
  args <- typed_arguments(.call, environment(), list(
    x = kind_as_array, k = kind_as_integer, sorted = kind_as_is))
  found <- import_builtins()$tuple(do.call(keras$ops$top_k, args))
  found <- list(values = found[[1L]], indices = found[[2L]])
  found$indices <- one_based(found$indices, zero_indexed)
  found
}

#' @export
op_one_hot <- function(x, num_classes, axis = -1L, dtype = NULL, sparse = FALSE,
                       zero_indexed = FALSE) {
  if (is_python(x) && !isTRUE(zero_indexed)) {
    refuse_argument("op_one_hot", "zero_indexed = FALSE for a tensor", "keras3")
  }
  .call <- match.call()
  args <- typed_arguments(.call, environment(), list(
    x = if (isTRUE(zero_indexed)) kind_as_is else kind_as_index, num_classes = kind_as_integer,
    axis = kind_as_axis, dtype = kind_as_is, sparse = kind_as_is))
  do.call(keras$ops$one_hot, args)
}

# From `start` to `end`, the end included.
#' @export
op_arange <- function(start, end, step = 1L, dtype = NULL, include_end = TRUE) {
  if (is_python(start) || is_python(end) || is_python(step) || !is.logical(include_end)) {
    refuse_argument("op_arange", "start, end or step as a tensor", "keras3")
  }
  if (include_end) end <- end + step
  keras$ops$arange(start, end, step, dtype = dtype)
}
