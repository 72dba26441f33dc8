# Models: how they are made, asked and shown.

#' @export
keras_model <- function(inputs = NULL, outputs = NULL, ...) {
  keras$models$Model(inputs = kind_inputs_unlisted(inputs), outputs = kind_inputs_unlisted(outputs), ...)
}

#' @export
keras_input <- function(shape = NULL, batch_size = NULL, dtype = NULL, sparse = NULL,
                        batch_shape = NULL, name = NULL, tensor = NULL, optional = FALSE) {
  .call <- match.call()
  args <- typed_arguments(.call, environment(), list(
    shape = kind_shape_or_tuple, batch_size = kind_as_integer, dtype = kind_as_is,
    sparse = kind_as_is, batch_shape = kind_shape_or_tuple, name = kind_as_is,
    tensor = kind_as_is, optional = kind_as_is))
  do.call(keras$Input, args)
}

#' @export
layer_input <- keras_input

# A shape() crosses as it is, anything else as a tuple.
kind_shape_or_tuple <- function(x) if (inherits(x, "keras_shape")) x else kind_normalize_shape(x)

#' @export
keras_model_sequential <- function(input_shape = NULL, name = NULL, ..., input_dtype = NULL,
                                   input_batch_size = NULL, input_sparse = NULL,
                                   input_batch_shape = NULL, input_name = NULL,
                                   input_tensor = NULL, input_optional = FALSE,
                                   trainable = TRUE, layers = list()) {
  .call <- match.call()
  input <- typed_arguments(.call, environment(), list(
    input_shape = kind_normalize_shape, input_dtype = kind_as_is,
    input_batch_size = kind_as_integer, input_sparse = kind_as_is,
    input_batch_shape = kind_normalize_shape, input_name = kind_as_is,
    input_tensor = kind_as_is, input_optional = kind_as_is))
  names(input) <- sub("^input_", "", names(input))
  model <- typed_arguments(.call, environment(), list(
    layers = kind_as_is, name = kind_as_is, trainable = kind_as_is),
    dots = dots_arguments(environment()))
  if (length(input)) {
    model$layers <- c(list(do.call(keras$layers$InputLayer, input)), model$layers)
  }
  do.call(keras$models$Sequential, model)
}

#' @export
get_weights <- function(object, trainable = NA) {
  if (is.na(trainable)) return(object$get_weights())
  variables <- if (trainable) object$trainable_weights else object$non_trainable_weights
  lapply(variables, function(v) v$numpy())
}

#' @export
set_weights <- function(object, weights) {
  object$set_weights(weights)
  invisible(object)
}

#' @export
clear_session <- function(free_memory = TRUE) {
  if (missing(free_memory)) return(invisible(keras$utils$clear_session()))
  invisible(keras$utils$clear_session(free_memory = free_memory))
}

#' @export
get_config <- function(object) {
  structure(object$get_config(), `__class__` = object$`__class__`)
}

#' @export
from_config <- function(config, custom_objects = NULL) {
  owner <- attr(config, "__class__", exact = TRUE)
  if (is.null(owner)) stop("the configuration must come from get_config()", call. = FALSE)
  attr(config, "__class__") <- NULL
  args <- list(config)
  args$custom_objects <- kind_custom_objects(custom_objects)
  do.call(owner$from_config, args)
}

#' @method summary keras.src.models.model.Model
summary.keras.src.models.model.Model <- function(object, ...) {
  text <- model_text(object, ...)
  cat(text, "\n", sep = "")
  invisible(text)
}

#' @method print keras.src.models.model.Model
print.keras.src.models.model.Model <- function(x, ...) {
  if (py_is_null_xptr(x)) cat("<pointer: 0x0>\n") else cat(model_text(x, ...), "\n", sep = "")
  invisible(x)
}

#' @method format keras.src.models.model.Model
format.keras.src.models.model.Model <- function(x, ...) model_text(x, ...)

# The table that Keras prints of a model. Whether layers can be trained is shown where some
# cannot.
model_text <- function(model, line_length = getOption("width"), show_trainable = NULL, ...) {
  if (is.null(show_trainable)) {
    frozen <- vapply(model$layers, function(layer) !isTRUE(layer$trainable), NA)
    show_trainable <- isTRUE(model$built) && any(frozen)
  }
  args <- list(line_length = as.double(line_length), show_trainable = show_trainable, ...)
  sub("\n+$", "", py_capture_output(do.call(model$summary, args), type = "stdout"))
}

#' @method plot keras.src.models.model.Model
plot.keras.src.models.model.Model <- function(x, ...) refuse_function("plot", "keras3")
