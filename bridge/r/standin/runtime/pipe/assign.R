# The two assigning operators that the real package passes on.

# c(a, b) %<-% list(1, 2): several variables at once, also nested.
#' @export
`%<-%` <- function(x, value) {
  assign_parts(substitute(x), value, parent.frame())
  invisible(value)
}

assign_parts <- function(target, value, frame) {
  if (is.symbol(target)) {
    if (!identical(target, quote(.))) assign(as.character(target), value, envir = frame)
    return(invisible())
  }
  if (is.call(target) && identical(target[[1L]], quote(c))) {
    parts <- if (is_python(value)) iterate(value) else as.list(value)
    assign_all(as.list(target)[-1L], parts, frame)
    return(invisible())
  }
  eval(call("<-", target, quote(value)), list(value = value), frame)
  invisible()
}

# A target `name = default` takes the default where the values do not reach; `...name` takes all
# that the others leave, and `...` drops it.
assign_all <- function(targets, parts, frame) {
  defaults <- names(targets)
  if (is.null(defaults)) defaults <- rep("", length(targets))
  rest <- which(vapply(targets, is_rest, NA) & defaults == "")
  left <- length(parts) - length(targets) + 1L
  if (length(rest) && left >= 0L) {
    before <- parts[seq_len(rest - 1L)]
    taken <- parts[rest - 1L + seq_len(left)]
    after <- parts[rest - 1L + left + seq_len(length(targets) - rest)]
    name <- sub("^[.]+", "", as.character(targets[[rest]]))
    if (nzchar(name)) assign(name, taken, envir = frame)
    targets <- targets[-rest]
    defaults <- defaults[-rest]
    parts <- c(before, after)
  }
  missing <- seq_along(targets) > length(parts)
  if (length(parts) > length(targets) || any(missing & defaults == "")) {
    refuse("invalid `%<-%` right-hand side, incorrect number of values")
  }
  for (i in seq_along(targets)) {
    named <- nzchar(defaults[i])
    value <- if (missing[i]) eval(targets[[i]], frame) else parts[[i]]
    assign_parts(if (named) as.name(defaults[i]) else targets[[i]], value, frame)
  }
}

is_rest <- function(target) is.symbol(target) && startsWith(as.character(target), "...")

# x %<>% f() is x <- x %>% f().
#' @export
`%<>%` <- function(lhs, rhs) {
  pipe <- as.call(list(`%>%`, substitute(lhs), substitute(rhs)))
  value <- eval(pipe, parent.frame())
  eval(call("<-", substitute(lhs), quote(value)), list(value = value), parent.frame())
}
