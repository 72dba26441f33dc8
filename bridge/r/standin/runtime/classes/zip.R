# zip_lists(a, b): one list for each place, or for each name where the lists have names.

#' @export
zip_lists <- function(...) {
  lists <- list(...)
  if (length(lists) == 1L) lists <- lists[[1L]]
  names <- names(lists[[1L]])
  if (!is.null(names) && (anyDuplicated(names) || !all(nzchar(names)))) {
    stop("all names must be unique; use unname() to zip by position", call. = FALSE)
  }
  lists <- lapply(lists, function(part) {
    if (!setequal(names, names(part))) {
      stop("the lists must have the same names; use unname() to zip by position", call. = FALSE)
    }
    if (is.null(names)) part else part[names]
  })
  zipped <- do.call(Map, c(list(f = list), unname(lapply(lists, unname))))
  structure(unname(zipped), names = names)
}
