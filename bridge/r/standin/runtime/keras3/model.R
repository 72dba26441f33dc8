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

# The first argument was once `layers`; a layer or a list with layers there is refused. All that is
# not the model's own describes its input, also what comes through `...`.
#' @export
keras_model_sequential <- function(input_shape = NULL, name = NULL, ..., input_dtype = NULL,
                                   input_batch_size = NULL, input_sparse = NULL,
                                   input_ragged = NULL, input_batch_shape = NULL,
                                   input_name = NULL, input_tensor = NULL, input_optional = FALSE,
                                   trainable = TRUE, layers = list()) {
  .call <- match.call()
  as_typed <- rep(list(kind_as_is), length(formals()) - 1L)
  names(as_typed) <- setdiff(names(formals()), "...")
  as_typed$layers <- kind_layers_list
  typed <- typed_arguments(.call, environment(), as_typed, dots = dots_arguments(environment()))
  model <- typed[intersect(names(typed), c("layers", "name", "trainable"))]
  input <- typed[setdiff(names(typed), names(model))]
  if (length(input)) {
    is_layer <- function(x) inherits(x, "keras.src.layers.layer.Layer")
    if (is_layer(input_shape) ||
        (is.list(input_shape) && any(vapply(input_shape, is_layer, NA)))) {
      refuse("`layers` must be passed in as a named argument.", call = sys.call())
    }
    model$layers <- c(list(do.call(keras$layers$InputLayer, input_layer_arguments(input))),
                      model$layers)
  }
  do.call(keras$models$Sequential, model)
}

# The names that Keras knows the arguments of an input by, and what they become on their way.
input_layer_arguments <- function(args) {
  for (name in names(args)) {
    value <- args[[name]]
    if (name %in% c("input_shape", "shape", "batch_shape", "input_batch_shape",
                    "batch_input_shape")) value <- kind_normalize_shape(value)
    if (name %in% c("input_batch_size", "batch_size")) value <- kind_as_integer(value)
    args[name] <- list(value)
  }
  own <- c(input_layer_name = "name", input_name = "name", input_shape = "shape",
           batch_input_shape = "batch_shape", input_batch_shape = "batch_shape",
           input_batch_size = "batch_size", input_dtype = "dtype", input_sparse = "sparse",
           input_ragged = "ragged", input_optional = "optional")
  for (old in intersect(names(own), names(args))) {
    if (!own[[old]] %in% names(args)) names(args)[names(args) == old] <- own[[old]]
  }
  args
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
  if (is.null(owner)) {
    refuse("attr(config, \"__class__\") is an invalid pointer from a previous R session.\n",
           "The output of `get_config()` is not serializable via RDS.", call = sys.call())
  }
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
