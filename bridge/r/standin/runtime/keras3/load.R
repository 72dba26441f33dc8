# The lazy module object `keras` of Keras 3.

#' @import reticulate
#' @import tensorflow
#' @reexport reticulate::%as%
#' @reexport reticulate::array_reshape
#' @reexport reticulate::as_iterator
#' @reexport reticulate::import
#' @reexport reticulate::iter_next
#' @reexport reticulate::iterate
#' @reexport reticulate::np_array
#' @reexport reticulate::py_help
#' @reexport reticulate::py_to_r
#' @reexport reticulate::r_to_py
#' @reexport reticulate::tuple
#' @reexport reticulate::use_python
#' @reexport reticulate::use_virtualenv
#' @reexport tensorflow::all_dims
#' @reexport tensorflow::as_tensor
#' @reexport tensorflow::export_savedmodel
#' @reexport tensorflow::flag_boolean
#' @reexport tensorflow::flag_integer
#' @reexport tensorflow::flag_numeric
#' @reexport tensorflow::flag_string
#' @reexport tensorflow::flags
#' @reexport tensorflow::py_require
#' @reexport tensorflow::run_dir
#' @reexport tensorflow::tensorboard

#' @export
keras <- NULL

.onLoad <- function(libname, pkgname) {
  namespace <- asNamespace(pkgname)
  assign("keras", import("keras", delay_load = list(
    priority = 10, environment = "r-keras", on_load = first_tensor)), envir = namespace)
  register_hook <- get0("py_register_load_hook", asNamespace("reticulate"))
  # Where Python runs already this process may be about to be forked, and nothing may be computed.
  if (!is.null(register_hook) && !py_available()) {
    register_hook("tensorflow", keras_after_tensorflow)
  }
  hooks <- get("hooks", asNamespace("tensorflow"))
  hooks$to_array <- function(x) keras$ops$convert_to_numpy(x)
  hooks$power <- keras_power
  hooks$transpose <- function(x) keras$ops$transpose(x = x)
  use_magrittr(namespace)
}

# The real package makes one tensor on the CPU as soon as Python's keras is there, so that a
# later choice of device cannot fail. Nothing here goes through the lazy object, which may be on
# its way to becoming the module.
first_tensor <- function() {
  if (state$made) return(invisible())
  state$made <- TRUE
  module <- import("keras")
  with(module$device("cpu:0"), module$ops$convert_to_tensor(array(1L)))
  module$backend$backend()
}

state <- new.env(parent = emptyenv())
state$made <- FALSE

# TensorFlow brings Keras with it, unless it is Keras that is bringing TensorFlow.
keras_after_tensorflow <- function() {
  modules <- import("sys", convert = FALSE)$modules
  if (!py_to_r(modules$`__contains__`("keras"))) first_tensor()
}

# A module of Python helpers that travel with this package.
python_tools <- function(module) {
  import_from_path(module, system.file("python", package = "keras3"))
}

keras_power <- function(base, exponent) {
  plain <- is_python(base) && is.numeric(exponent)
  if (plain && identical(as.numeric(exponent), 2)) return(keras$ops$square(base))
  if (plain && identical(as.numeric(exponent), 0.5)) return(keras$ops$sqrt(base))
  keras$ops$power(base, exponent)
}
