# Indexing of tensors: counted from 1, ends included, negative numbers counted from the end.

# What has been warned of once in this session.
warned <- new.env(parent = emptyenv())
warned$negative <- FALSE
warned$tensor <- FALSE

# How an index is read. A style overrides the single options.
#' @export
tf_extract_opts <- function(style = getOption("tensorflow.extract.style"), ...,
                            one_based = getOption("tensorflow.extract.one_based", TRUE),
                            inclusive_stop = getOption("tensorflow.extract.inclusive_stop", TRUE),
                            disallow_out_of_bounds =
                              getOption("tensorflow.extract.dissallow_out_of_bounds", TRUE),
                            warn_tensors_passed_asis =
                              getOption("tensorflow.extract.warn_tensors_passed_asis", TRUE),
                            warn_negatives_pythonic =
                              getOption("tensorflow.extract.warn_negatives_pythonic", TRUE)) {
  if (length(list(...))) warning("arguments passed to `...` are ignored")
  given <- list(
    one_based = one_based, inclusive_stop = inclusive_stop,
    disallow_out_of_bounds = disallow_out_of_bounds,
    warn_tensors_passed_asis = warn_tensors_passed_asis,
    warn_negatives_pythonic = warn_negatives_pythonic)
  for (name in names(given)) check_flag(given[[name]], name)
  # The name that the option had at first.
  former <- getOption("tensorflow.one_based_extract")
  if (!is.null(former)) {
    if (missing(one_based) || is.null(getOption("tensorflow.extract.one_based"))) {
      given$one_based <- former
    } else {
      warning("options `tensorflow.one_based_extract` is ignored and",
              "overridden by option `tensorflow.extract.one_based")
    }
  }
  if (is.null(style)) {
    if (warned$negative) given$warn_negatives_pythonic <- FALSE
    if (warned$tensor) given$warn_tensors_passed_asis <- FALSE
  } else if (match.arg(style, c("R", "python")) == "python") {
    given[] <- FALSE
  } else {
    given[c("warn_tensors_passed_asis", "warn_negatives_pythonic")] <- FALSE
  }
  structure(given, class = "tf_extract_options")
}

# Python's `...`: all the axes that the other indices leave.
#' @export
all_dims <- function() import_builtins(convert = FALSE)$Ellipsis

#' @method "[" tensorflow.tensor
`[.tensorflow.tensor` <- function(x, ..., drop = TRUE,
                                  style = getOption("tensorflow.extract.style"),
                                  options = tf_extract_opts(style)) {
  frame <- parent.frame()
  if (!inherits(options, "tf_extract_options")) {
    refuse("inherits(options, \"tf_extract_options\") is not TRUE", call = sys.call())
  }
  check_flag(drop, "drop")
  places <- as.list(substitute(list(...)))[-1L]
  if (!is.null(names(places))) {
    warning("names are ignored: ", paste(names(places), collapse = ", "), call. = FALSE)
  }
  places <- lapply(unname(places), read_place, frame)
  check_number(x, places, sys.call())
  if (options$one_based) check_zeros(places)
  if (options$disallow_out_of_bounds) check_bounds(x, places, options$one_based)
  if (options$warn_negatives_pythonic) warn_of_negatives(places)
  if (options$warn_tensors_passed_asis) warn_of_tensors(places)
  places <- lapply(places, python_place, options, drop)
  # A single index stays alone, as in Python.
  x$`__getitem__`(if (length(places) == 1L) places[[1L]] else do.call(tuple, places))
}

# A tensor cannot be changed in place, which Python says better than R.
#' @method "[<-" tensorflow.tensor
`[<-.tensorflow.tensor` <- function(x, ..., value) {
  frame <- environment()
  empty <- vapply(as.list(substitute(list(...)))[-1L], identical, NA, quote(expr = ))
  key <- lapply(seq_along(empty), function(i) {
    if (empty[i]) python_slice() else eval(call("...elt", i), frame)
  })
  py_set_item(x, if (length(key)) key else python_slice(), value)
  x
}

# What an index is before it is shifted: a span written start:stop or start:stop:step (which may
# be a single name in backquotes, with open ends), or the value of whatever else was written.
read_place <- function(place, frame) {
  if (identical(place, quote(expr = ))) return(python_slice())
  is_colon <- function(part) is.call(part) && identical(part[[1L]], quote(`:`))
  if (is_colon(place)) {
    parts <- as.list(place)[-1L]
    if (is_colon(parts[[1L]])) parts <- c(as.list(parts[[1L]])[-1L], parts[-1L])
  } else if (is.name(place) && grepl(":", place, fixed = TRUE)) {
    words <- strsplit(as.character(place), ":", fixed = TRUE)[[1L]]
    if (!length(words) || length(words) > 3L) {
      refuse("Only 1, 2, or 3 arguments can be supplied as a python-style slice",
             call = quote(FUN(X[[i]], ...)))
    }
    parts <- lapply(ifelse(nzchar(words), words, "NULL"), str2lang)
  } else {
    return(eval(place, frame))
  }
  values <- lapply(parts, eval, frame)
  values <- c(values, rep(list(NULL), 3L - length(values)))
  structure(values, names = c("start", "stop", "step"), class = "index_span")
}

