# The lazy module object `keras` of the generation that TensorFlow calls Keras 2.

#' @import reticulate
#' @import tensorflow
#' @reexport reticulate::array_reshape
#' @reexport reticulate::tuple
#' @reexport reticulate::use_condaenv
#' @reexport reticulate::use_python
#' @reexport reticulate::use_virtualenv
#' @reexport tensorflow::as_tensor
#' @reexport tensorflow::export_savedmodel
#' @reexport tensorflow::flag_boolean
#' @reexport tensorflow::flag_integer
#' @reexport tensorflow::flag_numeric
#' @reexport tensorflow::flag_string
#' @reexport tensorflow::flags
#' @reexport tensorflow::run_dir
#' @reexport tensorflow::shape
#' @reexport tensorflow::tensorboard
#' @reexport tensorflow::use_session_with_seed

#' @export
keras <- NULL

.onLoad <- function(libname, pkgname) {
  # Read once, when TensorFlow is imported. Under rpy2 Python is running already and does not
  # see this any more: there the worker has set it before (or Keras 3 runs, as with CRAN's).
  if (is.na(Sys.getenv("TF_USE_LEGACY_KERAS", NA))) Sys.setenv(TF_USE_LEGACY_KERAS = "1")
  namespace <- asNamespace(pkgname)
  assign("keras", import("tensorflow.keras", delay_load = list(
    priority = 10, environment = "r-tensorflow")), envir = namespace)
  register_class_filter(short_keras_classes)
  use_magrittr(namespace)
  offer_r6_classes(namespace)
}

# tf_keras.src.engine.training.Model is known to R scripts as keras.engine.training.Model, and
# under the longer name as well. A symbolic tensor of Keras counts as a tensor.
short_keras_classes <- function(classes) {
  long <- sub("^tf_keras\\.", "keras.", classes)
  both <- unlist(lapply(long, function(class) {
    if (startsWith(class, "keras.src.")) c(class, sub("keras.src.", "keras.", class, fixed = TRUE))
    else class
  }))
  symbolic <- "keras.engine.keras_tensor.KerasTensor"
  if (symbolic %in% both) both <- unique(c(symbolic, "tensorflow.tensor", both))
  both
}
