# Name(Base) %py_class% { method <- function() ... }: a class written as a block.

#' @export
`%py_class%` <- function(spec, body) {
  spec <- substitute(spec)
  body <- substitute(body)
  frame <- parent.frame()
  inherit <- NULL
  if (is.call(spec)) {
    classname <- as.character(spec[[1L]])
    parts <- as.list(spec)[-1L]
    parts[c("convert", "delay_load")] <- NULL
    inherit <- lapply(parts, eval, frame)
  } else {
    classname <- as.character(spec)
  }
  block <- new.env(parent = frame)
  block$private <- new.env(parent = emptyenv())
  eval(body, block)
  private <- as.list(block$private, all.names = TRUE)
  rm("private", envir = block)
  members <- list()
  for (name in ls(block, all.names = TRUE, sorted = FALSE)) {
    members[name] <- list(if (bindingIsActive(name, block)) {
      mark_active(activeBindingFunction(name, block))
    } else {
      get(name, envir = block)
    })
  }
  doc <- documentation(body)
  if (!is.null(doc) && !"__doc__" %in% names(members)) members$`__doc__` <- doc
  type <- package_type(classname, members, inherit, frame, private)
  assign(classname, type, envir = frame)
  invisible(type)
}

#' @export
`%<-active%` <- function(sym, value) {
  makeActiveBinding(as.character(substitute(sym)), value, parent.frame())
  invisible(value)
}

# A class of R6, where that package is installed.
#' @method r_to_py R6ClassGenerator
r_to_py.R6ClassGenerator <- function(x, convert = TRUE) {
  methods <- x$public_methods
  methods$clone <- NULL
  members <- c(x$public_fields, methods, lapply(x$active, mark_active))
  private <- c(x$private_fields, x$private_methods)
  type <- package_type(x$classname, members, x$get_inherit(), x$parent_env, private)
  if (inherits(type, "py_R6ClassGenerator")) attr(type, "r6_class") <- x
  type
}

# Python's words for the class, then R6's for what it was made from.
#' @method print py_R6ClassGenerator
print.py_R6ClassGenerator <- function(x, ...) {
  NextMethod()
  if (!is.null(attr(x, "r6_class"))) print(attr(x, "r6_class"))
  invisible(x)
}
