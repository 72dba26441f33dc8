# A layer or model taken out of Python is a function: given a sequential model it is added to it,
# given anything else it is called.

#' @method py_to_r_wrapper keras.engine.base_layer.Layer
py_to_r_wrapper.keras.engine.base_layer.Layer <- function(x) {
  force(x)
  function(object, ...) {
    if (missing(object)) return(x(...))
    if (is_sequential(object)) {
      object$add(x)
      return(object)
    }
    x(object, ...)
  }
}

# A model made by keras_model_custom() goes straight to its R function.
#' @method py_to_r_wrapper kerastools.model.RModel
py_to_r_wrapper.kerastools.model.RModel <- function(x) {
  force(x)
  function(...) x$call(...)
}
