# The errors of this package. There are two: what CRAN's package refuses as well, in its own words,
# and what nobody measured. Whoever reads a report must be able to tell the two apart.

# CRAN's package was seen to refuse this with these words. `call` is what R prints after "Error in".
refuse <- function(..., call = NULL) {
  stop(errorCondition(paste0(...), class = "bridge_standin_measured", call = call))
}

# CRAN's package may well take it, or refuse it for another reason.
not_served <- function(...) {
  stop(errorCondition(
    paste0("not served by the stand-in: ", ..., "; CRAN's package may behave otherwise"),
    class = "bridge_standin_unmeasured", call = NULL))
}

refuse_function <- function(name, package) {
  not_served(sprintf("%s(), which nobody measured (install CRAN's %s and run with --frontend cran)",
                     name, package))
}

refuse_argument <- function(name, argument, package) {
  not_served(sprintf(paste0(
    "the argument %s of %s(), which nobody measured ",
    "(install CRAN's %s and run with --frontend cran)"), argument, name, package))
}
