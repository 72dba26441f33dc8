# TensorFlow asks in a thread of its own, and R answers in the main thread only: what is asked for
# must have been fetched before.
ahead_of_time <- function(fun) {
  if ("prefetch" %in% names(formals(py_iterator))) return(py_iterator(fun, prefetch = 1L))
  python_tools("kerastools.generator")
  py_iterator(fun, completed = NULL)
}
