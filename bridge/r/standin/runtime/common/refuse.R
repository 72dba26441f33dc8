# Where nothing was measured, nothing is approximated: these end the script with a sentence.

refuse_function <- function(name, package) {
  stop(sprintf(paste0(
    "the stand-in front end has no measured rule for %s(); ",
    "install CRAN's %s and run with --frontend cran"), name, package), call. = FALSE)
}

refuse_argument <- function(name, argument, package) {
  stop(sprintf(paste0(
    "the stand-in front end has no measured rule for the argument %s of %s(); ",
    "install CRAN's %s and run with --frontend cran"), argument, name, package), call. = FALSE)
}
