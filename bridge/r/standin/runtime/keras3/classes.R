# Classes of Keras written in R: Layer(), Model(), Callback() and their kin.

# A wrapper that makes instances. The class itself is made when it is first needed, so that Python
# does not start before it must.
# `inherit` is an expression; without one the class derives from that at `base`.
class_wrapper <- function(classname, members, inherit, base, frame, private,
                          fallback = function(...) NULL, composes = FALSE) {
  force(classname)
  force(frame)
  force(members)
  force(private)
  members <- with_class_methods(members)
  here <- new.env(parent = environment(class_wrapper))
  delayedAssign("__class__",
    package_type(classname, members,
                 if (is.null(inherit)) python_class_at(base) else eval(inherit, frame),
                 frame, private), assign.env = here)
  constructor <- members$initialize
  if (is.null(constructor)) constructor <- members$`__init__`
  known <- formals(if (is.function(constructor) && !is_python(constructor)) constructor else fallback)
  known$self <- NULL
  body <- if (composes) {
    quote(make_layer(`__class__`, object,
                     layer_arguments(class_arguments(match.call(), environment(), "object"))))
  } else {
    quote(do.call(`__class__`, class_arguments(match.call(), environment())))
  }
  if (composes) known <- c(alist(object = ), known)
  as.function(c(known, body), envir = here)
}

package_type <- function(classname, members, inherit, frame, private) {
  force(frame)
  new_type(classname, members, inherit, frame, private, r_module(frame))
}

# What is given to a layer: constraints are classes, functions have R's names for arguments.
layer_arguments <- function(args) {
  for (name in names(args)) {
    value <- args[[name]]
    args[name] <- list(if (endsWith(name, "_constraint")) kind_constraint(value) else
      python_for(value))
  }
  args
}

with_class_methods <- function(members) {
  if (is.function(members$from_config)) {
    members$from_config <- add_decorator(members$from_config, "classmethod")
  }
  members
}

# The members that were given by name, in `...` and in `public`, the later before the earlier.
class_members <- function(named, dots, public) {
  named <- named[!vapply(named, is.null, NA)]
  for (more in list(dots, public)) for (name in names(more)) named[name] <- list(more[[name]])
  named
}

named_call <- function(members) {
  if ("call" %in% names(members) && !"__call__" %in% names(members)) {
    names(members)[names(members) == "call"] <- "__call__"
  }
  members
}

#' @export
Layer <- function(classname, initialize = NULL, call = NULL, build = NULL, get_config = NULL, ...,
                  public = list(), private = list(), inherit = NULL, parent_env = parent.frame()) {
  members <- class_members(
    list(initialize = initialize, call = call, build = build, get_config = get_config),
    list(...), public)
  class_wrapper(classname, members, substitute(inherit), "keras.Layer", parent_env, private,
                composes = TRUE)
}

#' @export
new_layer_class <- Layer

#' @export
Model <- function(classname, initialize = NULL, call = NULL, train_step = NULL,
                  predict_step = NULL, test_step = NULL, compute_loss = NULL,
                  compute_metrics = NULL, ..., public = list(), private = list(), inherit = NULL,
                  parent_env = parent.frame()) {
  members <- class_members(
    list(initialize = initialize, call = call, train_step = train_step,
         predict_step = predict_step, test_step = test_step, compute_loss = compute_loss,
         compute_metrics = compute_metrics),
    list(...), public)
  class_wrapper(classname, members, substitute(inherit), "keras.Model", parent_env, private)
}

#' @export
new_model_class <- Model

#' @export
Metric <- function(classname, initialize = NULL, update_state = NULL, result = NULL, ...,
                   public = list(), private = list(), inherit = NULL,
                   parent_env = parent.frame()) {
  members <- class_members(
    list(initialize = initialize, update_state = update_state, result = result),
    list(...), public)
  class_wrapper(classname, members, substitute(inherit), "keras.Metric", parent_env, private,
                function(dtype = NULL, name = NULL) NULL)
}

