# What is asked of the package itself and not of Keras.

#' @export
is_keras_available <- function(version = NULL) {
  if (is.null(version)) return(py_module_available("tensorflow"))
  keras_version() >= version
}

# The module may have no version; then it is TensorFlow's.
keras_version <- function() {
  version <- tryCatch(keras$`__version__`, error = function(e) NULL)
  if (is.null(version)) version <- tf$version$VERSION
  package_version(sub("^([0-9.]*[0-9]).*$", "\\1", version))
}

# The code runs while Keras knows the objects by their names.
#' @export
with_custom_object_scope <- function(objects, expr) {
  with(keras$utils$custom_object_scope(kind_custom_objects(objects)), expr)
}

# Without an axis TensorFlow is asked and not Keras.
#' @export
k_squeeze <- function(x, axis = NULL) {
  if (is.null(axis)) tf$squeeze(x) else keras$backend$squeeze(x = x, axis = kind_as_axis(axis))
}

# The legacy generation is what this package is for; there is nothing to choose.
#' @export
py_require_legacy_keras <- function(...) invisible(NULL)
