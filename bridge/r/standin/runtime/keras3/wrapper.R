# A layer or model taken out of Python is a function: given a sequential model it is added to it,
# given anything else it is called.

#' @method py_to_r_wrapper keras.src.layers.layer.Layer
py_to_r_wrapper.keras.src.layers.layer.Layer <- function(x) {
  force(x)
  function(object, ...) {
    if (missing(object)) return(x(...))
    if (is_sequential(object)) {
      object$add(x)
      return(invisible(object))
    }
    x(object, ...)
  }
}
