# Indexing of tensors: counted from 1, ends included, negative numbers counted from the end.

#' @export
all_dims <- function() structure(list(), class = "all_dims")

#' @method "[" tensorflow.tensor
`[.tensorflow.tensor` <- function(x, ..., drop = TRUE,
                                  style = getOption("tensorflow.extract.style")) {
  places <- as.list(eval(quote(substitute(list(...)))))[-1L]
  one_based <- !identical(style, "python") && getOption("tensorflow.extract.one_based", TRUE)
  inclusive <- !identical(style, "python") && getOption("tensorflow.extract.inclusive_stop", TRUE)
  frame <- parent.frame()
  slice <- function(...) import_builtins(convert = FALSE)$slice(...)
  index <- lapply(places, function(place) {
    if (identical(place, quote(expr = ))) return(slice(NULL))
    read_index(place, frame)
  })
  for (i in index) check_index(i, one_based)
  if (!identical(style, "python")) check_count(x, index)
  index <- lapply(index, function(i) python_index(i, slice, one_based, inclusive, drop))
  index <- unname(index)
  x$`__getitem__`(if (length(index) == 1L) index[[1L]] else do.call(tuple, index))
}

# What an index is before it is shifted: a span written a:b or a:b:c (which may have open
# ends), a number, several numbers, a tensor, or a new axis.
read_index <- function(place, frame) {
  if (is.call(place) && identical(place[[1L]], quote(`:`))) {
    parts <- list(step = NULL)
    ends <- place
    if (is.call(place[[2L]]) && identical(place[[2L]][[1L]], quote(`:`))) {
      parts <- list(step = eval(place[[3L]], frame))
      ends <- place[[2L]]
    }
    known <- function(value) if (is.null(value) || is.na(value)) NULL else as.integer(value)
    span <- list(start = known(eval(ends[[2L]], frame)), stop = known(eval(ends[[3L]], frame)),
                 step = if (is.null(parts$step)) NULL else as.integer(parts$step))
    return(structure(span, class = "index_span"))
  }
  eval(place, frame)
}

check_index <- function(i, one_based) {
  if (is.numeric(i) && one_based && any(i == 0, na.rm = TRUE)) {
    stop("tensors are indexed from 1 in R; there is no element 0", call. = FALSE)
  }
  if (length(dim(i))) stop("a tensor cannot be indexed by a matrix or an array", call. = FALSE)
}

# The number of indices must not exceed the number of axes; fewer are let pass with a warning.
check_count <- function(x, index) {
  rank <- x$shape$rank
  if (is.null(rank)) return(invisible())
  if (any(vapply(index, inherits, NA, "all_dims"))) return(invisible(dim(x)))
  count <- sum(!vapply(index, is.null, NA))
  if (count > rank) {
    stop("the tensor has ", rank, " dimensions but ", count, " indices were given", call. = FALSE)
  }
  dim(x)
  if (count < rank || count < length(index)) {
    warning("the tensor has ", rank, " dimensions but ", count, " indices were given",
            call. = FALSE)
  }
  invisible()
}

python_index <- function(i, slice, one_based, inclusive, drop) {
  if (is.null(i)) return(NULL)
  if (inherits(i, "all_dims")) return(py_ellipsis())
  if (is_python(i)) {
    if (is_tensor(i)) length(i)
    return(i)
  }
  if (inherits(i, "index_span")) {
    return(slice(first_place(i$start, one_based), last_place(i$stop, inclusive), i$step))
  }
  if (!is.numeric(i)) return(i)
  if (any(i < 0)) warn_negative()
  if (length(i) == 1L) {
    place <- first_place(as.integer(i), one_based)
    if (drop) return(place)
    return(slice(place, if (place == -1L) NULL else place + 1L, NULL))
  }
  steps <- unique(diff(i))
  if (length(steps) != 1L) {
    stop("the stand-in front end cannot index a tensor by numbers that are not evenly spaced",
         call. = FALSE)
  }
  stop <- i[length(i)] - one_based + sign(steps)
  slice(first_place(as.integer(i[1L]), one_based), as.integer(stop), as.integer(steps))
}

first_place <- function(i, one_based) if (!is.null(i) && one_based && i > 0L) i - 1L else i

# The end of a span is included, and -1 is the last element.
last_place <- function(i, inclusive) {
  if (is.null(i) || !inclusive || i > 0L) return(i)
  if (i == -1L) NULL else i + 1L
}

warn_negative <- function() {
  if (isTRUE(getOption("tensorflow.extract.warn_negatives_pythonic", TRUE))) {
    options(tensorflow.extract.warn_negatives_pythonic = FALSE)
    warning("negative indices of a tensor count from its end, as in Python; silence this with ",
            "options(tensorflow.extract.warn_negatives_pythonic = FALSE)", call. = FALSE)
  }
}
