# compile, fit, evaluate, predict and their kin.

#' @method compile keras.src.models.model.Model
compile.keras.src.models.model.Model <- function(object, optimizer = "rmsprop", loss = NULL,
                                                 metrics = NULL, loss_weights = NULL,
                                                 weighted_metrics = NULL, run_eagerly = FALSE,
                                                 steps_per_execution = 1L, jit_compile = "auto",
                                                 auto_scale_loss = TRUE) {
  .call <- match.call()
  args <- typed_arguments(.call, environment(), list(
    optimizer = python_for, loss = python_loss, metrics = metric_list,
    loss_weights = kind_loss_weights, weighted_metrics = metric_list, run_eagerly = kind_as_is,
    steps_per_execution = kind_as_integer, jit_compile = kind_as_is,
    auto_scale_loss = kind_as_is))
  do.call(object$compile, args)
  invisible(object)
}

# A bare R function as a loss gets a name that Keras can show.
python_loss <- function(loss) {
  if (is.list(loss)) return(lapply(loss, python_loss))
  if (!is.function(loss) || is_python(loss)) return(loss)
  named <- attr(loss, "py_function_name", exact = TRUE)
  if (is_wrapper(loss)) python_for(loss) else
    named_function(loss, if (is.null(named)) "custom_loss" else named)
}

# A metric with a name, from an R function.
#' @export
custom_metric <- function(name, metric_fn) named_function(metric_fn, name)

metric_list <- function(metrics) {
  if (is.null(metrics)) return(metrics)
  if (is.character(metrics)) metrics <- as.list(metrics)
  if (!is.list(metrics) || is_python(metrics)) metrics <- list(metrics)
  metrics <- unclass(metrics)
  labels <- names(metrics)
  for (i in seq_along(metrics)) {
    metric <- metrics[[i]]
    if (!is.function(metric) || is_python(metric)) next
    if (is_wrapper(metric)) {
      metrics[[i]] <- python_for(metric)
      next
    }
    name <- attr(metric, "py_function_name", exact = TRUE)
    if (is.null(name)) {
      label <- if (is.null(labels)) "" else labels[i]
      name <- if (nzchar(label)) paste0("custom_metric_", label) else "custom_metric"
    }
    metrics[[i]] <- named_function(metric, name)
  }
  metrics
}

#' @method fit keras.src.models.model.Model
fit.keras.src.models.model.Model <- function(object, x = NULL, y = NULL, ..., batch_size = NULL,
                                             epochs = 1, callbacks = NULL, validation_split = 0,
                                             validation_data = NULL, shuffle = TRUE,
                                             class_weight = NULL, sample_weight = NULL,
                                             initial_epoch = 1, steps_per_epoch = NULL,
                                             validation_steps = NULL,
                                             validation_batch_size = NULL,
                                             validation_freq = 1,
                                             verbose = getOption("keras.verbose", "auto"),
                                             view_metrics = getOption("keras.view_metrics",
                                                                      "auto")) {
  .call <- match.call()
  args <- typed_arguments(.call, environment(), list(
    batch_size = kind_as_integer, epochs = kind_as_integer,
    callbacks = kind_as_is, validation_split = kind_as_is,
    validation_data = function(x) validation_pair(x, object), shuffle = kind_as_is,
    class_weight = class_weights,
    sample_weight = function(x) model_data(x, "float32"),
    initial_epoch = function(x) as.integer(x) - 1L,
    steps_per_epoch = kind_as_integer, validation_steps = kind_as_integer,
    validation_batch_size = kind_as_integer, validation_freq = kind_as_integer,
    x = function(x) source_or_data(x, input_type(object)),
    y = function(y) model_data(y, output_type(object))),
    dots = dots_arguments(environment()))
  args$verbose <- as_verbose(verbose)
  invisible(training_history(do.call(object$fit, args)))
}

validation_pair <- function(x, object) {
  if (is_data_source(x)) return(x)
  if (!is.list(x)) return(model_data(x, input_type(object)))
  types <- list(input_type(object), output_type(object), "float32")
  unname(Map(model_data, x, types[seq_along(x)]))
}

is_data_source <- function(x) {
  is.function(x) && !is_python(x) || inherits(x, c(
    "tensorflow.python.data.ops.dataset_ops.DatasetV2", "python.builtin.iterator"))
}

source_or_data <- function(x, dtype) {
  if (is.function(x) && !is_python(x)) return(python_generator(x))
  if (is_data_source(x)) x else model_data(x, dtype)
}

# An R function that gives a batch at each call becomes a Python generator, which is one batch
# ahead of what was asked for.
python_generator <- function(fun) {
  batch <- function() {
    values <- kind_keras_array(fun())
    if (is.null(values)) NULL else do.call(tuple, unname(values))
  }
  iterator <- ahead_of_time(batch)
  py_eval("lambda batches: (yield from batches)")(iterator)
}

# Weights without names are lost, silently, as in the real package.
class_weights <- function(weights) {
  if (is.null(weights)) return(NULL)
  if (!is.list(weights) && !is.numeric(weights) || is_python(weights)) {
    refuse("class_weight must be a named list of weights")
  }
  if (is.null(names(weights))) return(dict())
  do.call(dict, as.list(weights))
}

#' @method evaluate keras.src.models.model.Model
evaluate.keras.src.models.model.Model <- function(object, x = NULL, y = NULL, ...,
                                                  batch_size = NULL,
                                                  verbose = getOption("keras.verbose", "auto"),
                                                  sample_weight = NULL, steps = NULL,
                                                  callbacks = NULL) {
  .call <- match.call()
  args <- typed_arguments(.call, environment(), list(
    x = function(x) source_or_data(x, input_type(object)),
    y = function(y) model_data(y, output_type(object)),
    batch_size = kind_as_integer,
    sample_weight = function(x) model_data(x, "float32"),
    steps = kind_as_integer, callbacks = kind_as_is),
    dots = dots_arguments(environment()))
  args$verbose <- as_verbose(verbose)
  args$return_dict <- TRUE
  do.call(object$evaluate, args)
}

#' @method predict keras.src.models.model.Model
predict.keras.src.models.model.Model <- function(object, x, ..., batch_size = NULL,
                                                 verbose = getOption("keras.verbose", "auto"),
                                                 steps = NULL, callbacks = NULL) {
  .call <- match.call()
  args <- typed_arguments(.call, environment(), list(
    x = function(x) source_or_data(x, input_type(object)),
    batch_size = kind_as_integer, steps = kind_as_integer,
    callbacks = kind_as_is), dots = dots_arguments(environment()))
  args$verbose <- as_verbose(verbose)
  do.call(object$predict, args)
}

# "auto" is for Keras to decide, except in a knitr document, where it is one line an epoch.
as_verbose <- function(verbose) {
  if (identical(verbose, "auto")) {
    return(if (isTRUE(getOption("knitr.in.progress"))) 2L else "auto")
  }
  as.integer(verbose)
}
