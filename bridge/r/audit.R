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
  noted <- reach("noted", FALSE)
  # What comes back is converted by the caller in some versions of reticulate.
  answer <- function(fun, args, keywords = NULL) {
    made <- call(fun, args, keywords)
    if (inherits(made, "python.builtin.object")) reticulate::py_to_r(made) else made
  }
  job <- answer(reach("job", TRUE), list())

  armed <- FALSE
  forced <- FALSE  # whether the object that a layer is added to was looked at
  reply <- NULL  # what Python is taken to return, where that is asked
  tried <- list()  # the function, its argument and the probe
  rebind("py_call_impl", function(x, args = NULL, keywords = NULL) {
    if (!armed || !isTRUE(answer(arrived, c(list(x, tried), args), keywords))) {
      return(call(x, args, keywords))
    }
    armed <<- FALSE
    if (!is.null(reply)) return(reply)
    if (nzchar(tried[[2L]])) invokeRestart("arrived")
    call(noted, list(tried[[1L]], "forced", forced), NULL)
    invokeRestart("arrived")
  })

  # The values of R texts, in a place where the names of the package are at hand.
  place <- new.env(parent = asNamespace(job$package))
  values <- function(texts) lapply(texts, function(text) eval(parse(text = text), place))
  eval(parse(text = job$setup), place)
  probes <- values(job$probes)
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
    if (nzchar(said) || job$silence) call(failed, list(told, substr(said, 1L, 300L)), NULL)
    FALSE
  }
  with_argument <- function(args, name, value) {
    args[name] <- list(value)
    args
  }
  # The method that a generic function takes for an object.
  method_for <- function(name, fun, object) {
    if (!"UseMethod" %in% all.names(body(fun))) return(fun)
    for (class in class(object)) {
      method <- utils::getS3method(name, class, optional = TRUE, envir = asNamespace(job$package))
      if (is.function(method)) return(method)
    }
    fun
  }

  # What required arguments may be given so that a wrapper gets as far as Python.
  fillers <- values(job$fillers)
  objects <- values(job$objects)
  # The first call that arrives, with the least that is required; `first` is given in any case.
  base_call <- function(fun, required, first, told) {
    for (filler in fillers) {
      given <- c(first, stats::setNames(rep(list(filler), length(required)), required))
      if (try_call(fun, given, told)) return(given)
      if (!length(required)) break
    }
    NULL
  }
  probe_arguments <- function(name, fun, base, arguments) {
    lines <- deparse(body(fun), width.cutoff = 120L)
    for (argument in arguments) {
      mentions <- grepl(paste0("(^|[^[:alnum:]_.])", gsub(".", "\\.", argument, fixed = TRUE),
                               "($|[^[:alnum:]_.])"), lines)
      call(described, list(name, argument, trimws(utils::head(lines[mentions], 1L))), NULL)
      for (probe in names(probes)) {
        try_call(fun, with_argument(base, argument, probes[[probe]]), list(name, argument, probe))
      }
    }
  }
  # What else a table of a front end says: how it composes, and what R makes of what is returned.
  measure <- function(name, fun, base, arguments) {
    told <- formals(fun)
    text <- vapply(told, function(default) {
      if (identical(default, quote(expr = ))) "" else paste(deparse(default), collapse = " ")
    }, "")
    call(noted, list(name, "formals", as.list(names(told)), as.list(unname(text))), NULL)
    if (is.null(base)) return(invisible())
    if ("object" %in% arguments && !"object" %in% names(base)) {
      forced <<- FALSE
      model <- objects[["model"]]
      asked <- as.call(c(list(fun, object = quote({forced <<- TRUE; model})), unname(base)))
      names(asked) <- c("", "object", names(base))
      tried <<- list(paste0(name, "|composed"), "", "")
      armed <<- TRUE
      withRestarts(try(eval(asked), silent = TRUE), arrived = function() NULL)
      armed <<- FALSE
      added <- FALSE
      inner <- if (length(base)) with_argument(base, 1L, objects[["layer"]])
      for (given in list(base, inner)) {
        model <- eval(parse(text = job$objects[["empty"]]), place)
        added <- added || tryCatch({
          suppressWarnings(do.call(fun, c(list(object = model), given), quote = TRUE))
          length(model$layers) > 0L
        }, error = function(e) FALSE)
      }
      call(noted, list(name, "composes", added), NULL)
    }
    if ("..." %in% names(told)) {
      for (argument in job$dots) for (probe in names(probes)) {
        try_call(fun, with_argument(base, argument, probes[[probe]]), list(name, argument, probe))
      }
    }
    tensor <- eval(parse(text = job$returned), place)
    for (zero in c(FALSE, if ("zero_indexed" %in% arguments) TRUE)) {
      given <- if (zero) with_argument(base, "zero_indexed", TRUE) else base
      tried <<- list(paste0(name, "|returns"), "", "")
      reply <<- tensor
      armed <<- TRUE
      got <- tryCatch(suppressMessages(suppressWarnings(do.call(fun, given, quote = TRUE))),
                      error = function(e) NULL)
      armed <<- FALSE
      reply <<- NULL
      call(noted, list(name, if (zero) "returns_zero_indexed" else "returns", got), NULL)
    }
  }

  exported <- sort(getNamespaceExports(job$package))
  exported <- exported[grepl(job$families, exported) & !grepl(job$spared, exported, perl = TRUE)]
  if (job$silence) call(noted, list("", "exports", as.list(exported)), NULL)
  mine <- (seq_along(exported) - 1L) %% job$shares == job$share
  for (name in exported[mine]) {
    fun <- getExportedValue(job$package, name)
    if (!is.function(fun) || is.primitive(fun)) next
    if (length(objects)) fun <- method_for(name, fun, objects[["model"]])
    told <- formals(fun)
    arguments <- setdiff(names(told), "...")
    required <- arguments[vapply(arguments, function(a) identical(told[[a]], quote(expr = )), NA)]
    # Without one, a layer is made and not composed; a loss is made and not computed.
    base <- base_call(fun, setdiff(required, job$aside), NULL, list(name, "", ""))
    for (object in objects) {
      if (!is.null(base) || !length(arguments)) break
      first <- stats::setNames(list(object), arguments[[1L]])
      base <- base_call(fun, setdiff(required, arguments[[1L]]), first, list(name, "", ""))
    }
    if (job$silence) measure(name, fun, base, arguments)
    if (is.null(base)) next
    probe_arguments(name, fun, base, setdiff(arguments, setdiff(job$aside, names(base))))
    # The same with data to work on, where that is another call.
    for (mode in names(job$modes)) {
      given <- job$modes[[mode]]
      if (!all(given %in% arguments)) next
      first <- stats::setNames(values(rep(job$data, length(given))), given)
      with_data <- c(base, first)
      told <- paste0(name, "|", mode)
      if (try_call(fun, with_data, list(told, "", ""))) {
        probe_arguments(told, fun, with_data, setdiff(arguments, given))
      }
    }
  }
})
