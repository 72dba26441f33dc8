# The lazy module object `tf`, and the R classes of what comes out of it.

#' @import reticulate
#' @reexport reticulate::%as%
#' @reexport reticulate::array_reshape
#' @reexport reticulate::dict
#' @reexport reticulate::import
#' @reexport reticulate::iterate
#' @reexport reticulate::np_array
#' @reexport reticulate::tuple
#' @reexport reticulate::use_condaenv
#' @reexport reticulate::use_python
#' @reexport reticulate::use_virtualenv
#' @refuse export_savedmodel flag_boolean flag_integer flag_numeric flag_string flags
#' @refuse install_tensorflow parse_arguments parse_flags py_require_tensorflow
#' @refuse run_dir tensorboard tf_probability train_and_evaluate use_compat
#' @refuse use_session_with_seed view_savedmodel

#' @export
tf <- NULL

.onLoad <- function(libname, pkgname) {
  if (Sys.getenv("TF_CPP_MIN_LOG_LEVEL") == "") Sys.setenv(TF_CPP_MIN_LOG_LEVEL = "2")
  assign("tf", import("tensorflow", delay_load = list(
    priority = 5, environment = "r-tensorflow")), envir = asNamespace(pkgname))
  register_class_filter(add_tensor_class)
  if ("py_require" %in% getNamespaceExports("reticulate")) {
    assign("py_require", getExportedValue("reticulate", "py_require"), envir = asNamespace(pkgname))
  }
}

# Newer versions of reticulate choose the Python packages of a session by this; where reticulate
# has no such function, Python is chosen already and there is nothing to do.
#' @export
py_require <- function(...) invisible(NULL)

# Tensors and variables get the class "tensorflow.tensor" in front, so that one set of S3
# methods serves eager, symbolic and variable tensors.
add_tensor_class <- function(classes) {
  if (any(classes %in% tensor_classes) && !("tensorflow.tensor" %in% classes)) {
    c("tensorflow.tensor", classes)
  } else {
    classes
  }
}

tensor_classes <- c(
  "tensorflow.python.framework.tensor.Tensor",
  "tensorflow.python.framework.ops.Tensor",
  "tensorflow.python.ops.variables.Variable",
  "tensorflow.python.types.core.Tensor",
  "keras.src.engine.keras_tensor.KerasTensor",
  "keras.engine.keras_tensor.KerasTensor",
  "tf_keras.src.engine.keras_tensor.KerasTensor"
)

#' @export
tf_version <- function() {
  version <- strsplit(tf$version$VERSION, ".", fixed = TRUE)[[1L]]
  package_version(paste(version[1:2], collapse = "."))
}

#' @export
tf_config <- function() {
  structure(
    list(available = TRUE, version = tf_version(), version_str = tf$version$VERSION,
         location = tf$`__path__`[[1L]], python = py_config()$python,
         python_version = py_config()$version),
    class = "tensorflow_config")
}

#' @method print tensorflow_config
print.tensorflow_config <- function(x, ...) {
  cat("TensorFlow v", x$version_str, "\nPython v", x$python_version, "\n", sep = "")
  invisible(x)
}

#' @export
tf_gpu_configured <- function(verbose = TRUE) {
  devices <- tf$config$list_physical_devices("GPU")
  if (verbose) cat("GPU devices:", length(devices), "\n")
  length(devices) > 0L
}

#' @export
train <- function(object, ...) UseMethod("train")

#' @export
evaluate <- function(object, ...) UseMethod("evaluate")
