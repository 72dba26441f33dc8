# zip_lists(a, b): one list for each place, or for each name where the lists have names.

#' @export
zip_lists <- function(...) {
  lists <- list(...)
  call <- sys.call()
  if (length(lists) == 1L) lists <- lists[[1L]]
  names <- names(lists[[1L]])
  lists <- lapply(lists, function(part) {
    if (!setequal(names, names(part))) {
      refuse("All names of arguments provided to `zip_lists()` must match. ",
             "Call `unname()` on each argument if you want positional matching", call = call)
    }
    if (is.null(names)) part else part[names]
  })
  if (!is.null(names) && (anyDuplicated(names) || !all(nzchar(names)))) {
    not_served("lists with names that are not unique in zip_lists()")
  }
  zipped <- do.call(Map, c(list(f = list), unname(lapply(lists, unname))))
  structure(unname(zipped), names = names)
}
