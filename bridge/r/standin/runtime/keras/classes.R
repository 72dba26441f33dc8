# Classes of Keras written in R: new_layer_class(), new_callback_class() and their kin.

package_type <- function(classname, members, inherit, frame, private) {
  force(frame)
  type <- new_type(classname, members, inherit, frame, private, "R6type", typed_only = TRUE)
  class(type) <- c("py_R6ClassGenerator", class(type))
  type
}

# Class$new(...) is Class(...).
#' @method $ py_R6ClassGenerator
`$.py_R6ClassGenerator` <- function(x, name) if (identical(name, "new")) x else NextMethod()

given_members <- function(named, dots) {
  c(dots, named[!vapply(named, is.null, NA)])
}

#' @export
new_layer_class <- function(classname, ..., initialize = NULL, build = NULL, call = NULL,
                            get_config = NULL) {
  members <- given_members(
    list(initialize = initialize, build = build, call = call, get_config = get_config), list(...))
  layer_wrapper(
    package_type(classname, members, keras$layers$Layer, parent.frame(), list()),
    formals_of(initialize))
}

#' @export
Layer <- function(classname, initialize, build = NULL, call = NULL, compute_output_shape = NULL,
                  ..., inherit = keras::keras$layers$Layer) {
  members <- given_members(
    list(initialize = if (missing(initialize)) NULL else initialize, build = build, call = call,
         compute_output_shape = compute_output_shape), list(...))
  layer_wrapper(
    package_type(classname, members, if (missing(inherit)) keras$layers$Layer else inherit,
                 parent.frame(), list()),
    formals_of(members$initialize))
}

#' @export
new_model_class <- function(classname, ..., initialize = NULL, call = NULL, train_step = NULL,
                            predict_step = NULL, test_step = NULL, compute_loss = NULL,
                            compute_metrics = NULL) {
  members <- given_members(
    list(initialize = initialize, call = call, train_step = train_step,
         predict_step = predict_step, test_step = test_step, compute_loss = compute_loss,
         compute_metrics = compute_metrics), list(...))
  package_type(classname, members, keras$Model, parent.frame(), list())
}

#' @export
new_metric_class <- function(classname, ..., initialize, update_state, result) {
  named <- list(initialize = if (!missing(initialize)) initialize,
                update_state = if (!missing(update_state)) update_state,
                result = if (!missing(result)) result)
  package_type(classname, given_members(named, list(...)), keras$metrics$Metric, parent.frame(),
               list())
}

#' @export
new_loss_class <- function(classname, ..., call = NULL) {
  package_type(classname, given_members(list(call = call), list(...)), keras$losses$Loss,
               parent.frame(), list())
}

#' @export
new_learning_rate_schedule_class <- function(classname, ..., initialize = NULL, call = NULL,
                                             get_config = NULL) {
  members <- given_members(
    list(initialize = initialize, `__call__` = call, get_config = get_config), list(...))
  package_type(classname, members, keras$optimizers$schedules$LearningRateSchedule,
               parent.frame(), list())
}

# Epochs and batches are counted from 0 here, as Python counts them.
#' @export
new_callback_class <- function(classname, ..., on_epoch_begin = NULL, on_epoch_end = NULL,
                               on_train_begin = NULL, on_train_end = NULL, on_batch_begin = NULL,
                               on_batch_end = NULL, on_predict_batch_begin = NULL,
                               on_predict_batch_end = NULL, on_predict_begin = NULL,
                               on_predict_end = NULL, on_test_batch_begin = NULL,
                               on_test_batch_end = NULL, on_test_begin = NULL, on_test_end = NULL,
                               on_train_batch_begin = NULL, on_train_batch_end = NULL) {
  named <- mget(grep("^on_", names(formals()), value = TRUE))
  package_type(classname, given_members(named, list(...)), keras$callbacks$Callback,
               parent.frame(), list())
}

# A layer_ function for a class: its first argument is what the layer is added to.
#' @export
create_layer_wrapper <- function(Layer, modifiers = NULL, convert = TRUE) {
  layer_wrapper(Layer, constructor_formals(Layer), modifiers)
}

formals_of <- function(constructor) {
  if (is.function(constructor)) formals(constructor) else alist(... = )
}

layer_wrapper <- function(Layer, known, modifiers = NULL) {
  force(Layer)
  kinds <- list(input_shape = tf_shape, batch_input_shape = tf_shape, batch_size = as.integer)
  kinds[names(modifiers)] <- as.list(modifiers)
  here <- new.env(parent = environment(class_bases))
  delayedAssign("__class__", class_behind(Layer), assign.env = here)
  here$kinds <- kinds
  known$self <- NULL
  body <- quote(create_layer(`__class__`, object, converted_arguments(
    class_arguments(match.call(), environment(), "object"), kinds)))
  as.function(c(alist(object = ), known, body), envir = here)
}

converted_arguments <- function(args, kinds) {
  for (name in intersect(names(args), names(kinds))) args[name] <- list(kinds[[name]](args[[name]]))
  args
}

tf_shape <- function(x) {
  if (inherits(x, "tensorflow.python.framework.tensor_shape.TensorShape")) x else shape(dims = x)
}

# The arguments of a class's constructor, as R can match them.
constructor_formals <- function(type) {
  if (inherits(type, "R6ClassGenerator")) {
    methods <- type$public_methods
    own <- if (is.null(methods$initialize)) methods$`__init__` else methods$initialize
    return(if (is.null(own)) list() else formals(own))
  }
  parameters <- rclasses()$parameters(type)
  known <- list()
  for (parameter in parameters) {
    known[parameter[[1L]]] <- if (parameter[[2L]]) list(parameter[[3L]]) else list(quote(expr = ))
  }
  known
}

#' @export
create_layer <- function(layer_class, object, args = list()) {
  for (name in c("input_shape", "batch_input_shape", "batch_size", "dtype", "name", "trainable",
                 "weights")) {
    if (is.null(args[[name]])) args[[name]] <- NULL
  }
  for (name in grep("_constraint$", names(args), value = TRUE)) {
    args[name] <- list(kind_constraint(args[[name]]))
  }
  # A class that derives straight from KerasLayer stays in R; all others become Python classes.
  in_r <- inherits(layer_class, "R6ClassGenerator") &&
    identical(layer_class$get_inherit(), KerasLayer)
  if (!in_r) return(make_layer(class_behind(layer_class), object, args))
  make_layer(function(...) layer_of_r6(layer_class, list(...)), object, args)
}

# A model whose call is an R function that `model_fn` gives back.
#' @export
keras_model_custom <- function(model_fn, name = NULL) {
  model <- python_tools("kerastools.model")$RModel(name = name)
  model$r_call <- model_fn(model)
  model
}

#' @export
backend <- function(convert = TRUE) if (convert) keras$backend else r_to_py(keras$backend)
