# What is asked of the package itself and not of Keras.

#' @export
is_keras_available <- function(version = NULL) {
  if (is.null(version)) return(py_module_available("tensorflow"))
  package_version(tf$keras$`__version__`) >= version
}

# Without an axis TensorFlow is asked and not Keras.
#' @export
k_squeeze <- function(x, axis = NULL) {
  if (is.null(axis)) tf$squeeze(x) else keras$backend$squeeze(x = x, axis = kind_as_axis(axis))
}

# The legacy generation is what this package is for; there is nothing to choose.
#' @export
py_require_legacy_keras <- function(...) invisible(NULL)
