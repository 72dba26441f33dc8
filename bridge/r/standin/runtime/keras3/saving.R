# Writing models to files and reading them back.

#' @export
save_model_weights <- function(model, filepath, overwrite = FALSE, max_shard_size = NULL) {
  save <- keras$Model$save_weights
  save(model, filepath, overwrite = overwrite, max_shard_size = max_shard_size)
  invisible(model)
}

#' @export
save_model <- function(model, filepath = NULL, overwrite = FALSE, zipped = NULL, ...) {
  if (is.null(filepath) || !is.null(zipped)) {
    refuse_argument("save_model", "filepath = NULL or zipped", "keras3")
  }
  if (!overwrite && file.exists(filepath)) refuse_overwriting(filepath)
  keras$saving$save_model(model, filepath, overwrite = overwrite, ...)
  invisible(model)
}

refuse_overwriting <- function(path) {
  refuse("File '", path, "' already exists (pass overwrite = TRUE to force save).")
}

#' @export
save_model_config <- function(model, filepath = NULL, overwrite = FALSE) {
  if (!overwrite && file.exists(filepath)) {
    refuse_overwriting(filepath)
  }
  writeLines(model$to_json(), filepath)
  invisible(model)
}

#' @export
load_model_config <- function(filepath, custom_objects = NULL) {
  text <- paste(readLines(filepath, warn = FALSE), collapse = "\n")
  keras$models$model_from_json(text, kind_custom_objects(custom_objects))
}

# The code runs while Keras knows the objects by their names.
#' @export
with_custom_object_scope <- function(objects, expr) {
  with(keras$saving$CustomObjectScope(kind_custom_objects(objects)), expr)
}

# The class that is registered is the wrapper's own, so that the wrapper stays what it was.
#' @export
register_keras_serializable <- function(object, name = NULL, package = NULL) {
  label <- if (is.null(name)) deparse(substitute(object))[1L] else name
  place <- environmentName(topenv(parent.frame()))
  if (is.null(package)) package <- if (place %in% c("", "base", "R_GlobalEnv")) "Custom" else place
  if (is.function(object) && !is_python(object) && !is_wrapper(object)) {
    object <- named_function(object, label)
  }
  keras$saving$register_keras_serializable(package, name)(python_for(object))
  object
}
