# The classes of package keras that are written with R6: KerasLayer, KerasCallback, KerasConstraint
# and KerasWrapper. Instances stay in R; a Python object calls their methods.

#' @export
KerasLayer <- NULL
#' @export
KerasWrapper <- NULL
#' @export
KerasCallback <- NULL
#' @export
KerasConstraint <- NULL

# R6 is looked for when a class is first needed, since everything else works without it.
offer_r6_classes <- function(namespace) {
  makers <- list(KerasLayer = r6_layer, KerasWrapper = r6_wrapper, KerasCallback = r6_callback,
                 KerasConstraint = r6_constraint)
  for (name in names(makers)) local({
    make <- makers[[name]]
    label <- name
    delayedAssign(label, {
      if (!requireNamespace("R6", quietly = TRUE)) {
        not_served(label, " without the R package R6; ",
                   "type: apt-get install r-cran-r6, or install.packages(\"R6\") in R")
      }
      make()
    }, assign.env = namespace)
  })
}

r6_class <- function(...) R6::R6Class(..., parent_env = asNamespace("keras"))

# The methods and fields that a layer and a wrapper share; `behind` gives the Python layer that
# their weights and losses belong to, `python` the one whose inputs and outputs they are.
layer_members <- function(behind, python) {
  public <- eval(bquote(list(
    compute_output_shape = function(input_shape) input_shape,
    add_loss = function(losses, inputs = NULL) {
      do.call(.(behind)$add_loss, given_arguments(losses = losses, inputs = inputs))
    },
    add_weight = function(name, shape, dtype = NULL, initializer = NULL, regularizer = NULL,
                          trainable = TRUE, constraint = NULL) {
      do.call(.(behind)$add_weight, given_arguments(
        name = name, shape = shape, dtype = dtype, initializer = initializer,
        regularizer = regularizer, trainable = trainable, constraint = constraint))
    })))
  active <- eval(bquote(list(
    input = function(value) {
      if (missing(value)) .(python)$input else .(call("$", python, quote(input))) <- value
    },
    output = function(value) {
      if (missing(value)) .(python)$output else .(call("$", python, quote(output))) <- value
    })))
  list(public = public, active = active)
}

given_arguments <- function(...) Filter(Negate(is.null), list(...))

r6_layer <- function() {
  members <- layer_members(quote(private$wrapper), quote(private$wrapper))
  r6_class("KerasLayer", public = c(members$public, list(
    build = function(input_shape) NULL,
    call = function(inputs, mask = NULL) {
      refuse("Keras custom layers must implement the call function", call = sys.call())
    },
    .set_wrapper = function(wrapper) private$wrapper <- wrapper,
    python_layer = function() private$wrapper)),
    active = members$active, private = list(wrapper = NULL))
}

r6_wrapper <- function() {
  members <- layer_members(quote(private$py_wrapper$layer), quote(private$py_wrapper))
  members$public$compute_output_shape <- function(input_shape) {
    private$py_wrapper$layer$compute_output_shape(input_shape)
  }
  r6_class("KerasWrapper", public = c(members$public, list(
    build = function(input_shape) {
      inner <- private$py_wrapper$layer
      if (!inner$built) inner$build(input_shape)
    },
    call = function(inputs, mask = NULL) private$py_wrapper$layer$call(inputs),
    .set_py_wrapper = function(py_wrapper) private$py_wrapper <- py_wrapper,
    python_wrapper = function() private$py_wrapper)),
    active = members$active, private = list(py_wrapper = NULL))
}

r6_callback <- function() {
  numbered <- c("epoch", "batch", "train_batch", "test_batch", "predict_batch")
  methods <- list(params = NULL, model = NULL, set_context = function(params = NULL, model = NULL) {
    self$params <- params
    self$model <- model
  })
  for (what in c(numbered, "train", "test", "predict")) for (end in c("begin", "end")) {
    method <- function(logs = NULL) NULL
    first <- sub("^.*_", "", what)
    if (what %in% numbered) formals(method) <- c(structure(alist(x = ), names = first),
                                                 formals(method))
    methods[[paste("on", what, end, sep = "_")]] <- method
  }
  r6_class("KerasCallback", public = methods)
}

r6_constraint <- function() r6_class("KerasConstraint", public = list(
  call = function(w) {
    refuse("Keras custom constraints must implement the call function", call = sys.call())
  },
  get_config = function() dict()))

# Arguments that every Python layer knows go to it; the others go to the constructor in R.
split_arguments <- function(args, known) {
  is_known <- names(args) %in% known
  list(python = Filter(Negate(is.null), args[is_known]), own = args[!is_known])
}

common_arguments <- c("input_shape", "batch_input_shape", "batch_size", "dtype", "name",
                      "trainable", "weights")

# A Python layer whose methods are those of an instance in R.
python_proxy <- function(class, instance, args) {
  do.call(class, c(args, list(r_build = instance$build, r_call = py_func(instance$call),
                              r_compute_output_shape = instance$compute_output_shape)))
}

layer_of_r6 <- function(generator, args) {
  parts <- split_arguments(args, common_arguments)
  instance <- do.call(generator$new, parts$own)
  layer <- python_proxy(python_tools("kerastools.layer")$RLayer, instance, parts$python)
  instance$.set_wrapper(layer)
  layer
}

#' @export
create_wrapper <- function(wrapper_class, object, args = list()) {
  parts <- split_arguments(args, c("layer", common_arguments))
  instance <- do.call(wrapper_class$new, parts$own)
  layer <- python_proxy(python_tools("kerastools.wrapper")$RWrapper, instance, parts$python)
  instance$.set_py_wrapper(layer)
  if (missing(object) || is.null(object)) instance else invisible(compose(layer, object))
}

# The moments of a batch are called by their old names, whatever the class has under the new ones.
callback_of_r6 <- function(callback) {
  moments <- grep("^on_", names(KerasCallback$public_methods), value = TRUE)
  moments <- mget(moments, envir = as.environment(callback))
  moments$on_train_batch_begin <- moments$on_batch_begin
  moments$on_train_batch_end <- moments$on_batch_end
  names(moments) <- paste0("r_", names(moments))
  do.call(python_tools("kerastools.callback")$RCallback,
          c(list(r_set_context = callback$set_context), moments))
}
