# The members of a class written in R, as Python is to have them.

# The names that R and Python have for the same method.
python_member <- function(name) switch(name, initialize = "__init__", finalize = "__del__", name)

python_members <- function(members, mask, typed_only) {
  for (pair in list(c("initialize", "__init__"), c("finalize", "__del__"))) {
    if (all(pair %in% names(members))) {
      refuse("You should not specify both `", pair[2L], "` and `", pair[1L], "` methods.")
    }
  }
  names <- vapply(names(members), python_member, "", USE.NAMES = FALSE)
  values <- Map(function(member, name) {
    if (is.function(member) && !is_python(member)) python_method(member, name, mask, typed_only)
    else member
  }, unname(members), names)
  list(names = as.list(names), values = unname(values))
}

# A Python function that calls `fun`, with the decorators that were asked for around it.
python_method <- function(fun, name, mask, typed_only) {
  decorators <- attr(fun, "py_decorators", exact = TRUE)
  first <- if ("staticmethod" %in% decorators) NULL else
    if ("classmethod" %in% decorators) "cls" else "self"
  fun <- with_first(fun, first)
  known <- formals(fun)
  doc <- documentation(body(fun))
  defaults <- defaults_of(fun)
  environment(fun) <- mask
  called <- if (uses_private(fun)) with_private(fun, mask) else fun
  if (name == "__init__") called <- without_result(called)
  method <- rclasses()$make_method(called, name, as.list(names(known)), defaults, typed_only, doc)
  for (decorator in decorators) method <- decorate(method, decorator, length(known) > 1L)
  method
}

decorate <- function(method, decorator, sets) {
  builtins <- import_builtins()
  if (is.function(decorator)) return(decorator(method))
  if (decorator == "property" && sets) return(builtins$property(method, method))
  builtins[[decorator]](method)
}

with_first <- function(fun, first) {
  if (is.null(first) || identical(names(formals(fun))[1L], first)) return(fun)
  source <- attr(fun, "srcref")
  formals(fun) <- c(structure(alist(x = ), names = first), formals(fun))
  attr(fun, "srcref") <- source
  fun
}

# The defaults of arguments, as they are where the function was written.
defaults_of <- function(fun) {
  known <- as.list(formals(fun))
  known <- known[!vapply(known, identical, NA, quote(expr = )) & names(known) != "..."]
  values <- lapply(known, eval, environment(fun))
  named_dict(values)
}

# Names are only names here; dict() would look them up where it is called.
named_dict <- function(values) {
  if (length(values)) py_dict(as.list(names(values)), unname(values)) else dict()
}

# A text that stands first in a body documents the method.
documentation <- function(body) {
  if (is.call(body) && identical(body[[1L]], quote(`{`)) && length(body) > 2L &&
      is.character(body[[2L]])) trimws(body[[2L]]) else NULL
}

uses_private <- function(fun) {
  "private" %in% all.names(body(fun)) && !"private" %in% names(formals(fun))
}

# Each call sees the private members of its own instance.
with_private <- function(fun, mask) {
  force(fun)
  function(self, ...) {
    frame <- new.env(parent = mask)
    frame$private <- get(".private_of", mask)(self)
    environment(fun) <- frame
    fun(self, ...)
  }
}

# Python wants nothing back from a constructor.
without_result <- function(fun) {
  force(fun)
  function(...) {
    fun(...)
    invisible(NULL)
  }
}

add_decorator <- function(fun, decorator) {
  attr(fun, "py_decorators") <- c(attr(fun, "py_decorators", exact = TRUE), decorator)
  fun
}

is_active <- function(x) is.function(x) && "property" %in% attr(x, "py_decorators", exact = TRUE)

#' @export
mark_active <- function(x) {
  if (!is.function(x)) refuse("Only R functions can be marked active", call = sys.call())
  add_decorator(x, "property")
}

rclasses <- function() python_tools("rclasses")
