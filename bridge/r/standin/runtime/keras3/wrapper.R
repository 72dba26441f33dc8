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

# A loss is called with the names of its arguments; arrays of R are of the floating type.
#' @method py_to_r_wrapper keras.src.losses.loss.Loss
py_to_r_wrapper.keras.src.losses.loss.Loss <- function(x) {
  force(x)
  function(y_true, y_pred, sample_weight = NULL) {
    do.call(x, typed_arguments(match.call(), environment(), list(
      y_true = kind_as_py_array, y_pred = kind_as_py_array, sample_weight = kind_as_py_array)))
  }
}

#' @method py_to_r_wrapper keras.src.metrics.metric.Metric
py_to_r_wrapper.keras.src.metrics.metric.Metric <- function(x) {
  force(x)
  function(...) {
    args <- list(...)
    for (name in intersect(names(args), c("y_true", "y_pred", "sample_weight"))) {
      args[name] <- list(kind_as_py_array(args[[name]]))
    }
    do.call(x, args)
  }
}

#' @method py_to_r_wrapper keras.src.initializers.initializer.Initializer
py_to_r_wrapper.keras.src.initializers.initializer.Initializer <- function(x) {
  force(x)
  function(shape, dtype = NULL, ...) {
    do.call(x, typed_arguments(match.call(), environment(), list(
      shape = kind_normalize_shape, dtype = kind_as_is), dots = dots_arguments(environment())))
  }
}
