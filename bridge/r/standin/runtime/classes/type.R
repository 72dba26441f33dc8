# A Python class made from R functions.

# `inherit` is what the class derives from: a class, a wrapper, a generator of R6 or a list of
# these, in which names are keywords of the class. All methods share one environment, in which
# `super`, the class and its name are known.
new_type <- function(classname, members, inherit, parent_env, private = list(), module,
                     typed_only = FALSE) {
  bases <- class_bases(inherit)
  mask <- new.env(parent = parent_env)
  if (!"__module__" %in% names(members)) members$`__module__` <- module
  if (length(private) || any_private(members)) {
    assign(".private_of", private_members(private, mask), envir = mask)
  }
  python <- python_members(members, mask, typed_only)
  type <- rclasses()$make_class(classname, bases$types, bases$keywords, python$names, python$values)
  mask[["__class__"]] <- type
  mask[[classname]] <- type
  mask$super <- super_of(type)
  type
}

any_private <- function(members) {
  any(vapply(members, function(m) is.function(m) && !is_python(m) && uses_private(m), NA))
}

class_bases <- function(inherit) {
  if (is.null(inherit)) inherit <- list()
  if (is_python(inherit) && inherits(inherit, "python.builtin.tuple")) inherit <- as.list(inherit)
  if (!is.list(inherit) || is_python(inherit)) inherit <- list(inherit)
  named <- if (is.null(names(inherit))) rep(FALSE, length(inherit)) else nzchar(names(inherit))
  list(
    types = unname(lapply(inherit[!named], class_behind)),
    keywords = named_dict(inherit[named]))
}

# What a class derives from, or what an argument stands for: the class itself.
class_behind <- function(x) {
  if (is_python(x)) return(x)
  if (is_class_wrapper(x)) return(class_of_wrapper(x))
  if (inherits(x, "R6ClassGenerator")) return(r_to_py(x, TRUE))
  path <- attr(x, "python_path", exact = TRUE)
  # What is no class at all is left for Python to refuse.
  if (is.null(path)) x else python_class_at(path)
}

python_class_at <- function(path) {
  object <- keras
  for (name in strsplit(path, ".", fixed = TRUE)[[1L]][-1L]) object <- object[[name]]
  object
}

# Wrappers of classes made here know them in their environment.
is_class_wrapper <- function(x) {
  is.function(x) && !is.primitive(x) && !is_python(x) &&
    exists("__class__", envir = environment(x), inherits = FALSE)
}

class_of_wrapper <- function(x) get("__class__", envir = environment(x), inherits = FALSE)

# A function of an instance that gives its private members, the same at each call.
private_members <- function(members, mask) {
  store <- new.env(parent = emptyenv())
  function(self) {
    key <- as.character(rclasses()$token(self))
    if (!is.null(store[[key]])) return(store[[key]])
    private <- new.env(parent = emptyenv())
    frame <- new.env(parent = mask)
    frame$self <- self
    frame$private <- private
    for (name in names(members)) {
      member <- members[[name]]
      if (is.function(member) && !is_python(member)) environment(member) <- frame
      if (is_active(member)) makeActiveBinding(name, member, private) else
        assign(name, member, envir = private)
    }
    assign(key, private, envir = store)
    private
  }
}

# super$method(), super()$method() and super(Class, self)$method().
super_of <- function(type) {
  force(type)
  structure(function(class = type, object = get("self", envir = parent.frame())) {
    force(object)
    import_builtins()$super(class, object)
  }, class = "keras_super")
}

#' @method $ keras_super
`$.keras_super` <- function(x, name) {
  self <- get("self", envir = parent.frame())
  super_member(unclass(x)(object = self), name)
}

#' @method "[[" keras_super
`[[.keras_super` <- function(x, name) {
  self <- get("self", envir = parent.frame())
  super_member(unclass(x)(object = self), name)
}

#' @method $ python.builtin.super
`$.python.builtin.super` <- function(x, name) super_member(x, name)

#' @method "[[" python.builtin.super
`[[.python.builtin.super` <- function(x, name) super_member(x, name)

super_member <- function(x, name) py_to_r(py_get_attr(x, python_member(name)))

# The module that Python sees for a class: where it was written.
r_module <- function(frame) {
  while (!nzchar(name <- environmentName(frame))) frame <- parent.env(frame)
  if (isNamespace(frame)) name <- paste0("namespace:", name)
  if (identical(frame, globalenv())) name <- "globalenv"
  sprintf("<r-%s>", name)
}

# The arguments that the caller of a class's wrapper typed, by name, then those of `...`.
class_arguments <- function(call, frame, skip = character()) {
  known <- setdiff(intersect(names(call), ls(frame, all.names = TRUE)), c("", "...", skip))
  values <- list()
  for (name in known) values[name] <- list(get(name, envir = frame))
  c(values, dots_values(frame))
}
