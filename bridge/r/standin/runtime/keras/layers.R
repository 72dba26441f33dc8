# Creating layers: the layer exists before the object it is added to is looked at, so in a pipe
# the last layer is created first.

make_layer <- function(class, object, args) {
  layer <- do.call(class, args)
  compose(layer, object)
}

is_sequential <- function(x) inherits(x, "keras.engine.sequential.Sequential")
