# What package keras3, once it is loaded, has Keras do instead of TensorFlow.

hooks <- new.env(parent = emptyenv())
hooks$to_array <- function(x) x$numpy()
hooks$power <- function(base, exponent) tensor_power(base, exponent)
hooks$transpose <- function(x) tf$transpose(x, name = "R/t")
