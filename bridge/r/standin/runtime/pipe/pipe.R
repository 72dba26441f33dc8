# The pipe. magrittr's own where it is installed (see on_load()); otherwise this one, with the
# same lazy order of evaluation: a step is evaluated when the step after it asks for its value,
# so `model %>% layer_a() %>% layer_b()` evaluates layer_b() first.

lazy_pipe <- function(lhs, rhs) {
  caller <- parent.frame()
  steps <- pipe_steps(sys.call())
  first <- steps[[1L]]
  rest <- lapply(steps[-1L], pipe_call)
  if (identical(first, quote(.))) return(pipe_function(rest, caller))
  frame <- caller
  expression <- first
  for (step in rest) {
    frame <- pipe_frame(expression, frame, caller)
    expression <- step
  }
  withVisible(eval(expression, frame, frame)) -> result
  if (result$visible) result$value else invisible(result$value)
}

# A frame in which `.` is a promise of the step before.
pipe_frame <- function(expression, frame, caller) {
  here <- new.env(parent = caller)
  eval(call("delayedAssign", ".", expression, frame, here))
  here
}

# The steps of a chain of pipes, left to right.
pipe_steps <- function(call) {
  steps <- list()
  while (is.call(call) && identical(call[[1L]], quote(`%>%`))) {
    steps <- c(list(call[[3L]]), steps)
    call <- call[[2L]]
  }
  c(list(call), steps)
}

# The right side as a call of `.`: f becomes f(.), f(a) becomes f(., a) unless an argument is
# `.` itself, a braced or parenthesised expression is used as it stands or called.
pipe_call <- function(rhs) {
  if (is.call(rhs) && identical(rhs[[1L]], quote(`{`))) return(rhs)
  if (is.call(rhs) && (identical(rhs[[1L]], quote(`(`)) || identical(rhs[[1L]], quote(`function`)))) {
    return(as.call(list(rhs, quote(.))))
  }
  if (is.symbol(rhs) || is.function(rhs)) return(as.call(list(rhs, quote(.))))
  if (is.call(rhs) && (identical(rhs[[1L]], quote(`::`)) || identical(rhs[[1L]], quote(`$`)) ||
                       identical(rhs[[1L]], quote(`:::`)))) {
    return(as.call(list(rhs, quote(.))))
  }
  if (!is.call(rhs)) refuse("attempt to apply non-function")
  dots <- vapply(as.list(rhs)[-1L], identical, NA, quote(.))
  if (any(dots)) rhs else as.call(c(rhs[[1L]], quote(.), as.list(rhs)[-1L]))
}

# `. %>% f() %>% g()` is a function of one argument.
pipe_function <- function(steps, caller) {
  force(steps)
  force(caller)
  function(value) {
    frame <- new.env(parent = caller)
    delayedAssign(".", value, assign.env = frame)
    for (step in steps[-length(steps)]) frame <- pipe_frame(step, frame, caller)
    eval(steps[[length(steps)]], frame, frame)
  }
}

#' @export
`%>%` <- lazy_pipe

# The pipe is magrittr's where that is installed, so that `library(magrittr)` beside ours masks
# nothing.
use_magrittr <- function(namespace) {
  if (requireNamespace("magrittr", quietly = TRUE)) {
    assign("%>%", getExportedValue("magrittr", "%>%"), envir = namespace)
  }
}
