# Kinds that only package keras (legacy) has, or carries out in a way of its own.

# Towards zero, whatever it was: 3.7 becomes 3, "7" becomes 7, TRUE becomes 1.
kind_as_integer <- function(x) as.integer(x)

# A list of integers, for a single number as well.
kind_as_integer_list <- function(x) if (is.null(x)) x else as.list(as.integer(x))

# A tuple of integers from a list; a plain vector becomes integer and no tuple.
kind_as_integer_tuple <- function(x) {
  if (is.list(x)) integer_tuple(x) else kind_as_nullable_integer(x)
}

# A list, also of one number; names make it a dict.
kind_loss_weights <- function(x) {
  if (!is.numeric(x)) return(x)
  if (!is.null(dim(x))) {
    refuse("Matrix type cannot be converted to python (only integer, numeric, complex, logical, ",
           "and character matrixes can be converted")
  }
  as.list(x)
}

kind_sequences <- function(x) {
  if (is.list(x)) lapply(x, function(part) if (is.null(part)) part else as.list(part)) else x
}

# An R function, or an instance of KerasConstraint, becomes a constraint object.
kind_constraint <- function(x) {
  constraint <- function(...) python_tools("kerastools.constraint")$RConstraint(...)
  if (inherits(x, "KerasConstraint")) return(constraint(x$call, x$get_config))
  if (is.function(x) && !is_python(x)) constraint(x, function() NULL) else x
}

# Data: see keras_array().
kind_keras_array <- function(x) keras_array(x)

kind_data_or_dropped <- function(x) if (is_data_source(x)) python_source(x) else keras_array(x)

kind_class_weight <- function(x) class_weights(x)

# The pair that a fit is checked against.
kind_validation_data <- function(x) {
  if (is.null(x)) return(NULL)
  if (is_data_source(x)) return(python_source(x))
  if (!is.list(x)) refuse("second argument must be a list")
  do.call(tuple, unname(keras_array(x)))
}

kind_fit_callbacks <- function(x) c(python_callbacks(x), list(metrics_callback()))

# Instances of KerasCallback become Python's; a single callback is a list of one.
python_callbacks <- function(x) {
  lapply(kind_callbacks_list(x), function(callback) {
    if (inherits(callback, "KerasCallback")) callback_of_r6(callback) else callback
  })
}

custom_object <- function(x) if (is_class_wrapper(x)) class_of_wrapper(x) else x
no_custom_objects <- function() refuse("subscript out of bounds")
unlisted_custom_objects <- function() {
  refuse("object name could not be infered; please supply a named list")
}