is_ellipsis <- function(x) inherits(x, "python.builtin.ellipsis")
is_span <- function(x) inherits(x, "index_span")
is_whole <- function(x) is.numeric(x) && isTRUE(all(x == suppressWarnings(as.integer(x))))
is_one_whole <- function(x) length(x) == 1L && is_whole(x)

# The number of indices must not exceed the number of axes; fewer are let pass with a warning.
check_number <- function(x, places, call) {
  if (length(places) == 1L && length(dim(places[[1L]])) > 1L) {
    refuse("Subsetting tensors with R matrices or arrays is not currently supported", call = call)
  }
  places <- places[!vapply(places, is.null, NA)]
  rank <- py_len(x$shape)
  if (length(places) == rank) return(invisible())
  ellipsis <- vapply(places, is_ellipsis, NA)
  if (sum(!ellipsis) > rank) {
    refuse("Incorrect number of dimensions supplied. ", rank, " required, but received ",
           length(places), call = call)
  }
  if (!any(ellipsis)) {
    warning(simpleWarning(paste0(
      "Incorrect number of dimensions supplied. The number of supplied arguments, ",
      "(not counting any NULL, tf$newaxis or np$newaxis) must match the",
      "number of dimensions in the tensor, unless an all_dims() was supplied",
      " (this will produce an error in the future)"), call))
  }
}

# Plain numbers in indices, also in the parts of spans; what has dimensions is not looked at.
plain_numbers <- function(places) {
  numbers <- unlist(lapply(places, function(place) if (is_span(place)) unclass(place) else
    if (is.list(place)) plain_numbers(place) else list(place)), recursive = FALSE)
  Filter(function(value) is.numeric(value) && !is.object(value) && is.null(dim(value)), numbers)
}

check_zeros <- function(places) {
  for (number in plain_numbers(places)) if (isTRUE(any(number == 0))) {
    refuse(
      "It looks like you might be using 0-based indexing to extract using `[`.\n",
      "The tensorflow package now uses 1-based extraction by default.\n\n",
      "You can switch to the old behavior (0-based extraction) with:\n",
      "  options(tensorflow.extract.one_based = FALSE)\n", call = quote(force(if_any_TRUE)))
  }
}

# One past the end is let pass here, and left for TensorFlow to refuse.
check_bounds <- function(x, places, one_based) {
  call <- quote(stop_if_any_out_of_bounds(x, dots, options))
  dims <- x$shape$as_list()
  if (is_python(dims)) dims <- py_to_r(dims)
  places <- places[!vapply(places, is.null, NA)]
  ellipsis <- which(vapply(places, is_ellipsis, NA))
  if (length(ellipsis) > 1L) {
    refuse("Only one all_dims() allowed if `dissallow_out_of_bounds` is TRUE", call = call)
  }
  axis <- seq_along(places)
  if (length(ellipsis)) {
    after <- axis > ellipsis
    axis[after] <- axis[after] + length(dims) - length(places)
  }
  outside <- vapply(seq_along(places), function(i) {
    place <- places[[i]]
    size <- if (i %in% ellipsis) NULL else dims[[axis[i]]]
    if (is_span(place)) place <- unlist(Filter(is.numeric, unclass(place)[c("start", "stop")]))
    if (is.null(size) || !is_whole(place) || !length(place)) return(FALSE)
    max(max(place) - one_based, -min(place)) > size
  }, NA)
  if (any(outside)) {
    refuse(paste0(
      "Arg supplied to index dimension ", axis[outside],
      " is out bounds. Please supply a different value, or alternatively, set ",
      "options(tensorflow.extract.disallow_out_of_bounds = FALSE)", collapse = ""), call = call)
  }
}

warn_of_negatives <- function(places) {
  without_step <- lapply(places, function(place) if (is_span(place)) unclass(place)[1:2] else place)
  for (number in plain_numbers(without_step)) if (is_one_whole(number) && number < 0) {
    warned$negative <- TRUE
    warning(
      "Negative numbers are interpreted python-style when subsetting tensorflow tensors.",
      "\nSee: ?`[.tensorflow.tensor` for details.\nTo turn off this warning, set",
      " `options(tensorflow.extract.warn_negatives_pythonic = FALSE)`", call. = FALSE)
    return(invisible())
  }
}

