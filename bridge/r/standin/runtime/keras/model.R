# Models: how they are made, asked and shown.

#' @export
keras_model <- function(inputs, outputs = NULL, ...) {
  keras$models$Model(inputs = inputs, outputs = outputs, ...)
}

#' @export
keras_model_sequential <- function(layers = NULL, name = NULL, ...) {
  given <- list(...)
  if (length(given)) {
    input <- do.call(keras$layers$InputLayer, input_layer_arguments(given))
    layers <- c(list(input), layers)
  }
  keras$models$Sequential(layers = layers, name = name)
}

# The shape crosses as a list of integers in which only NULL is an unknown dimension.
input_layer_arguments <- function(args) {
  if ("input_shape" %in% names(args)) {
    args$input_shape <- lapply(as.list(args$input_shape), function(d) {
      if (is.null(d) || is_python(d)) d else as.integer(d)
    })
  }
  if ("batch_size" %in% names(args)) args$batch_size <- kind_as_nullable_integer(args$batch_size)
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
get_config <- function(object) {
  config <- unconverted(object)$get_config()
  # It stays a dict, but what is taken out of it is converted.
  if (is.environment(config)) assign("convert", TRUE, envir = config)
  structure(config, owner = object$`__class__`)
}

#' @export
from_config <- function(config, custom_objects = NULL) {
  owner <- attr(config, "owner", exact = TRUE)
  if (is.null(owner)) not_served("a configuration that does not come from get_config()")
  if (!length(custom_objects)) return(owner$from_config(config))
  owner$from_config(config, kind_custom_objects(custom_objects))
}

#' @method summary keras.engine.training.Model
summary.keras.engine.training.Model <- function(object, ...) {
  text <- model_text(object, ...)
  cat(text, "\n", sep = "")
  invisible(text)
}

#' @method print keras.engine.training.Model
print.keras.engine.training.Model <- function(x, ...) {
  if (py_is_null_xptr(x)) cat("<pointer: 0x0>\n") else cat(model_text(x, ...), "\n", sep = "")
  invisible(x)
}

#' @method format keras.engine.training.Model
format.keras.engine.training.Model <- function(x, ...) model_text(x, ...)

# The table that Keras prints of a model. Whether layers can be trained is shown where some
# cannot; that column takes eleven characters of the line.
model_text <- function(model, line_length = NULL, positions = NULL, show_trainable = NULL, ...) {
  if (!isTRUE(model$built)) return(py_str(model))
  if (is.null(show_trainable)) {
    show_trainable <- any(vapply(model$layers, function(layer) !isTRUE(layer$trainable), NA))
  }
  if (is.null(line_length)) line_length <- getOption("width") - if (show_trainable) 11L else 0L
  args <- list(line_length = as.integer(line_length), show_trainable = show_trainable, ...)
  if (!is.null(positions)) args$positions <- positions
  text <- py_capture_output(do.call(model$summary, args), type = "stdout")
  # Lines of blanks between the rows are left out.
  sub("\n+$", "", gsub("\n +(?=\n)", "", text, perl = TRUE))
}

#' @method plot keras.engine.training.Model
plot.keras.engine.training.Model <- function(x, ...) refuse_function("plot", "keras")