#' @export
new_metric_class <- Metric

#' @export
Loss <- function(classname, call = NULL, ..., public = list(), private = list(), inherit = NULL,
                 parent_env = parent.frame()) {
  members <- class_members(list(call = call), list(...), public)
  class_wrapper(classname, members, substitute(inherit), "keras.Loss", parent_env, private,
                function(name = NULL, reduction = "sum_over_batch_size", dtype = NULL) NULL)
}

#' @export
new_loss_class <- Loss

#' @export
Constraint <- function(classname, call = NULL, get_config = NULL, ..., public = list(),
                       private = list(), inherit = NULL, parent_env = parent.frame()) {
  members <- class_members(list(call = call, get_config = get_config), list(...), public)
  class_wrapper(classname, named_call(members), substitute(inherit),
                "keras.constraints.Constraint", parent_env, private)
}

#' @export
new_learning_rate_schedule_class <- function(classname, call = NULL, initialize = NULL,
                                             get_config = NULL, ..., public = list(),
                                             private = list(), inherit = NULL,
                                             parent_env = parent.frame()) {
  members <- class_members(
    list(initialize = initialize, call = call, get_config = get_config), list(...), public)
  class_wrapper(classname, named_call(members), substitute(inherit),
                "keras.optimizers.schedules.LearningRateSchedule", parent_env, private)
}

#' @export
Callback <- function(classname, on_epoch_begin = NULL, on_epoch_end = NULL, on_train_begin = NULL,
                     on_train_end = NULL, on_train_batch_begin = NULL, on_train_batch_end = NULL,
                     on_test_begin = NULL, on_test_end = NULL, on_test_batch_begin = NULL,
                     on_test_batch_end = NULL, on_predict_begin = NULL, on_predict_end = NULL,
                     on_predict_batch_begin = NULL, on_predict_batch_end = NULL, ...,
                     public = list(), private = list(), inherit = NULL,
                     parent_env = parent.frame()) {
  named <- mget(grep("^on_", names(formals()), value = TRUE))
  members <- class_members(named, list(...), public)
  for (name in intersect(names(members), counted_moments)) {
    members[[name]] <- add_decorator(members[[name]], function(f) rclasses()$counted_from_one(f))
  }
  for (name in intersect(names(members), whole_moments)) {
    members[[name]] <- add_decorator(members[[name]], function(f) rclasses()$with_logs(f))
  }
  class_wrapper(classname, members, substitute(inherit), "keras.callbacks.Callback", parent_env,
                private)
}

#' @export
new_callback_class <- Callback

# The moments that come with the number of an epoch or batch, counted from 1 in R.
counted_moments <- paste0("on_", c(
  "epoch_begin", "epoch_end", "batch_begin", "batch_end", "train_batch_begin", "train_batch_end",
  "test_batch_begin", "test_batch_end", "predict_batch_begin", "predict_batch_end"))
whole_moments <- paste0("on_", c(
  "train_begin", "train_end", "test_begin", "test_end", "predict_begin", "predict_end"))

# self$model$stop_training <- TRUE ends with self$model <- the same model, which Keras refuses.
#' @method $<- keras.src.callbacks.callback.Callback
`$<-.keras.src.callbacks.callback.Callback` <- function(x, name, value) {
  if (name == "model" && is_python(value) && identical(py_id(value), py_id(x$model))) return(x)
  NextMethod()
}

#' @export
active_property <- function(x) {
  if (!is.function(x)) refuse("Only functions can be active properties", call = sys.call())
  mark_active(x)
}

# This front end runs on TensorFlow only.
#' @export
use_backend <- function(backend, gpu = NA) {
  if (!identical(backend, "tensorflow")) refuse_argument("use_backend", "backend", "keras3")
  Sys.setenv(KERAS_BACKEND = backend)
  invisible()
}
