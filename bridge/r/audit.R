# Every wrapper of a front end is called with one argument at a time set to something odd, and what
# would reach Python is written down instead of being done. Run by bridge/audit/wrapper_calls.py in a
# child of a warm process, so that nothing that is replaced here outlives the audit.

local({
  module <- reticulate::py_eval(
    "__import__('sys').modules['bridge.audit.wrapper_calls']", convert = FALSE
  )
  ns <- asNamespace("reticulate")

  # The boundary as reticulate has it, without the trace.
  original <- function(name) {
    fun <- get(name, ns)
    inner <- get0("old", envir = environment(fun), inherits = FALSE)
    if (is.function(inner)) inner else fun
  }
  rebind <- function(name, fun) {
    unlockBinding(name, ns)
    assign(name, fun, envir = ns)
    lockBinding(name, ns)
  }
  reads <- c("py_get_attr", "py_get_attr_or_item", "py_get_item", "py_set_attr", "py_set_item")
  for (name in c(reads, paste0(reads, "_impl"))) {
    if (exists(name, ns, inherits = FALSE)) rebind(name, original(name))
  }
  call <- original("py_call_impl")
  reach <- function(name, convert) {
    reticulate::py_eval(
      sprintf("__import__('sys').modules['bridge.audit.wrapper_calls'].%s", name), convert = convert
    )
  }
  arrived <- reach("arrived", TRUE)
  failed <- reach("failed", FALSE)
  plain <- reach("plain", FALSE)
  described <- reach("described", FALSE)
  # What comes back is converted by the caller in some versions of reticulate.
  answer <- function(fun, args, keywords = NULL) {
    made <- call(fun, args, keywords)
    if (inherits(made, "python.builtin.object")) reticulate::py_to_r(made) else made
  }
  job <- answer(reach("job", TRUE), list())

  armed <- FALSE
  tried <- list()  # the function, its argument and the probe
  rebind("py_call_impl", function(x, args = NULL, keywords = NULL) {
    if (!armed || !isTRUE(answer(arrived, c(list(x, tried), args), keywords))) {
      return(call(x, args, keywords))
    }
    armed <<- FALSE
    invokeRestart("arrived")
  })

  # What a probe is, as R text, and its value.
  probes <- list(
    "2.5" = 2.5, "2" = 2, "c(5, 2, 3)" = c(5, 2, 3), "c(b = 2, a = 1)" = c(b = 2, a = 1),
    "list(b = 2, a = 1)" = list(b = 2, a = 1), "NULL" = NULL, "NA" = NA, "3e9" = 3e9,
    "array(2.5)" = array(2.5, 1L)
  )
  for (text in names(probes)) call(plain, list(text, probes[[text]]), NULL)

  # TRUE where the call got as far as Python.
  try_call <- function(fun, args, told) {
    tried <<- told
    armed <<- TRUE
    on.exit(armed <<- FALSE)
    said <- withRestarts(
      tryCatch(
        {
          suppressMessages(suppressWarnings(do.call(fun, args, quote = TRUE)))
          ""
        },
        error = function(e) paste(conditionMessage(e), collapse = " ")
      ),
      arrived = function() NA_character_
    )
    if (is.na(said)) return(TRUE)
    armed <<- FALSE
    if (nzchar(said)) call(failed, list(told, substr(said, 1L, 300L)), NULL)
    FALSE
  }
  with_argument <- function(args, name, value) {
    args[name] <- list(value)
    args
  }

  # What required arguments may be given so that a wrapper gets as far as Python.
  fillers <- list(3L, list(3L, 3L), "a", c(3L, 3L), matrix(1, 2, 2), function(x, ...) x, 0.5)
  exported <- sort(getNamespaceExports(job$package))
  exported <- exported[grepl(job$families, exported)]
  mine <- (seq_along(exported) - 1L) %% job$shares == job$share
  for (name in exported[mine]) {
    fun <- getExportedValue(job$package, name)
    if (!is.function(fun) || is.primitive(fun)) next
    told <- formals(fun)
    arguments <- setdiff(names(told), "...")
    required <- arguments[vapply(arguments, function(a) identical(told[[a]], quote(expr = )), NA)]
    # Without one, a layer is made and not composed; a loss is made and not computed.
    required <- setdiff(required, c("object", "y_true", "y_pred"))
    base <- NULL
    for (filler in fillers) {
      given <- stats::setNames(rep(list(filler), length(required)), required)
      if (try_call(fun, given, list(name, "", ""))) {
        base <- given
        break
      }
      if (!length(required)) break
    }
    if (is.null(base)) next
    lines <- deparse(body(fun), width.cutoff = 120L)
    for (argument in setdiff(arguments, c("object", "y_true", "y_pred"))) {
      mentions <- grepl(paste0("(^|[^[:alnum:]_.])", gsub(".", "\\.", argument, fixed = TRUE),
                               "($|[^[:alnum:]_.])"), lines)
      call(described, list(name, argument, trimws(utils::head(lines[mentions], 1L))), NULL)
      for (probe in names(probes)) {
        try_call(fun, with_argument(base, argument, probes[[probe]]), list(name, argument, probe))
      }
    }
  }
})
