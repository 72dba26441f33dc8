# compile, fit, evaluate, predict and their kin.


#' @method compile keras.engine.training.Model
compile.keras.engine.training.Model <- function(object, optimizer = NULL, loss = NULL,
                                                metrics = NULL, loss_weights = NULL,
                                                weighted_metrics = NULL, run_eagerly = NULL,
                                                steps_per_execution = NULL, ...,
                                                target_tensors = NULL, sample_weight_mode = NULL) {
  .call <- match.call()
  args <- typed_arguments(.call, environment(), list(
    loss = function(x) loss_function(x, .call$loss),
    metrics = function(x) metrics_list(x, object), loss_weights = kind_loss_weights,
    weighted_metrics = function(x) metrics_list(x, object), run_eagerly = kind_as_is,
    steps_per_execution = kind_as_nullable_integer, target_tensors = kind_as_is,
    sample_weight_mode = kind_as_is, optimizer = kind_as_is))
  do.call(object$compile, args)
  invisible(object)
}

# A bare R function as a loss gets a name that Keras can show, made from its text.
loss_function <- function(loss, text) {
  if (is.list(loss)) return(lapply(loss, loss_function, text = "custom_loss"))
  if (is.function(loss) && !is_python(loss) && is.null(attr(loss, "py_function_name"))) {
    attr(loss, "py_function_name") <- gsub("[^A-Za-z0-9]", "_", deparse(text)[1L])
  }
  loss
}

# Metrics as a list; names are kept only where all of them are outputs of the model.
metrics_list <- function(metrics, object) {
  if (is.null(metrics)) return(metrics)
  metrics <- if (is_python(metrics) || is.function(metrics)) list(metrics) else as.list(metrics)
  if (!is.null(names(metrics)) && !all(names(metrics) %in% object$output_names)) {
    for (i in seq_along(metrics)) {
      metric <- metrics[[i]]
      if (is.function(metric) && !is_python(metric) && nzchar(names(metrics)[i])) {
        attr(metric, "py_function_name") <- names(metrics)[i]
        metrics[[i]] <- metric
      }
    }
    names(metrics) <- NULL
  }
  metrics
}

#' @export
custom_metric <- function(name, metric_fn) {
  wrapped <- python_wrapper()$wrap_fn(metric_fn)
  py_set_attr(wrapped, "__name__", name)
  wrapped
}

#' @method fit keras.engine.training.Model
fit.keras.engine.training.Model <- function(object, x = NULL, y = NULL, batch_size = NULL,
                                            epochs = 10,
                                            verbose = getOption("keras.fit_verbose", "auto"),
                                            callbacks = NULL,
                                            view_metrics = getOption("keras.view_metrics", "auto"),
                                            validation_split = 0, validation_data = NULL,
                                            shuffle = TRUE, class_weight = NULL,
                                            sample_weight = NULL, initial_epoch = 0,
                                            steps_per_epoch = NULL, validation_steps = NULL, ...) {
  if (is.null(batch_size) && is.null(steps_per_epoch) && !is_data_source(x)) batch_size <- 32L
  args <- list(
    batch_size = kind_as_nullable_integer(batch_size),
    epochs = as.integer(epochs),
    verbose = as_verbose(verbose),
    validation_split = validation_split,
    shuffle = shuffle,
    class_weight = class_weights(class_weight),
    sample_weight = keras_array(sample_weight),
    initial_epoch = as.integer(initial_epoch))
  args <- append(args, data_arguments(x, y), 0L)
  args$validation_data <- kind_validation_data(validation_data)
  if (!is.null(steps_per_epoch)) args$steps_per_epoch <- as.integer(steps_per_epoch)
  if (!is.null(validation_steps)) args$validation_steps <- as.integer(validation_steps)
  args$callbacks <- kind_fit_callbacks(callbacks)
  history <- do.call(object$fit, c(args, list(...)))
  invisible(training_history(history))
}

# Datasets, generators and iterators are left for Keras to read.
is_data_source <- function(x) {
  is_generator(x) || inherits(x, c(
    "tensorflow.python.data.ops.dataset_ops.DatasetV2",
    "tensorflow.python.data.ops.iterator_ops.IteratorBase",
    "keras.utils.data_utils.Sequence", "keras.src.utils.data_utils.Sequence"))
}

is_generator <- function(x) {
  (is.function(x) && !is_python(x)) || inherits(x, "python.builtin.iterator")
}

# An R function that gives a batch at each call becomes a Python iterator, which is one batch
# ahead of what was asked for.
python_source <- function(x) {
  if (!is.function(x) || is_python(x)) return(x)
  batch <- function() {
    values <- keras_array(x())
    if (is.null(values)) NULL else do.call(tuple, unname(values))
  }
  ahead_of_time(batch)
}

data_arguments <- function(x, y) {
  args <- list()
  if (!is.null(x)) args$x <- if (is_data_source(x)) python_source(x) else keras_array(x)
  if (!is.null(y)) args$y <- keras_array(y)
  args
}

class_weights <- function(weights) {
  if (is.null(weights)) return(NULL)
  if (!is.list(weights)) refuse("class_weight must be a named list of weights")
  do.call(dict, weights)
}

#' @method evaluate keras.engine.training.Model
evaluate.keras.engine.training.Model <- function(object, x = NULL, y = NULL, batch_size = NULL,
                                                 verbose = "auto", sample_weight = NULL,
                                                 steps = NULL, callbacks = NULL, ...) {
  if (is.null(batch_size) && is.null(steps) && !is_data_source(x)) batch_size <- 32L
  args <- c(data_arguments(x, y), list(
    batch_size = kind_as_nullable_integer(batch_size),
    verbose = as_verbose(verbose),
    sample_weight = sample_weight,
    callbacks = python_callbacks(callbacks)), list(...))
  if (!is.null(steps)) args$steps <- as.integer(steps)
  result <- unlist(do.call(object$evaluate, args))
  names(result) <- unlist(object$metrics_names)[seq_along(result)]
  result
}

#' @method predict keras.engine.training.Model
predict.keras.engine.training.Model <- function(object, x, batch_size = NULL, verbose = "auto",
                                                steps = NULL, callbacks = NULL, ...) {
  if (is.null(batch_size) && is.null(steps) && !is_data_source(x)) batch_size <- 32L
  args <- list(
    batch_size = kind_as_nullable_integer(batch_size),
    verbose = as_verbose(verbose),
    callbacks = python_callbacks(callbacks), ...)
  args <- append(args, data_arguments(x, NULL), 0L)
  if (!is.null(steps)) args$steps <- as.integer(steps)
  do.call(object$predict, args)
}

# "auto" is for Keras to decide, except in a knitr document, where it is one line an epoch.
as_verbose <- function(verbose) {
  if (identical(verbose, "auto")) {
    return(if (isTRUE(getOption("knitr.in.progress"))) 2L else "auto")
  }
  as.integer(verbose)
}
