# Runs scripts one after the other in one session, each with an empty workspace and the search
# path of a new session, and writes the calls that each made. Arguments: the package, a folder with
# NAME.R, a folder for NAME.json and the folder of record.py.
# The scripts' own variables are global; ours are not.
local({
  arguments <- commandArgs(TRUE)
  package <- arguments[1L]
  scripts <- list.files(arguments[2L], "[.]R$", full.names = TRUE)
  options(warn = 1, keras.view_metrics = FALSE)
  suppressMessages(library(reticulate))
  suppressMessages(library(package, character.only = TRUE))
  recorder <- import_from_path("record", arguments[4L], convert = FALSE)
  invisible(tensorflow::tf$float32)
  invisible(get("keras", asNamespace(package))$layers)
  invisible(recorder$setup(package))
  record <- recorder$record

  state <- new.env()
  state$calls <- character()
  state$on <- FALSE
  local({
    ns <- asNamespace("reticulate")
    old <- get("py_call_impl", ns)
    to_r <- get("py_to_r", ns)
    hook <- function(x, args = NULL, keywords = NULL) {
      if (state$on) {
        state$on <- FALSE
        text <- tryCatch(to_r(old(record, c(list(x), args), keywords)), error = function(e) "")
        if (nzchar(text)) state$calls <- c(state$calls, text)
        state$on <- TRUE
      }
      old(x, args, keywords)
    }
    formals(hook) <- formals(old)
    unlockBinding("py_call_impl", ns)
    assign("py_call_impl", hook, envir = ns)
  })

  run <- function(path, out) {
    force(out)
    state$calls <- character()
    status <- "ok"
    message <- ""
    state$on <- TRUE
    text <- utils::capture.output(tryCatch(
      for (expression in parse(path)) {
        result <- withVisible(eval(expression, globalenv()))
        if (result$visible) print(result$value)
      },
      error = function(e) {
        status <<- "error"
        message <<- conditionMessage(e)
      }))
    state$on <- FALSE
    calls <- paste0("[", paste(state$calls, collapse = ",\n"), "]")
    about <- jsonlite::toJSON(list(status = status, message = message, output = as.list(text)),
                              auto_unbox = TRUE)
    writeLines(sprintf('{"about": %s, "calls": %s}', about, calls), out)
  }

  attached <- search()
  for (path in scripts) {
    run(path, file.path(arguments[3L], sub("[.]R$", ".json", basename(path))))
    rm(list = ls(globalenv(), all.names = TRUE), envir = globalenv())
    for (name in setdiff(search(), attached)) detach(name, character.only = TRUE)
    get("keras", asNamespace(package))$backend$clear_session()
  }
})
