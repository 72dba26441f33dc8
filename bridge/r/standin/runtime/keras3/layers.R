# Creating layers: the arguments are looked at first, then the object, and then the layer is made,
# so a pipe creates its layers in order.

make_layer <- function(class, object, args) {
  force(args)
  given <- !missing(object) && !is.null(object)
  layer <- do.call(class, args)
  if (!given) return(layer)
  if (is_sequential(object)) compose(layer, object) else layer(object)
}

# A merging layer is made and then called on the list of its inputs.
merge_layers <- function(class, inputs, more, args) {
  force(inputs)
  layer <- do.call(class, args)
  layer(c(if (is.list(inputs) && !is_python(inputs)) inputs else list(inputs), more))
}

# An exported wrapper given as an argument stands for the Python object behind it, another
# function becomes a Python function with R's own argument names. R's primitive functions have
# neither and are refused, as the real package does.
python_for <- function(x) {
  if (!is.function(x) || is_python(x)) return(x)
  if (is.primitive(x)) refuse("argument is not an environment")
  if (is_class_wrapper(x)) return(class_of_wrapper(x))
  path <- attr(x, "python_path", exact = TRUE)
  if (!is.null(path)) return(python_at(path))
  named_function(x, attr(x, "py_function_name", exact = TRUE))
}

# The Python object at a dotted path such as "keras.layers.Dense".
python_at <- function(path) python_class_at(path)

is_wrapper <- function(x) !is.null(attr(x, "python_path", exact = TRUE)) || is_class_wrapper(x)

is_sequential <- function(x) inherits(x, "keras.src.models.sequential.Sequential")

# Results that count from 0 in Python count from 1 in R.
one_based <- function(value, zero_indexed) if (isTRUE(zero_indexed)) value else value + 1L

# Operators of a KerasTensor are Keras' own operations, which a recorded run can make again.
#' @method Ops keras.src.backend.common.keras_tensor.KerasTensor
Ops.keras.src.backend.common.keras_tensor.KerasTensor <- function(e1, e2) {
  if (missing(e2)) {
    return(switch(.Generic, "+" = e1, "-" = keras$ops$negative(e1), "!" = keras$ops$logical_not(e1)))
  }
  name <- c("+" = "add", "-" = "subtract", "*" = "multiply", "/" = "true_divide", "^" = "power",
            "%%" = "mod", "%/%" = "floor_divide", "==" = "equal", "!=" = "not_equal",
            "<" = "less", "<=" = "less_equal", ">" = "greater", ">=" = "greater_equal",
            "&" = "logical_and", "|" = "logical_or")[[.Generic]]
  keras$ops[[name]](e1, e2)
}
