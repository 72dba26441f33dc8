# What is asked of the package itself and not of Keras.

#' @export
is_keras_available <- function(version = NULL) {
  if (is.null(version)) return(py_module_available("tensorflow"))
  package_version(tf$keras$`__version__`) >= version
}
