# Coercion kinds: what an R value becomes before it crosses into Python.
#
# A coercion table names a kind for each argument of each function; kind_NAME() here is the one
# place where that kind is carried out. The generator makes an argument whose kind has no such
# function refuse, with a sentence.

# The value crosses as reticulate converts it.
kind_as_is <- function(x) x

# A missing logical in an array is FALSE in NumPy; older versions of reticulate make it TRUE.
known_logicals <- function(x) {
  if (is.logical(x) && anyNA(x)) x[is.na(x)] <- FALSE
  x
}

# Accepted and never sent.
kind_ignored <- function(x) structure(list(), class = "not_sent")

# NULL stays NULL (None in Python).
kind_as_nullable_integer <- function(x) if (is.null(x)) x else as.integer(x)

# Plain numbers become integer; strings, logicals, lists and objects pass.
kind_integer_if_numeric <- function(x) if (is.numeric(x)) as.integer(x) else x

# Text passes, all else becomes integer.
kind_integer_unless_text <- function(x) {
  if (is.character(x)) x else kind_as_nullable_integer(x)
}

# As above, but a list of one is a single integer.
kind_as_integer_list_tuple <- function(x) {
  if (is.list(x) && length(x) > 1L) integer_tuple(x) else kind_as_nullable_integer(x)
}

kind_as_forced_integer_tuple <- function(x) if (is.null(x)) x else integer_tuple(x)

integer_tuple <- function(x) do.call(reticulate::tuple, as.list(as.integer(x)))

# One integer; anything longer or shorter falls apart, see splice().
kind_integer_scalar_spliced <- function(x) structure(as.integer(x), class = "spliced")

# One axis, counted from 1 in R and from 0 in Python; negative ones count from the end in both.
kind_as_axis <- function(x) {
  if (is.null(x)) return(NULL)
  if (length(x) > 1L) return(lapply(as.list(x), kind_as_axis))
  x <- as.integer(x)
  if (!length(x)) refuse("argument is of length zero")
  if (is.na(x)) refuse("missing value where TRUE/FALSE needed")
  if (x == 0L) refuse("`axis` argument is 1 based, received 0")
  if (x > 0L) x - 1L else x
}

# A shape: NULL stays NULL, an unknown dimension (NA, NULL) is None, the result is a tuple.
kind_normalize_shape <- function(x) {
  if (is.null(x)) return(NULL)
  if (inherits(x, "tensorflow.python.framework.tensor_shape.TensorShape")) {
    x <- as.list(x$as_list())
  }
  if (is.list(x) || is.numeric(x) || (is.logical(x) && all(is.na(x)))) {
    return(do.call(reticulate::tuple, lapply(unname(as.list(x)), shape_dimension)))
  }
  reticulate::tuple(x)
}

shape_dimension <- function(x) {
  if (is_python(x) || is.null(x)) return(x)
  if (length(x) == 1L && is.na(x)) NULL else as.integer(x)
}

# As above, but Python objects cross as they are.
kind_shape_tuple <- function(x) if (is_python(x)) x else kind_normalize_shape(x)

# A shape for TensorFlow: a list of integers; NA, NULL and negative numbers are unknown.
kind_tensor_shape <- function(x) {
  if (is.null(x)) return(x)
  if (is_python(x)) x <- x$as_list()
  if (is.factor(x)) x <- as.integer(x)
  dims <- unlist(lapply(as.list(x), function(d) if (is.null(d)) NA else d))
  unknown <- is.na(dims) | dims < 0
  dims <- as.integer(dims)
  if (!any(unknown)) return(dims)
  dims <- as.list(dims)
  dims[unknown] <- list(NULL)
  dims
}

# One of a few strings, by a unique beginning; the untouched default and NULL give the first.
kind_choice <- function(x, choices) {
  if (is.null(x) || identical(x, choices)) return(choices[1L])
  if (!is.character(x) || length(x) != 1L) {
    not_served("another value than one of ", paste(dQuote(choices, FALSE), collapse = ", "))
  }
  found <- pmatch(x, choices)
  if (is.na(found)) {
    not_served("another value than one of ", paste(dQuote(choices, FALSE), collapse = ", "))
  }
  choices[found]
}

# Tested by R before it crosses: text, lists, NULL and functions are errors there.
kind_flag_checked <- function(x) {
  !x
  x
}

# Inputs of a merging layer are a list; `more` are those that were given one by one.
kind_inputs_list <- function(x, more = list()) {
  c(if (is.list(x) && !is_python(x)) x else list(x), more)
}

