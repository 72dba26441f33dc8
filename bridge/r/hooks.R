# The R side of the boundary trace and of running a script. This file
# is sourced below base and not on the search path, so that a script that defines its own `c` or
# `names` changes nothing here.

bridge <- new.env(parent = emptyenv())

local({
  home <- environment()
  state <- new.env(parent = emptyenv())
  state$line <- NA_integer_      # of the top-level expression that is being evaluated
  state$last_line <- NA_integer_
  state$ref <- NULL              # where that expression stands in the text
  state$assigned <- NULL         # the assignments in the script's text, by where they begin
  state$calls <- NULL            # the calls in the script's text, with their lines
  state$located <- new.env(parent = emptyenv())
  state$busy <- FALSE

  front_ends <- c("keras", "keras3", "tensorflow", "reticulate")

  package_of <- function(env) {
    top <- topenv(env)
    if (identical(top, baseenv())) "base" else if (isNamespace(top)) as.character(getNamespaceName(top)) else ""
  }

  # The innermost call of a front end that the script itself wrote: its environment is the
  # script's (or a pipe's), not a front end's. Frames alone do not tell, because a pipe evaluates
  # its left-hand side inside the wrapper on its right.
  written_call <- function() {
    calls <- sys.calls()
    for (k in rev(seq_along(calls))) {
      fun <- sys.function(k)
      if (!is.function(fun) || is.primitive(fun)) next
      pkg <- package_of(environment(fun))
      if (!pkg %in% front_ends) next
      # Not sys.parents(): a pipe's environment is no frame, and has no number there.
      caller <- do.call("parent.frame", list(), envir = sys.frame(k))
      if (package_of(caller) %in% c(front_ends, "base", "rlang", "methods")) next
      # A method is called by its full name; the script called the generic.
      generic <- if (k > 1L) calls[[k - 1L]][[1L]]
      method <- calls[[k]][[1L]]
      is_method <- is.symbol(generic) && is.symbol(method) &&
        startsWith(as.character(method), paste0(generic, "."))
      return(list(call = if (is_method) calls[[k - 1L]] else calls[[k]]))
    }
    NULL
  }

  `%||%` <- function(a, b) if (is.null(a)) b else a

  one_line <- function(call, width = 160L) {
    # A method of `$` is seen by its full name; people wrote `object$name`.
    if (is.call(call) && length(call) == 3L && is.symbol(call[[1L]]) &&
        grepl("^[$]", call[[1L]])) call[[1L]] <- as.name("$")
    if (utils::object.size(call) > 50000) {
      head <- call[[1L]]
      return(paste0(paste(deparse(head), collapse = ""), "(...)"))
    }
    text <- paste(trimws(deparse(call, width.cutoff = 500L, nlines = 4L)), collapse = " ")
    if (nchar(text) > width) paste0(substr(text, 1L, width - 3L), "...") else text
  }

  # The line of a call within the lines of the expression that contains it: pipes spread over many
  # lines, and R remembers only where the whole expression begins.
  locate <- function(found) {
    within <- innermost_lines()
    line <- within[[1L]]
    last <- within[[2L]]
    if (is.null(found) || is.null(state$calls)) return(line)
    head <- found$call[[1L]]
    name <- if (is.symbol(head)) as.character(head) else if (is.call(head)) {
      as.character(head[[length(head)]])[[1L]]
    } else ""
    near <- state$calls[state$calls$name == name & state$calls$line >= line &
                          state$calls$line <= last, , drop = FALSE]
    if (nrow(near) == 0L) return(line)
    if (nrow(near) == 1L) return(near$line)
    wanted <- arguments(found$call)
    score <- vapply(near$args, function(have) {
      have <- unlist(strsplit(have, "\x1f", fixed = TRUE))
      sum(have %in% wanted) - sum(!have %in% wanted)
    }, 0)
    near$line[[which.max(score)]]
  }

  is_script <- function(srcref) {
    file <- attr(srcref, "srcfile")
    identical(file, state$srcfile)
  }

  arguments <- function(call) {
    parts <- as.list(call)[-1L]
    keys <- names(parts) %||% rep("", length(parts))
    text <- vapply(parts, function(part) {
      if (utils::object.size(part) > 5000) "?" else paste(deparse(part, nlines = 3L), collapse = "")
    }, "")
    paste0(keys, "=", text)
  }

  # All calls in the script's text: name, line and arguments.
  index_calls <- function(exprs) {
    data <- utils::getParseData(exprs)
    if (is.null(data)) return(NULL)
    rows <- which(data$token %in% c("SYMBOL_FUNCTION_CALL", "SYMBOL"))
    if (!length(rows)) return(NULL)
    keep <- data[rows, c("line1", "text", "parent", "token")]
    # `m$predict(x)`: the name after the dollar is a SYMBOL_FUNCTION_CALL or SYMBOL after '$'.
    args <- vapply(seq_len(nrow(keep)), function(i) {
      if (keep$token[[i]] != "SYMBOL_FUNCTION_CALL") return("")
      up <- data$parent[match(keep$parent[[i]], data$id)]
      text <- tryCatch(utils::getParseText(data, up), error = function(e) "")
      call <- tryCatch(str2lang(text), error = function(e) NULL)
      if (is.call(call)) paste(arguments(call), collapse = "\x1f") else ""
    }, "")
    data.frame(name = keep$text, line = keep$line1, args = args, stringsAsFactors = FALSE)
  }

  # The names that the script's text assigns to, by where the assignment begins: "line:column".
  index_assignments <- function(exprs) {
    data <- utils::getParseData(exprs)
    at <- data[data$token %in% c("LEFT_ASSIGN", "EQ_ASSIGN", "RIGHT_ASSIGN"), , drop = FALSE]
    if (!NROW(at)) return(NULL)
    found <- character()
    for (i in seq_len(nrow(at))) {
      whole <- data[data$id == at$parent[[i]], , drop = FALSE]
      sides <- data$id[data$parent == at$parent[[i]] & data$token == "expr"]
      if (!nrow(whole) || length(sides) != 2L) next
      target <- if (at$token[[i]] == "RIGHT_ASSIGN") sides[[2L]] else sides[[1L]]
      inside <- data[data$parent == target, , drop = FALSE]
      if (nrow(inside) == 1L && inside$token == "SYMBOL") {
        found[[paste0(whole$line1, ":", whole$col1)]] <- inside$text
      }
    }
    found
  }

  # The name that the innermost statement of the script assigns to, "" if it is no assignment.
  assigned <- function() {
    ref <- innermost_ref() %||% state$ref
    if (is.null(ref) || is.null(state$assigned)) return("")
    name <- unname(state$assigned[paste0(ref[[1L]], ":", ref[[5L]])])
    if (is.na(name)) "" else name
  }

  describe <- function(name, value) {
    kind <- typeof(value)
    simple <- kind %in% c("logical", "integer", "double", "character", "complex", "NULL")
    text <- if (simple && length(value) <= 12L) {
      paste(deparse(unclass(value), nlines = 2L), collapse = " ")
    } else if (is.symbol(value) || is.call(value)) one_line(value) else ""
    list(
      name = name, type = kind, cls = as.list(class(value)),
      # Python may refuse to say how long an object is, as it does for a symbolic tensor.
      length = tryCatch(length(value), error = function(e) 1L),
      dim = if (!simple || is.null(dim(value))) NULL else as.list(dim(value)),
      names = if (simple && !is.null(names(value)) && length(value) <= 50L) as.list(names(value)),
      text = substr(text, 1L, 200L),
      missing = if (simple && length(value) <= 1e7) sum(is.na(value)) else 0L
    )
  }

  describe_all <- function(args, keywords) {
    keys <- c(rep("", length(args)), names(keywords) %||% rep("", length(keywords)))
    Map(describe, keys, c(unname(args), unname(keywords)), USE.NAMES = FALSE)
  }

  # reticulate asks Python about types while it converts and prints; the script did not.
  housekeeping <- function() {
    for (k in rev(seq_len(sys.nframe()))) {
      # What the script wrote inside `py_to_r(...)` is evaluated there, and is the script's.
      caller <- do.call("parent.frame", list(), envir = sys.frame(k))
      if (identical(caller, globalenv()) || package_of(caller) == "") {
        fun <- sys.function(k)
        if (!is.primitive(fun) && package_of(environment(fun)) %in% front_ends) {
          head <- sys.call(k)[[1L]]
          return(is.symbol(head) && grepl(converting, head))
        }
      }
      head <- sys.call(k)[[1L]]
      if (is.symbol(head) && grepl(converting, head)) return(TRUE)
    }
    FALSE
  }
  converting <- "^(py_to_r|r_to_py|py_str|py_maybe_convert)"

  meta <- function(args, keywords) {
    found <- written_call()
    list(line = locate(found), call = if (is.null(found)) "" else one_line(found$call),
         args = describe_all(args, keywords), internal = housekeeping(), assigned = assigned())
  }

  converts <- function(x) {
    if (!is.null(state$get_convert)) return(isTRUE(state$get_convert(x)))
    env <- if (is.environment(x)) x else attr(x, "py_object", exact = TRUE)
    isTRUE(get0("convert", envir = as.environment(env %||% list(convert = TRUE)),
                inherits = FALSE, ifnotfound = TRUE))
  }

  # Whatever goes wrong in looking must not reach the script.
  quietly <- function(expr) {
    if (state$busy) return(NULL)
    state$busy <- TRUE
    on.exit(state$busy <- FALSE)
    tryCatch(suppressWarnings(expr), error = function(e) NULL)
  }

  install <- function(module) {
    ns <- asNamespace("reticulate")
    state$get_convert <- get0("py_get_convert", envir = ns, inherits = FALSE)
    reach <- function(name, convert) {
      reticulate::py_eval(
        sprintf("__import__('sys').modules['%s'].%s", module, name), convert = convert
      )
    }
    invoke <- reach("invoke", TRUE)
    invoke_raw <- reach("invoke", FALSE)
    note <- reach("note", FALSE)
    state$miss <- reach("miss", FALSE)
    state$call <- get("py_call_impl", ns)
    state$hear <- reach("hear", FALSE)

    noted <- function(kind, owner, key, value) {
      if (state$busy || is.na(state$line)) return(NULL)
      quietly({
        text <- if (is.character(key)) key[[1L]] else one_line(key)
        # Reads are many and tell little: their line is enough.
        about <- if (kind == "getattr") list(line = innermost_line())
                 else meta(NULL, list(key = key))
        state$call(note, list(kind, owner, text, value, about), NULL)
      })
    }

    # An attribute that Python does not have; it counts only if nothing catches the error, since
    # packages ask in this way whether there is one.
    missing_here <- function(condition, owner, key) {
      if (state$busy || is.na(state$line) || sys.nframe() > 500L) return(NULL)
      state$missed <- quietly(list(
        said = conditionMessage(condition), owner = owner, key = key[[1L]],
        about = meta(NULL, list(key = key))
      ))
    }

    # Formals differ between versions of reticulate; ours are those of the version found.
    wrap <- function(name, body_of) {
      old <- get(name, ns)
      fun <- body_of(old)
      formals(fun) <- formals(old)
      unlockBinding(name, ns)
      assign(name, fun, envir = ns)
      lockBinding(name, ns)
    }

    wrap("py_call_impl", function(old) function(x, args = NULL, keywords = NULL) {
      if (state$busy || is.na(state$line)) return(old(x, args, keywords))
      about <- quietly(meta(args, keywords))
      old(if (converts(x)) invoke else invoke_raw, c(list(x, about), args), keywords)
    })
    # Reads and writes: reticulate before 1.29 has functions of these names with `_impl`.
    notes <- list(
      py_get_attr = "getattr", py_get_attr_or_item = "getattr", py_get_item = "getitem",
      py_set_attr = "setattr", py_set_item = "setitem"
    )
    for (name in names(notes)) {
      old_name <- paste0(name, "_impl")
      if (exists(old_name, ns, inherits = FALSE)) name_here <- old_name
      else if (exists(name, ns, inherits = FALSE)) name_here <- name
      else next
      local({
        kind <- notes[[name]]
        writes <- startsWith(kind, "set")
        wrap(name_here, function(old) {
          passed <- lapply(names(formals(old)), as.name)
          key <- passed[[2L]]
          fun <- function() NULL
          asking <- as.call(c(list(quote(old)), passed))
          if (name == "py_get_attr") asking <- bquote(
            withCallingHandlers(.(asking), error = function(e) missing_here(e, x, .(key)))
          )
          body(fun) <- bquote({
            if (.(writes)) noted(kind, x, .(key), .(passed[[3L]]))
            result <- .(asking)
            if (!.(writes)) noted(kind, x, .(key), result)
            .(if (writes) quote(invisible(result)) else quote(result))
          })
          fun
        })
      })
    }
    # Where we find it again, however the script treats the global environment.
    options(keras_bridge = bridge)
    # The children are forks: each makes a temporary folder of its own.
    unlink(tempdir(), recursive = TRUE)
  }

  # Tell Python, through reticulate and past the trace.
  say <- function(event, ...) {
    line <- if (is.na(state$line)) NULL else as.integer(innermost_line())
    state$call(state$hear, list(event), list(line = line, ...))
    invisible(NULL)
  }

  signal <- function(kind, condition) {
    call <- conditionCall(condition)
    # An error that C++ code passes on has the call that runs the script's lines: it says nothing.
    if (is.call(call) && identical(call[[1L]], quote(eval)) &&
        identical(call[[2L]], quote(exprs[[i]]))) call <- NULL
    # Here and not in the call below, where reticulate would be found on the stack.
    from <- if (kind == "error") state$origin %||% "script" else origin()
    say("signalled", kind = kind, text = conditionMessage(condition),
        call = if (is.null(call)) "" else one_line(call), cls = as.list(class(condition)),
        origin = from)
  }

  # The package whose function signalled; "script" for the script's own code.
  origin <- function() {
    for (k in rev(seq_len(sys.nframe()))) {
      fun <- sys.function(k)
      pkg <- if (is.primitive(fun)) "base" else package_of(environment(fun))
      if (pkg %in% c("base", "Rcpp", "rlang", "cli", "methods") || !nzchar(pkg) && ours(fun)) next
      return(if (nzchar(pkg)) pkg else "script")
    }
    "script"
  }

  # Whether the script gave a name that it does not know: a package only meets it when it asks for
  # the argument, and then stands alone on the stack.
  unbound_in_script <- function(condition) {
    said <- conditionMessage(condition)
    for (k in rev(seq_len(sys.nframe()))) {
      caller <- do.call("parent.frame", list(), envir = sys.frame(k))
      fun <- sys.function(k)
      if (nzchar(package_of(caller)) || is.primitive(fun) || ours(fun)) next
      names <- unique(all.names(sys.call(k)))
      unknown <- Filter(function(n) nzchar(n) && !exists(n, envir = caller), names)
      quoted <- c(paste0("'", unknown, "'"), paste0("\u2018", unknown, "\u2019"))
      if (length(unknown) && any(vapply(quoted, grepl, TRUE, x = said, fixed = TRUE))) return(TRUE)
    }
    FALSE
  }

  ours <- function(fun) {
    env <- environment(fun)
    while (!identical(env, emptyenv()) && !identical(env, globalenv())) {
      if (identical(env, home)) return(TRUE)
      env <- parent.env(env)
    }
    FALSE
  }

  # First and last line of the innermost statement of the script that is being evaluated.
  innermost_ref <- function() {
    for (call in rev(sys.calls())) {
      ref <- attr(call, "srcref")
      if (!is.null(ref) && is_script(ref)) return(ref)
    }
    NULL
  }
  innermost_lines <- function() {
    ref <- innermost_ref()
    if (is.null(ref)) c(state$line, state$last_line) else c(ref[[1L]], ref[[3L]])
  }
  innermost_line <- function() innermost_lines()[[1L]]

  quits <- function(save = "default", status = 0, runLast = TRUE) {
    say("quit", code = paste(status, collapse = " "))
    invokeRestart("keras_bridge_quit")
  }

  ask <- function(prompt = "") {
    say("stdin")
    cat(prompt, "\n", sep = "")
    ""
  }

  override <- function(name, fun) {
    for (env in list(baseenv(), as.environment("package:base"))) {
      unlockBinding(name, env)
      assign(name, fun, envir = env)
      lockBinding(name, env)
    }
  }

  # What the script draws at random, for runs that cannot draw the same. The wrappers stand where
  # only the script finds them: packages go on to call R's own.
  record_draws <- function() {
    wrapped <- new.env(parent = emptyenv())
    for (name in drawing) local({
      own <- name
      old <- tryCatch(get(own, envir = .BaseNamespaceEnv, mode = "function", inherits = FALSE),
                      error = function(e) get(own, envir = asNamespace("stats"), mode = "function"))
      assign(own, function(...) {
        value <- old(...)
        if (!is.na(state$line) && is.atomic(value) && length(value) <= 1e6) quietly(
          say("draw", name = own, values = as.list(as.vector(value)),
              size = as.list(if (is.null(dim(value))) length(value) else dim(value)),
              text = is.character(value))
        )
        value
      }, envir = wrapped)
    })
    attach(wrapped, pos = 2L, name = "draws", warn.conflicts = FALSE)
  }
  drawing <- c("runif", "rnorm", "rbinom", "rpois", "rexp", "sample", "sample.int", "rgamma",
               "rbeta", "rt", "rchisq")

  # Evaluate the script as Rscript does: expression by expression, printing what is visible.
  run <- function() {
    job <- state$call(state$hear, list("job"), NULL)
    job <- reticulate::py_to_r(job)
    path <- job$script
    plots <- job$plots
    Sys.setenv(TMPDIR = job$temporary)
    tempdir(check = TRUE)
    set.seed(job$seed)
    options(device = function(...) {
      grDevices::svg(file.path(plots, "page-%04d.svg"), width = 7, height = 5)
    })
    folder <- getwd()
    before <- options()
    exprs <- parse(path, keep.source = TRUE, encoding = "UTF-8")
    state$srcfile <- attr(exprs, "srcfile")
    state$calls <- index_calls(exprs)
    state$assigned <- index_assignments(exprs)
    refs <- attr(exprs, "srcref")
    override("quit", quits)
    override("q", quits)
    override("readline", ask)
    record_draws()
    done <- function(status) {
      state$line <- NA_integer_
      status
    }
    state$folder <- folder
    state$before <- before
    # No tryCatch() for errors round the script: it would also catch a condition that a handler of
    # the script only passes on, as message(e) does. An error unwinds to R's own top level, and
    # Python then calls failed().
    status <- withRestarts(
      withCallingHandlers({
        for (i in seq_along(exprs)) {
          state$line <- refs[[i]][[1L]]
          state$last_line <- refs[[i]][[3L]]
          state$ref <- refs[[i]]
          say("at")
          value <- withVisible(eval(exprs[[i]], globalenv()))
          if (value$visible) if (isS4(value$value)) methods::show(value$value) else print(value$value)
        }
        done("ok")
      },
      warning = function(w) signal("warning", w),
      message = function(m) signal("message", m),
      error = function(e) {
        # After endless recursion there is no room left to look around in.
        deep <- sys.nframe() > 500L
        state$error <- e
        state$error_line <- if (!deep) innermost_line()
        state$origin <- if (deep || tryCatch(unbound_in_script(e), error = function(x) FALSE)) "script" else origin()
      }),
      keras_bridge_quit = function() done("quit")
    )
    say("status", status = status)
  }

  # What the script left behind when an error ended it.
  failed <- function() {
    state$line <- state$error_line %||% state$line
    said <- sub("^Error[^:]*: *", "", geterrmessage())
    missed <- state$missed
    if (!is.null(missed) && identical(missed$said, conditionMessage(state$error %||% simpleError(""))))
      quietly(state$call(state$miss, list(missed$owner, missed$key, missed$about), NULL))
    signal("error", state$error %||% simpleError(trimws(said)))
    state$line <- NA_integer_
    say("status", status = "error")
  }

  after <- function() {
    state$line <- NA_integer_
    folder <- state$folder
    before <- state$before
    close_plots()
    if (!identical(getwd(), folder)) say("changed", what = "the working directory")
    after <- options()
    names <- union(names(before), names(after))
    # Packages set options of their own when they are loaded: those that were there count.
    changed <- Filter(function(n) !is.null(before[[n]]) && !identical(before[[n]], after[[n]]), names)
    if (length(changed)) {
      say("changed", what = paste0("R's options: ", paste(sort(changed), collapse = ", ")))
    }
    say("situation", situation = situation())
  }

  close_plots <- function() {
    tryCatch(grDevices::graphics.off(), error = function(e) NULL)
    invisible(NULL)
  }

  situation <- function() {
    loaded <- sort(loadedNamespaces())
    base <- rownames(utils::installed.packages(priority = "base"))
    loaded <- setdiff(loaded, c(base, "rpy2"))
    marker <- function(p) {
      value <- utils::packageDescription(p, fields = "Config/keras-bridge")
      if (is.na(value)) "" else value
    }
    list(
      r = paste(R.version$major, R.version$minor, sep = "."),
      names = as.list(loaded),
      versions = lapply(loaded, function(p) as.character(getNamespaceVersion(p))),
      markers = lapply(loaded, marker)
    )
  }

  bridge$install <- install
  bridge$run <- run
  bridge$failed <- failed
  bridge$after <- after
})
