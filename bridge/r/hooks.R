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
  state$watches <- FALSE                      # whether expressions of the script are watched,
  state$values <- new.env(parent = emptyenv())  # what they gave, by order and place,
  state$begun <- character()                  # those that were begun in this statement, and
  state$open <- integer()                     # the frames in which they still are
  state$filled <- 0
  state$held <- new.env(parent = emptyenv())  # the script's variables, as it last left them

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
      return(list(call = unwrapped(if (is_method) calls[[k - 1L]] else calls[[k]])))
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
    call <- unwrapped(call)
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
    # What Rscript has, and an R that another program starts has not.
    options(keep.source = FALSE, showErrorCalls = TRUE)
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

  # As R leaves: nothing on the stack is told, neither `finally` nor on.exit().
  quits <- function(save = "default", status = 0, runLast = TRUE) {
    say("quit", code = paste(status, collapse = " "))
    if (runLast) run_last()
    state$line <- NA_integer_
    say("status", status = "quit")
    after()
    say("left")
  }

  run_last <- function() {
    last <- get0(".Last", envir = globalenv(), mode = "function", inherits = FALSE)
    if (!is.null(last)) last()
  }

  ask <- function(prompt = "") {
    say("stdin")
    cat(prompt, "\n", sep = "")
    ""
  }

  override <- function(name, fun, where = list(baseenv(), as.environment("package:base"))) {
    for (env in where) {
      unlockBinding(name, env)
      assign(name, fun, envir = env)
      lockBinding(name, env)
    }
  }

  # What the script draws at random, for runs that cannot draw the same. The functions keep their
  # arguments, body, environment and print; those of stats stand where packages do not look.
  record_draws <- function(drawing) {
    state$drawing <- drawing
    for (name in drawing) {
      where <- as.environment(if (exists(name, baseenv(), inherits = FALSE)) "package:base"
                              else "package:stats")
      override(name, drawing_as(name, get(name, where)), list(where))
    }
  }

  drawing_as <- function(name, own) {
    note <- as.call(list(drew, name, quote(returnValue(NULL))))
    # The call of R's own is the last of the body, so that it is this function that errs and warns.
    with_body(own, as.call(list(quote(`{`), as.call(list(quote(on.exit), note)), body(own))))
  }

  # A function that calls ours, with the arguments of R's own.
  disguised <- function(fun, own) {
    with_body(own, as.call(c(list(fun), lapply(names(formals(own)), as.name))))
  }

  # A function with another body that prints as it did.
  with_body <- function(own, body) {
    looks <- utils::capture.output(print(own))
    looks <- looks[!grepl("^<(bytecode|environment): ", looks)]
    fun <- own
    body(fun) <- body
    fun <- compiler::cmpfun(fun)
    end <- nchar(looks[[length(looks)]])
    attr(fun, "srcref") <- srcref(srcfilecopy("", looks), c(1L, 1L, length(looks), end, 1L, end))
    fun
  }

  drew <- function(name, value) {
    if (is.na(state$line) || is.null(value) || !is.atomic(value) || length(value) > 1e6) return()
    # What is drawn within a watched expression is in its value.
    if (any(state$open <= sys.nframe())) return()
    if (drawn_by_script(sys.nframe() - 1L)) quietly(
      say("draw", name = name, values = as.list(as.vector(value)),
          size = as.list(if (is.null(dim(value))) length(value) else dim(value)),
          text = is.character(value))
    )
  }

  # Whether the script asked for what the function in this frame draws: neither a package, nor
  # another function that draws. What R's own functions call for the script is the script's.
  drawn_by_script <- function(frame) {
    for (k in rev(seq_len(frame - 1L))) {
      fun <- sys.function(k)
      if (is.primitive(fun)) next
      from <- package_of(environment(fun))
      head <- sys.call(k)[[1L]]
      if (is.symbol(head) && as.character(head) %in% state$drawing && from %in% c("base", "stats")) {
        return(FALSE)
      }
      if (from != "base") return(!nzchar(from))
    }
    TRUE
  }

  # What the statement that has just ended made of the script's variables: all that a run without
  # R needs where it cannot compute them itself. R's values are never changed in place while they
  # are held here, so that one that is identical is the same.
  answer <- function() {
    names <- ls(globalenv(), all.names = TRUE, sorted = FALSE)
    # Neither what runs code when it is read, nor, where it cannot be told from other variables,
    # what waits to be computed.
    lazy <- any(c("delayedAssign", "lazyLoad") %in% state$calls$name)
    odd <- lazy | vapply(names, bindingIsActive, TRUE, env = globalenv())
    names <- setdiff(names[!odd], ".Random.seed")
    changed <- list()
    for (name in names) {
      value <- get(name, globalenv())
      if (exists(name, state$held, inherits = FALSE) &&
          identical(value, get(name, state$held), ignore.srcref = FALSE)) next
      assign(name, value, state$held)
      changed <- c(changed, list(list(name = name, value = literal(value))))
    }
    gone <- setdiff(ls(state$held, all.names = TRUE), names)
    rm(list = gone, envir = state$held)
    places <- lapply(state$begun, function(key) list(
      place = as.integer(sub(".*:", "", key)),
      value = if (exists(key, state$values, inherits = FALSE)) literal(get(key, state$values))
              else unkept(NULL, "it was not computed to the end")
    ))
    rm(list = ls(state$values, all.names = TRUE), envir = state$values)
    state$begun <- character()
    say("answered", variables = changed, places = places)
  }

  # An R value as lists, arrays and Python's own objects, whatever methods a script defines.
  literal <- function(x, depth = 0L) {
    tryCatch(literal_of(x, depth), error = function(e) unkept(x, "it could not be looked at"))
  }
  unkept <- function(x, why) {
    list(kind = "unkept", text = paste0(why, " (", paste(oldClass(x) %||% typeof(x), collapse = ", "), ")"))
  }
  literal_of <- function(x, depth) {
    if (inherits(x, "python.builtin.object")) return(list(kind = "python", value = x))
    if (is.null(x)) return(list(kind = "null"))
    if (is.function(x)) return(list(kind = "function"))
    cls <- as.list(oldClass(x))
    if (isS4(x) || !typeof(x) %in% c("logical", "integer", "double", "character", "list")) {
      return(unkept(x, "it is no value of R's that others have"))
    }
    if (depth == 0L && utils::object.size(x) > most_bytes) return(unkept(x, "it is too large"))
    kept <- names(x <- plain(x))
    names <- if (!is.null(kept)) as.list(ifelse(is.na(kept), "", kept))
    if (is.list(x)) {
      if (length(x) > most_items || depth > 12L) return(unkept(x, "it has too many parts"))
      items <- vector("list", length(x))
      for (i in seq_along(x)) items[[i]] <- literal(.subset2(x, i), depth + 1L)
      return(list(kind = "list", cls = cls, names = names, items = items))
    }
    dim <- if (length(dim(x)) > 1L) dim(x)
    levels <- attr(x, "levels", exact = TRUE)
    lost <- anyNA(x)
    values <- as.vector(x)
    if (is.character(x)) {
      values[is.na(values)] <- "NA"
      values <- as.list(values)
    } else {
      # What Python has for a missing number is a double.
      if (lost && !is.double(x) && is.null(levels)) values <- as.double(values)
      values <- as.array(values)
    }
    list(kind = if (is.character(x)) "text" else "numbers", cls = cls, values = values,
         names = if (is.null(dim)) names, dim = if (!is.null(dim)) as.list(dim),
         levels = if (!is.null(levels)) as.list(as.character(levels)))
  }
  # A value without its class, but with its names, dimensions and levels.
  plain <- function(x) {
    if (is.object(x)) x <- unclass(x)
    x
  }
  most_bytes <- 2^28
  most_items <- 5000L

  # The script with those expressions watched that stand in the rows `places` of its syntax tree:
  # each is evaluated where it stands, by primitives alone, and its value is kept on the way.
  watched <- function(exprs, places) {
    data <- utils::getParseData(exprs)
    at <- data[match(places, data$id, nomatch = 0L), , drop = FALSE]
    lines <- attr(exprs, "srcfile")$lines
    # Of what begins at the same place the longer comes first, of what ends there the shorter.
    span <- at$line2 * 1e6 + at$col2 - at$line1 * 1e6 - at$col1
    put <- rbind(
      data.frame(line = at$line1, after = at$col1 - 1L, rank = -span, text = sprintf("%s(%dL, ", watch, at$id)),
      data.frame(line = at$line2, after = at$col2, rank = span - 1e12, text = rep(")", nrow(at)))
    )
    put <- put[order(put$line, put$after, put$rank), , drop = FALSE]
    for (i in rev(seq_len(nrow(put)))) {
      line <- lines[[put$line[[i]]]]
      here <- characters(line, put$after[[i]])
      lines[[put$line[[i]]]] <- paste0(substr(line, 1L, here), put$text[[i]], substring(line, here + 1L))
    }
    changed <- parse(text = lines, keep.source = TRUE, encoding = "UTF-8",
                     srcfile = srcfilecopy(attr(exprs, "srcfile")$filename, lines))
    bare <- lapply(changed, rewritten, function(place, expr) expr)
    if (!identical(lapply(bare, words_of), lapply(exprs, words_of))) return(NULL)
    state$watches <- TRUE
    for (i in seq_along(changed)) {
      made <- rewritten(changed[[i]], kept_at)
      if (!is.null(made)) changed[[i]] <- made
    }
    changed
  }
  watch <- ".keras_bridge_watch"

  # An expression without where it stands in the text.
  words_of <- function(expr) {
    if (!is.call(expr)) return(expr)
    expr <- without_text(expr)
    attributes(expr)[c("srcref", "srcfile", "wholeSrcref")] <- NULL
    for (i in seq_along(expr)) if (is.call(expr[[i]])) expr[[i]] <- words_of(expr[[i]])
    expr
  }

  # How many characters of a line its first columns are: R's parser widens tabs.
  characters <- function(line, columns) {
    if (!grepl("\t", line, fixed = TRUE)) return(columns)
    column <- 0L
    for (i in seq_len(nchar(line))) {
      if (column >= columns) return(i - 1L)
      column <- column + 1L
      if (substr(line, i, i) == "\t") column <- bitwAnd(column + 7L, bitwNot(7L))
    }
    nchar(line)
  }

  # An expression with what `made` says in the place of those that are marked.
  rewritten <- function(expr, made) {
    if (!is.call(expr)) return(expr)
    if (identical(expr[[1L]], as.name(watch))) return(made(expr[[2L]], rewritten(expr[[3L]], made)))
    for (i in seq_along(expr)) if (is.call(expr[[i]])) expr[[i]] <- rewritten(expr[[i]], made)
    expr
  }

  # An expression whose value is kept, made of primitives: it has no frame, and sees none of ours.
  kept_at <- function(place, expr) {
    keep <- as.call(list(quote(assign), as.call(list(begins, place)), expr, state$values, call_of(ends)))
    as.call(list(.Internal, keep))
  }
  call_of <- function(fun) as.call(list(fun))

  begins <- function(place) {
    depth <- sys.nframe()
    # What an error or a jump left behind is no longer being evaluated.
    state$open <- state$open[state$open < depth]
    state$open <- c(state$open, depth)
    if (length(state$begun)) {
      last <- get0(state$begun[[length(state$begun)]], state$values, inherits = FALSE)
      state$filled <- state$filled + as.numeric(utils::object.size(last))
    }
    if (length(state$begun) >= most_values || state$filled > most_bytes) return("-")
    key <- paste0(length(state$begun) + 1L, ":", place)
    state$begun <- c(state$begun, key)
    key
  }
  ends <- function() {
    state$open <- state$open[state$open < sys.nframe()]
    FALSE
  }
  most_values <- 5000L

  # A call as the script wrote it.
  unwrapped <- function(x) {
    if (!state$watches || !is.call(x)) return(x)
    if (length(x) == 2L && identical(x[[1L]], .Internal) && is.call(x[[2L]]) &&
        length(x[[2L]]) == 5L && identical(x[[2L]][[4L]], state$values)) return(unwrapped(x[[2L]][[3L]]))
    for (i in seq_along(x)) if (is.call(x[[i]])) x[[i]] <- unwrapped(x[[i]])
    x
  }

  # A script is run in steps that Python calls one after the other, so that nothing of ours stands
  # on R's stack while an expression is evaluated: begin(); then, for each expression, take(), the
  # promise `pending`, show(), `pending` again if there is something to print, and warned(); or,
  # where `pending` raised, recovers(); ended() or failed(); after().
  begin <- function() {
    job <- state$call(state$hear, list("job"), NULL)
    job <- reticulate::py_to_r(job)
    Sys.setenv(TMPDIR = job$temporary)
    tempdir(check = TRUE)
    set.seed(job$seed)
    options(device = device_in(job$plots))
    state$folder <- getwd()
    state$before <- options()
    exprs <- parse(job$script, keep.source = TRUE, encoding = "UTF-8")
    state$calls <- index_calls(exprs)
    if (length(job$places)) exprs <- quietly(watched(exprs, unlist(job$places))) %||% exprs
    state$srcfile <- attr(exprs, "srcfile")
    state$assigned <- index_assignments(exprs)
    state$refs <- attr(exprs, "srcref")
    state$exprs <- lapply(exprs, without_text)
    state$at <- 0L
    for (name in c("quit", "q")) override(name, disguised(quits, get(name, baseenv())))
    override("readline", disguised(ask, readline))
    record_draws(unlist(job$drawing))
    invisible()
  }

  # Rscript keeps no text of functions, and prints what it parsed; the lines of `{` stay.
  without_text <- function(expr) {
    if (!is.call(expr)) return(expr)
    if (identical(expr[[1L]], quote(`function`)) && length(expr) == 4L) {
      # The place of the text stays, empty, as Rscript has it: packages that tidy calls look there.
      expr[4L] <- list(if (state$watches) text_of(expr))
    }
    # By index: an argument that is left out, as in x[, 1], cannot be held by a name.
    for (i in seq_along(expr)) if (is.language(expr[[i]]) || is.pairlist(expr[[i]])) {
      if (is.call(expr[[i]])) expr[[i]] <- without_text(expr[[i]])
      else if (is.pairlist(expr[[i]])) for (j in seq_along(expr[[i]])) {
        if (is.call(expr[[i]][[j]])) expr[[i]][[j]] <- without_text(expr[[i]][[j]])
      }
    }
    expr
  }

  # What a function prints as, where an expression of it is watched; else NULL.
  text_of <- function(expr) {
    bare <- unwrapped(expr)
    if (identical(bare, expr)) return(NULL)
    bare[[4L]] <- NULL
    looks <- utils::capture.output(print(eval(without_text(bare), globalenv()), useSource = FALSE))
    end <- nchar(looks[[length(looks)]])
    srcref(srcfilecopy("", looks), c(1L, 1L, length(looks), end, 1L, end))
  }

  # Plots are drawn to files of ours, by a device that goes by the name of Rscript's own.
  device_in <- function(plots) function(...) {
    grDevices::svg(file.path(plots, "page-%04d.svg"), width = 7, height = 5)
    file.create("Rplots.pdf", showWarnings = FALSE)
    named <- get(".Devices", baseenv())
    named[[grDevices::dev.cur()]] <- structure("pdf", filepath = "Rplots.pdf")
    unlocked <- function(name, value) {
      if (bindingIsLocked(name, baseenv())) unlockBinding(name, baseenv())
      assign(name, value, envir = baseenv())
    }
    unlocked(".Devices", named)
    unlocked(".Device", named[[grDevices::dev.cur()]])
  }

  take <- function() {
    state$at <- state$at + 1L
    if (state$at > length(state$exprs)) return(FALSE)
    state$ref <- state$refs[[state$at]]
    state$line <- state$ref[[1L]]
    state$last_line <- state$ref[[3L]]
    state$open <- integer()
    state$filled <- 0
    say("at")
    # Primitives only: they are evaluated without a frame.
    visibly <- as.call(list(.Internal, as.call(list(quote(withVisible), state$exprs[[state$at]]))))
    kept <- as.call(list(quote(assign), "value", visibly, state, FALSE))
    promise(as.call(list(.Internal, kept)), globalenv())
    TRUE
  }

  show <- function() {
    quietly(answer())
    value <- state$value
    state$value <- NULL
    if (bindingIsLocked(".Last.value", baseenv())) unlockBinding(".Last.value", baseenv())
    assign(".Last.value", value$value, envir = baseenv())
    if (!value$visible) return(FALSE)
    value <- value$value
    printing <- if (isS4(value)) methods::show
                else if (is.object(value) || is.function(value)) print else print.default
    promise(as.call(list(printing, quote(x))), list2env(list(x = value), parent = globalenv()))
    TRUE
  }

  # Below the handlers of every condition, which hang on R's top level and not on a call.
  promise <- function(expr, env) {
    whole <- as.call(list(`{`, as.call(list(listen)), expr))
    do.call(delayedAssign, list("pending", whole, env, bridge))
  }

  listen <- function() {
    # Those of the script's own stay above ours.
    handlers <- c(globalCallingHandlers(), list(
      warning = function(w) {
        signal("warning", w)
        call <- unwrapped(conditionCall(w))
        if (!identical(call, conditionCall(w))) {
          .Internal(.dfltWarn(conditionMessage(w), call))
          invokeRestart("muffleWarning")
        }
      },
      message = function(m) signal("message", m),
      error = function(e) {
        # After endless recursion there is no room left to look around in.
        deep <- sys.nframe() > 500L
        state$error <- e
        state$error_line <- if (!deep) innermost_line()
        unbound <- deep || tryCatch(unbound_in_script(e), error = function(x) FALSE)
        state$origin <- if (unbound) "script" else origin()
        call <- if (!deep) unwrapped(conditionCall(e))
        # R tells of it as of what the script wrote.
        if (!deep && !identical(call, conditionCall(e))) .Internal(.dfltStop(conditionMessage(e), call))
      }
    ))
    .Internal(.addGlobHands(names(handlers), handlers, globalenv(), NULL, TRUE))
  }

  # R tells of the warnings after every expression, as warnings() will.
  warned <- function() .Internal(printDeferredWarnings())

  # With an error handler of the script's own, Rscript goes on with the next expression.
  recovers <- function() !is.null(getOption("error"))

  ended <- function() {
    run_last()
    state$line <- NA_integer_
    say("status", status = "ok")
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
  for (step in list("begin", "take", "show", "warned", "failed", "recovers", "ended", "after")) {
    assign(step, get(step, home), envir = bridge)
  }
})
