# R data on its way into a model.

# The arrays of x, y or sample_weight: a list element by element, a data frame by columns,
# factors as codes counted from 0. A double becomes `dtype` where that is a floating type, an
# integer where that is an integer type; otherwise NumPy's own type stays. `dtype` may be a list
# like x.
model_data <- function(x, dtype = NULL) {
  if (is.null(x)) return(x)
  if (is.data.frame(x)) x <- as.list(x)
  if (is.list(x)) {
    types <- if (is.list(dtype)) rep_len(dtype, length(x)) else rep(list(dtype), length(x))
    return(Map(model_data, x, types))
  }
  if (is.factor(x)) x <- array(as.integer(x) - 1L)
  if (is_python(x) && !inherits(x, "numpy.ndarray")) return(x)
  keeps <- if (is.double(x)) is_float_type(dtype) else if (is.integer(x)) is_int_type(dtype) else FALSE
  numpy_array(x, if (keeps) dtype)
}

# A NumPy array in C order of a type, its own where there is none.
numpy_array <- function(x, dtype = NULL) {
  array <- if (is_python(x)) x else unconverted(r_to_py(known_logicals(as.array(x))))
  array$astype(dtype = if (is.null(dtype)) array$dtype else dtype, order = "C", copy = FALSE)
}

is_float_type <- function(dtype) is.character(dtype) && grepl("float", dtype)
is_int_type <- function(dtype) is.character(dtype) && grepl("int", dtype)

# What a model wants its inputs and outputs to be; a model that has none yet, float32.
input_type <- function(model) value_type(model, "inputs")
output_type <- function(model) value_type(model, "outputs")

value_type <- function(model, name) {
  values <- tryCatch(py_get_attr(model, name, silent = TRUE), error = function(e) NULL)
  if (is.null(values) || py_is_null_xptr(values)) return("float32")
  values <- py_to_r(values)
  if (is.null(values)) return("float32")
  if (is_python(values)) values <- list(values)
  types <- lapply(values, function(value) value$dtype)
  if (length(types) == 1L) types[[1L]] else unname(types)
}

#' @export
to_categorical <- function(x, num_classes = NULL) {
  if (inherits(x, "factor")) {
    x <- array(as.integer(x) - 1L)
    if (is.null(num_classes)) num_classes <- 0L
  } else if (is.double(x)) {
    x <- kind_as_integer_array(x)
  }
  keras$utils$to_categorical(x, kind_as_integer(num_classes))
}