kind_as_list <- function(x) if (is.function(x) || is_python(x)) list(x) else as.list(x)

kind_unnamed_list <- function(x) if (is.list(x)) unname(x) else x

# A path, made absolute; NULL stays NULL.
kind_path <- function(x) if (is.null(x)) x else normalizePath(path.expand(x), mustWork = FALSE)

kind_known_path <- function(x) {
  if (is.null(x)) refuse("invalid 'path' argument") else kind_path(x)
}

kind_path_or_logs <- function(x) if (is.null(x)) "logs" else kind_path(x)

# Padding or cropping of two or three axes: integers, or a pair of integers for each axis.
kind_padding_2d <- function(x) padding(x, 2L, deparse(substitute(x)))
kind_padding_3d <- function(x) padding(x, 3L, deparse(substitute(x)))

padding <- function(x, axes, argument) {
  if (all(vapply(x, function(part) is.numeric(part) && length(part) == 1L, NA))) {
    return(as.integer(x))
  }
  if (is.list(x) && all(lengths(x) == 2L)) return(lapply(x, function(pair) as.list(as.integer(pair))))
  refuse(sprintf("%s must be a list of %d integers or list of %d lists of 2 integers", argument,
                 axes, axes))
}

kind_as_integer_pair <- function(x) {
  if (is.null(x)) return(NULL)
  if (length(x) != 2L) refuse(deparse(substitute(x)), " must be 2 element integer vector")
  integer_tuple(x)
}

# Nodes are counted from 1 in R.
kind_as_node_index <- function(x) as.integer(x - 1)

# Layers are counted from 1 in R and from 0 in Python; negative ones count from the end.
kind_as_layer_index <- function(x) {
  if (is.null(x)) return(NULL)
  x <- as.integer(x)
  if (x == 0L) refuse("`index` for get_layer() is 1-based (0 was passed as the index)")
  if (x > 0L) x - 1L else x
}

# The first and the last of a span, counted from 1; the last may be -1 for the end.
kind_start_index <- function(x) {
  if (is.null(x)) return(NULL)
  x <- as.integer(x)
  if (x > 0L) x - 1L else x
}
kind_end_index <- function(x) {
  if (is.null(x)) return(NULL)
  x <- as.integer(x)
  if (x == -1L) NULL else x
}

# Used as a condition in R first.
kind_flag_condition <- function(x) {
  if (x) x else x
}

kind_labels <- function(x) if (is.character(x)) x else as.integer(x)

# All inputs in one flat list.
kind_inputs_flattened <- function(x, more = list()) as.list(c(x, more))

# One string arrives as an array of one string.
kind_text_vector <- function(x) if (is.character(x) && length(x) == 1L) as.array(x) else x

# The same, and functions give texts only where they need no argument.
kind_texts <- function(x) {
  if (is.function(x) && !is_python(x) && length(formals(x))) {
    refuse("fn must be an R function with no arguments")
  }
  kind_text_vector(x)
}

kind_callbacks_list <- function(x) {
  if (is.null(x)) list() else if (is.list(x) && !is_python(x)) x else list(x)
}

# The name of the class behind a wrapper, see is_class_wrapper(); NULL for all else.
name_of_class <- function(x) {
  here <- if (is.function(x) && !is.primitive(x) && !is_python(x)) environment(x)
  class <- if (!is.null(here)) get0("__class__", envir = here, inherits = FALSE)
  if (is.null(class)) NULL else class$`__name__`
}

# Objects by name; a class or function of Python has its own name, a wrapper that of what it
# stands for.
kind_custom_objects <- function(x) {
  if (is.null(x)) return(x)
  if (is_python(x) || is.function(x)) x <- list(x)
  if (!is.list(x)) return(unlisted_custom_objects())
  if (!length(x)) return(no_custom_objects())
  if (is.null(names(x))) names(x) <- rep("", length(x))
  for (i in which(names(x) == "")) {
    name <- if (is_python(x[[i]])) x[[i]]$`__name__` else attr(x[[i]], "py_function_name")
    if (is.null(name)) name <- name_of_class(x[[i]])
    path <- attr(x[[i]], "python_path")
    if (is.null(name) && !is.null(path)) name <- sub(".*[.]", "", path)
    if (is.null(name)) refuse("object name could not be infered; please supply a named list")
    names(x)[i] <- name
  }
  lapply(x, custom_object)
}
