# From R to tensors and back.

is_tensor <- function(x) inherits(x, "tensorflow.tensor")

#' @export
as_tensor <- function(x, dtype = NULL, ..., name = NULL) UseMethod("as_tensor")

#' @method as_tensor default
as_tensor.default <- function(x, dtype = NULL, ..., shape = NULL, name = NULL) {
  tensor_of(x, dtype, shape, name)
}

# Doubles are float64 unless asked otherwise; asked for an integer type they are cut in R.
#' @method as_tensor double
as_tensor.double <- function(x, dtype = NULL, ..., shape = NULL, name = NULL) {
  if (!is.null(dtype)) {
    dtype <- tf$as_dtype(dtype)
    if (isTRUE(dtype$is_integer)) storage.mode(x) <- "integer"
  }
  tensor_of(x, dtype, shape, name)
}

tensor_of <- function(x, dtype, shape, name) {
  if (is.null(shape)) return(typed_tensor(x, dtype, name))
  dims <- shape_list(do.call(tensor_shape, as.list(shape_parts(list(shape)))))
  if (!is_tensor(x) && length(x) > 1L) {
    known <- vapply(dims, function(d) if (is.null(d)) -1L else as.integer(d), 0L)
    numpy <- import("numpy", convert = FALSE)
    rows_first <- numpy$reshape(as.array(x), do.call(tuple, as.list(known)), "C")
    return(typed_tensor(rows_first, dtype, name))
  }
  if (is_tensor(x)) dim(x)
  x <- typed_tensor(x, dtype, name)
  if (x$shape$num_elements() == 1L) {
    tf$fill(dims, tf$squeeze(x), name = name)
  } else {
    tf$reshape(x, dims, name = name)
  }
}

typed_tensor <- function(x, dtype, name) {
  x <- if (is.double(x) && is.null(dim(x)) && !is_python(x)) {
    tf$convert_to_tensor(x, dtype = "float64", name = name)
  } else {
    tf$convert_to_tensor(x, name = name)
  }
  if (is.null(dtype)) return(x)
  dtype <- tf$as_dtype(dtype)
  if (saturates(dtype) && saturates(x$dtype)) {
    tf$saturate_cast(x, dtype, name = name)
  } else {
    tf$cast(x, dtype, name = name)
  }
}

# Numbers that a cast keeps inside the range of the type it goes to.
saturates <- function(dtype) isTRUE(dtype$is_floating) || isTRUE(dtype$is_integer)

#' @method as.array tensorflow.tensor
as.array.tensorflow.tensor <- function(x, ...) tensor_value(x)

#' @method as.matrix tensorflow.tensor
as.matrix.tensorflow.tensor <- function(x, ...) as.matrix(tensor_value(x))

#' @method as.vector tensorflow.tensor
as.vector.tensorflow.tensor <- function(x, mode = "any") as.vector(tensor_value(x))

#' @method as.double tensorflow.tensor
as.double.tensorflow.tensor <- function(x, ...) as.double(tensor_value(x))

#' @method as.integer tensorflow.tensor
as.integer.tensorflow.tensor <- function(x, ...) as.integer(tensor_value(x))

#' @method as.logical tensorflow.tensor
as.logical.tensorflow.tensor <- function(x, ...) as.logical(tensor_value(x))

#' @method as.character tensorflow.tensor
as.character.tensorflow.tensor <- function(x, ...) {
  value <- tensor_value(x)
  as.character(if (is_python(value)) value$decode("utf-8") else value)
}

# The elements of an eager tensor; a scalar is one number without dimensions.
tensor_value <- function(x) {
  value <- hooks$to_array(x)
  if (identical(dim(value), 1L) && identical(x$shape$rank, 0L)) as.vector(value) else value
}

#' @method dim tensorflow.tensor
dim.tensorflow.tensor <- function(x) {
  if (py_is_null_xptr(x)) return(NULL)
  shape <- x$shape
  if (is_python(shape)) {
    if (is.null(shape$rank)) return(NULL)
    shape <- shape$as_list()
  }
  vapply(as.list(shape), function(d) if (is.null(d)) NA_integer_ else as.integer(d), 0L)
}

#' @method length tensorflow.tensor
length.tensorflow.tensor <- function(x) {
  if (py_is_null_xptr(x)) return(0L)
  count <- x$shape$num_elements()
  if (is.null(count)) NA_integer_ else as.integer(count)
}

#' @method print tensorflow.tensor
print.tensorflow.tensor <- function(x, ...) {
  if (py_is_null_xptr(x)) cat("<pointer: 0x0>\n") else cat(format(x), "\n", sep = "")
  invisible(x)
}

# As Python writes it, but for the comma in the shape of a vector.
#' @method format tensorflow.tensor
format.tensorflow.tensor <- function(x, ...) r_shape(py_str(x))

#' @method str tensorflow.tensor
str.tensorflow.tensor <- function(object, ...) {
  text <- strsplit(r_shape(py_repr(object)), "\n", fixed = TRUE)[[1L]]
  cat(text[1L], if (length(text) > 1L) " ...>", "\n", sep = "")
}

r_shape <- function(text) sub(",), dtype", "), dtype", text, fixed = TRUE)

#' @export
set_random_seed <- function(seed, disable_gpu = TRUE) {
  seed <- as.integer(seed)
  if (disable_gpu) Sys.setenv(CUDA_VISIBLE_DEVICES = "")
  set.seed(seed)
  py_set_seed(seed, disable_hash_randomization = TRUE)
  tf$random$set_seed(seed)
  invisible(seed)
}

# A Python function with the signature of an R one, so that TensorFlow can trace it.
#' @export
tf_function <- function(f, input_signature = NULL, autograph = TRUE, ...,
                        reduce_retracing = NULL) {
  args <- list(if (is_python(f)) f else py_func(f), input_signature, FALSE, ...)
  if (!is.null(reduce_retracing)) args$reduce_retracing <- reduce_retracing
  do.call(tf$`function`, args)
}

# The lists and dicts in which TensorFlow and Keras keep track of what is put into them.
#' @method py_to_r tensorflow.python.trackable.data_structures.ListWrapper
py_to_r.tensorflow.python.trackable.data_structures.ListWrapper <- function(x) plain_list(x)
#' @method py_to_r keras.src.utils.tracking.TrackedList
py_to_r.keras.src.utils.tracking.TrackedList <- function(x) plain_list(x)
#' @method py_to_r keras.src.utils.tracking.TrackedSet
py_to_r.keras.src.utils.tracking.TrackedSet <- function(x) plain_list(x)
#' @method py_to_r tensorflow.python.trackable.data_structures._DictWrapper
py_to_r.tensorflow.python.trackable.data_structures._DictWrapper <- function(x) plain_dict(x)
#' @method py_to_r keras.src.utils.tracking.TrackedDict
py_to_r.keras.src.utils.tracking.TrackedDict <- function(x) plain_dict(x)

plain_list <- function(x) import_builtins(convert = TRUE)$list(x)
plain_dict <- function(x) import_builtins(convert = TRUE)$dict(x)
