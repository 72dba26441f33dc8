# What can be known of R scripts without running them, and of the packages that are installed.
# Rscript --vanilla script.R file ... : one JSON object a line; the first is about the packages.

quote_json <- function(text) {
  text <- enc2utf8(as.character(text))
  text <- gsub("\\", "\\\\", text, fixed = TRUE)
  text <- gsub("\"", "\\\"", text, fixed = TRUE)
  for (code in c(1:31, 127L)) {
    char <- intToUtf8(code)
    text <- gsub(char, sprintf("\\u%04x", code), text, fixed = TRUE)
  }
  paste0("\"", text, "\"")
}
array_json <- function(parts) paste0("[", paste(parts, collapse = ","), "]")
say <- function(...) {
  fields <- list(...)
  cat("{", paste0("\"", names(fields), "\":", unlist(fields), collapse = ","), "}\n", sep = "")
}

installed <- lapply(c("keras", "keras3", "tensorflow", "reticulate"), function(package) {
  about <- suppressWarnings(utils::packageDescription(package))
  if (!is.list(about)) return(NULL)
  marker <- about[["Config/keras-bridge"]]
  sprintf("[%s,%s,%s]", quote_json(package), quote_json(about$Version),
          quote_json(if (is.null(marker)) "" else marker))
})
say(r = quote_json(paste(R.version$major, R.version$minor, sep = ".")),
    installed = array_json(unlist(installed)))

# The syntax tree as R's own parser has it, row by row: id, parent, line, column, token, text.
tree_json <- function(data) {
  if (is.null(data) || !nrow(data)) return("[]")
  data <- data[data$token != "COMMENT", ]
  cut <- which(data$token == "STR_CONST" & startsWith(data$text, "["))
  for (i in cut) data$text[[i]] <- utils::getParseText(data, data$id[[i]])
  text <- ifelse(data$terminal, data$text, "")
  array_json(sprintf("[%d,%d,%d,%d,%s,%s]", data$id, data$parent, data$line1, data$col1,
                     quote_json(data$token), quote_json(text)))
}

for (path in commandArgs(trailingOnly = TRUE)) {
  exprs <- tryCatch(parse(path, keep.source = TRUE, encoding = "UTF-8"), error = identity)
  if (inherits(exprs, "error")) {
    text <- sub("^[^\n]*?([0-9]+:[0-9]+: )", "\\1", conditionMessage(exprs), perl = TRUE)
    say(error = quote_json(text), expressions = 0L, loads = "[]", calls = "[]", functions = "[]",
        tree = "[]")
    next
  }
  data <- utils::getParseData(exprs)
  loads <- character()
  calls <- character()
  functions <- character()
  if (!is.null(data) && nrow(data)) {
    namespaced <- data[data$token == "SYMBOL_PACKAGE", ]
    called <- data[data$token == "SYMBOL_FUNCTION_CALL", ]
    functions <- unique(called$text)
    for (i in which(data$token == "SYMBOL_FUNCTION_CALL" &
                    data$text %in% c("library", "require", "requireNamespace", "loadNamespace"))) {
      up <- data$parent[match(data$parent[[i]], data$id)]
      call <- tryCatch(str2lang(utils::getParseText(data, up)), error = function(e) NULL)
      if (is.call(call) && length(call) > 1L) {
        name <- call[[2L]]
        # library(x, character.only = TRUE): what x holds is not known before the script runs.
        if (is.symbol(name) && !is.null(call$character.only)) next
        if (is.symbol(name) || is.character(name)) {
          loads <- c(loads, sprintf("[%s,%d]", quote_json(as.character(name)), data$line1[[i]]))
        }
      }
    }
    loads <- c(loads, sprintf("[%s,%d]", vapply(namespaced$text, quote_json, ""), namespaced$line1))
  }
  say(error = "null", expressions = length(exprs), loads = array_json(loads),
      functions = array_json(vapply(functions, quote_json, "")), tree = tree_json(data))
}
