# The generics with methods for models. evaluate() is package tensorflow's.

#' @reexport tensorflow::evaluate
#' @importFrom stats predict

#' @export
fit <- function(object, ...) UseMethod("fit")

#' @export
compile <- function(object, ...) UseMethod("compile")
