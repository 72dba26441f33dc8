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
    names <- as.list(target)[-1L]
    parts <- if (is_python(value)) iterate(value) else as.list(value)
    if (length(names) != length(parts)) {
      stop("cannot assign ", length(parts), " values to ", length(names), " names", call. = FALSE)
    }
    for (i in seq_along(names)) assign_parts(names[[i]], parts[[i]], frame)
    return(invisible())
  }
  eval(call("<-", target, quote(value)), list(value = value), frame)
  invisible()
}

# x %<>% f() is x <- x %>% f().
#' @export
`%<>%` <- function(lhs, rhs) {
  pipe <- as.call(list(`%>%`, substitute(lhs), substitute(rhs)))
  value <- eval(pipe, parent.frame())
  eval(call("<-", substitute(lhs), quote(value)), list(value = value), parent.frame())
}
