# How a wrapper collects its arguments, calls Python and composes layers.

# The arguments that the caller of a wrapper typed, converted by `kinds` (argument -> function).
#
# `call` is match.call() of the wrapper and `frame` its environment; `to` renames arguments whose
# name in Python differs; `dots` is what came through `...`; `omitted` is sent for arguments that
# were not typed; `warns` has what the real package says about arguments that it no longer uses.
typed_arguments <- function(call, frame, kinds, to = character(), dots = NULL, omitted = list(),
                            warns = list()) {
  values <- list()
  for (name in intersect(names(kinds), names(call)[-1L])) {
    if (!is.null(warns[[name]])) warning(warns[[name]], call. = FALSE)
    # Written as a call, so that an error can say the name of the argument.
    value <- eval(call("kind", as.name(name)), list(kind = kinds[[name]]), frame)
    if (inherits(value, "not_sent")) next
    sent <- if (name %in% names(to)) to[[name]] else name
    values[sent] <- list(value)
  }
  c(values, dots, omitted[setdiff(names(omitted), names(values))])
}

# What was passed through `...`: named arguments, converted where `kinds` says so. An empty
# argument at the end counts as nothing.
dots_arguments <- function(frame, kinds = list(), named_only = FALSE) {
  values <- dots_values(frame)
  if (named_only) values <- values[nzchar(names(values))]
  named <- names(values)
  if (length(values) && (is.null(named) || any(named == ""))) {
    call <- deparse(eval(quote(match.call()), frame), width.cutoff = 500L)
    refuse("All arguments provided to `...` must be named.\n",
           "Call with unnamed arguments in dots:\n  ", paste(call, collapse = "\n"))
  }
  for (name in intersect(named, names(kinds))) values[name] <- list(kinds[[name]](values[[name]]))
  values
}

# What was passed through `...` without a name: the further inputs of a merging layer.
unnamed_dots <- function(frame) {
  values <- dots_values(frame)
  if (is.null(names(values))) values else unname(values[!nzchar(names(values))])
}

dots_values <- function(frame) {
  if (!exists("...", envir = frame, inherits = FALSE)) return(list())
  expressions <- as.list(eval(quote(substitute(list(...))), frame))[-1L]
  count <- length(expressions)
  if (count && identical(expressions[[count]], quote(expr = ))) count <- count - 1L
  values <- lapply(seq_len(count), function(i) eval(call("...elt", i), frame))
  names(values) <- if (is.null(names(expressions))) rep("", count) else names(expressions)[seq_len(count)]
  values
}

# The last touches: arguments of `drop` that are NULL do not cross, `add` always crosses, and
# those of `first` are sent by position, in that order.
finish_arguments <- function(args, drop = character(), add = list(), first = character()) {
  for (name in intersect(names(args), c(names(args)[vapply(args, inherits, NA, "spliced")]))) {
    args <- splice(args, name)
  }
  args <- args[!(names(args) %in% drop & vapply(args, is.null, NA))]
  args <- c(args, add)
  placed <- intersect(first, names(args))
  c(unname(args[placed]), args[setdiff(names(args), placed)])
}

# A value that is not of length one arrives under numbered names, as c() makes them.
splice <- function(args, name) {
  value <- unclass(args[[name]])
  args[[name]] <- NULL
  if (length(value) > 1L) names(value) <- paste0(name, seq_along(value)) else
    if (length(value)) names(value) <- name
  c(args, as.list(value))
}

# Adds the layer to a sequential model in place, calls it on anything else.
#
# `object` missing or NULL gives the layer itself. A sequential model is changed in place and
# returned, so that the next step of a pipe goes on with the same Python object.
compose <- function(layer, object) {
  if (missing(object) || is.null(object)) return(layer)
  if (is_sequential(object)) {
    object$add(layer)
    return(invisible(object))
  }
  invisible(layer(object))
}

# Calls what is no layer.
call_python <- function(callable, args) do.call(callable, args)

is_python <- function(x) inherits(x, "python.builtin.object")

# The same Python object, but what comes out of it stays in Python.
unconverted <- function(object) {
  py_get_item(py_dict("object", list(object), convert = FALSE), "object")
}
