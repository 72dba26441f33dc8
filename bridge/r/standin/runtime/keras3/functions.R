# R functions that Python is to call by the names of their arguments.

# A Python function around `fun` with its name and signature.
named_function <- function(fun, name = NULL) {
  if (is.null(name)) name <- "anonymous_R_function"
  inspect <- import("inspect", convert = FALSE)
  parameters <- py_eval("[]", convert = FALSE)
  for (argument in names(formals(fun))) {
    kind <- switch(argument, "..." = "VAR_KEYWORD", "POSITIONAL_OR_KEYWORD")
    label <- if (argument == "...") "kwargs" else argument
    parameter <- inspect$Parameter(label, inspect$Parameter[[kind]])
    if (argument != "..." && !identical(formals(fun)[[argument]], quote(expr = ))) {
      default <- tryCatch(eval(formals(fun)[[argument]], environment(fun)),
                          error = function(e) NULL)
      parameter <- inspect$Parameter(label, inspect$Parameter[[kind]], default = default)
    }
    parameters$append(parameter)
  }
  signature <- inspect$Signature(parameters)
  signature$parameters$values()
  wrapped <- python_wrapper()$wrap_fn(fun)
  py_set_attr(wrapped, "__name__", name)
  py_set_attr(wrapped, "__qualname__", paste0("wrap_fn.<locals>.", name))
  py_set_attr(wrapped, "__signature__", signature)
  wrapped
}