warn_of_tensors <- function(places) {
  parts <- unlist(lapply(places, function(p) if (is_span(p)) unclass(p) else list(p)),
                  recursive = FALSE)
  if (!any(vapply(parts, is_tensor, NA))) return(invisible())
  warned$tensor <- TRUE
  warning(simpleWarning(paste0(
    "Indexing tensors are passed as-is to python, no index offsetting or ",
    "R to python translation is performed. Selected options for one_based ",
    "and inclusive_stop are ignored and treated as FALSE. To silence this warning, set ",
    "options(tensorflow.extract.warn_tensors_passed_asis = FALSE)"),
    quote(force(if_any_TRUE))))
}

# An index as Python takes it. `drop = FALSE` keeps the axis of a single number.
python_place <- function(place, options, drop) {
  if (is_span(place)) {
    return(python_slice(place$start, place$stop, place$step, options$one_based,
                        options$inclusive_stop))
  }
  if (is.atomic(place) &&
      (is.character(place) || anyNA(place) || any(is.infinite(place)))) {
    refuse("NA, Inf, or character inputs not supported", call = quote(FUN(X[[i]], ...)))
  }
  if (is_one_whole(place)) {
    place <- from_zero(as.integer(place), options$one_based)
    if (drop) return(place)
    return(if (place < 0L) slice(place, place - 1L, -1L) else slice(place, place + 1L, NULL))
  }
  if (is_whole(place)) python_sequence(place, options) else place
}

# Several numbers are one slice, where they are evenly spaced and none is negative.
python_sequence <- function(numbers, options) {
  first <- numbers[1L]
  last <- numbers[length(numbers)]
  if (!length(numbers)) {
    refuse("'from' must be a finite number",
           call = quote(seq.int(from = start, to = end, by = step)))
  }
  step <- numbers[2L] - first
  even <- first >= 0 && last >= 0 &&
    !any(suppressWarnings(numbers != seq.int(from = first, to = last, by = step)))
  if (!even) {
    refuse("only positive sequences with a single step size are accepted ",
           "if indexing with sequences not specified by a call to `:`",
           call = quote(R_slicing_sequence_to_py_slice(x, options)))
  }
  if (identical(step, 1L)) step <- NULL
  python_slice(first, last, step, options$one_based, options$inclusive_stop)
}

# A slice of Python from a span of R. A span that runs down gets a negative step.
python_slice <- function(start = NULL, stop = NULL, step = NULL, one_based = TRUE,
                         inclusive = TRUE) {
  parts <- lapply(list(start = start, stop = stop, step = step), function(part) {
    if (identical(part, NA) || identical(part, NA_integer_) || identical(part, NA_real_)) NULL
    else part
  })
  for (name in names(parts)) {
    part <- parts[[name]]
    if (is.null(part) || is_tensor(part)) next
    if (!is_one_whole(part)) {
      wrong_value(name, paste("NULL or NA (the default if missing), a scalar whole number,",
                              "or a tensor"))
    }
    parts[[name]] <- if (name == "step") as.integer(part) else from_zero(as.integer(part), one_based)
  }
  start <- parts$start
  stop <- parts$stop
  step <- parts$step
  upwards <- !is_tensor(step) && (is.null(step) || step > 0L)
  if (is.numeric(start) && is.numeric(stop) && upwards && start > stop &&
      sign(start) == sign(stop)) {
    step <- if (is.null(step)) -1L else -step
  }
  if (inclusive && is.numeric(stop)) {
    direction <- if (is.null(step)) 1L else as.integer(sign(step))
    stop <- stop + direction
    if (stop == 0L && direction == 1L) stop <- NULL
  }
  slice(start, stop, step)
}

slice <- function(start, stop, step) {
  new_slice <- import_builtins(convert = FALSE)$slice
  if (is.null(start) && is.null(stop) && is.null(step)) new_slice(NULL) else
    new_slice(start, stop, step)
}

from_zero <- function(place, one_based) if (one_based && place > 0L) place - 1L else place

check_flag <- function(value, name) {
  if (!isTRUE(value) && !isFALSE(value)) wrong_value(name, "TRUE or FALSE")
}

# CRAN's package prints the outermost call of the session, whatever that is.
wrong_value <- function(name, wanted) {
  refuse(paste("In call:", deparse(sys.call(1L)), "\n", "Value supplied to", sQuote(name),
               "must be", wanted, collapse = ""))
}
