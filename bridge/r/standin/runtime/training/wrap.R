# A Python function around an R one.

python_wrapper <- function() {
  py_run_string(paste(
    "def wrap_fn(f):",
    "  def fn(*args, **kwargs):",
    "    return f(*args, **kwargs)",
    "  return fn", sep = "\n"), local = TRUE, convert = FALSE)
}
