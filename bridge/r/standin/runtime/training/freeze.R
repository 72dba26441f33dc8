# Which layers of a model are trained.

#' @export
freeze_weights <- function(object, from = NULL, to = NULL, which = NULL) {
  set_trainable(object, from, to, which, FALSE)
}

#' @export
unfreeze_weights <- function(object, from = NULL, to = NULL, which = NULL) {
  set_trainable(object, from, to, which, TRUE)
}

# Without a range the whole object is switched. With one, the layers in it get `value` and all
# others the opposite.
set_trainable <- function(object, from, to, which, value) {
  if (is.null(from) && is.null(to) && is.null(which)) {
    object$trainable <- value
    return(invisible(object))
  }
  layers <- object$layers
  object$trainable <- TRUE
  inside <- if (is.null(which)) {
    first <- if (is.null(from)) 1L else layer_place(layers, from)
    last <- if (is.null(to)) length(layers) else layer_place(layers, to)
    seq_along(layers) %in% seq(first, last)
  } else if (is.logical(which)) {
    rep_len(which, length(layers))
  } else {
    seq_along(layers) %in% vapply(as.list(which), layer_place, 0L, layers = layers)
  }
  for (i in seq_along(layers)) {
    layer <- layers[[i]]
    layer$trainable <- if (inside[i]) value else !value
  }
  invisible(object)
}

# The place of a layer given by its number, its name or itself.
layer_place <- function(layers, layer) {
  if (is.numeric(layer)) return(if (layer < 0) length(layers) + 1L + as.integer(layer) else as.integer(layer))
  name <- if (is_python(layer)) layer$name else layer
  place <- match(name, vapply(layers, function(l) l$name, ""))
  if (is.na(place)) {
    not_served("freezing by the name of a layer that the model does not have")
  }
  place
}
