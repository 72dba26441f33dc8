# Kinds that only package keras3 has, or carries out in a way of its own.

# Numbers become integer, towards zero, and lose their dimensions; all else passes.
kind_as_integer <- function(x) if (is.numeric(x)) as.integer(x) else x

kind_as_integer_always <- function(x) as.integer(x)

# Wrappers and functions of R given as an argument: see python_for().
kind_as_is_resolved <- function(x) python_for(x)

kind_as_integer_resolved <- function(x) if (is.numeric(x)) as.integer(x) else python_for(x)

kind_as_ceiling_integer <- function(x) as.integer(ceiling(x))

# Doubles become an array of integers, also one number.
kind_as_integer_array <- function(x) {
  if (is.double(x)) array(as.integer(x), dim = if (is.null(dim(x))) length(x) else dim(x)) else x
}

kind_as_integer_list <- function(x) as.list(kind_as_integer(x))

# Numbers inside a list as well.
kind_as_integer_list_any <- function(x) lapply(as.list(x), kind_as_integer)

# A list becomes a tuple of integers, a plain vector becomes integer and no tuple.
kind_as_integer_tuple <- function(x) {
  if (is.null(x) || is_python(x)) return(x)
  if (is.list(x)) integer_tuple(unclass(x)) else as.integer(x)
}

kind_as_tuple <- function(x) do.call(tuple, unname(as.list(x)))

kind_one_tuple <- function(x) {
  if (is.list(x) && !is_python(x)) do.call(tuple, unname(as.list(x))) else tuple(x)
}

kind_as_scalar_or_tuple <- function(x) {
  if (is_python(x) || (is.atomic(x) && length(x) == 1L)) x else do.call(tuple, unname(as.list(x)))
}

kind_permute_dims <- function(x) do.call(tuple, unname(lapply(as.list(x), kind_as_integer)))

# An array, also of one number; doubles stay float64.
kind_as_array <- function(x) {
  if (is.null(x) || is_python(x) || inherits(x, "keras_shape")) x else known_logicals(as.array(x))
}

kind_arrays_list <- function(x) {
  if (is.null(x)) not_served("NULL for a list of arrays")
  parts <- if (is_python(x) || is.function(x) || is.atomic(x)) list(x) else unname(as.list(x))
  lapply(parts, function(part) {
    if (is.null(part)) not_served("NULL in a list of arrays")
    if (is.function(part)) part else kind_as_array(part)
  })
}

# An array in which doubles are of the floating type that is configured.
kind_as_py_array <- function(x) {
  if (is.null(x) || is_python(x)) return(x)
  if (is.function(x)) {
    refuse("invalid first argument, must be vector (list or atomic)")
  }
  numpy_array(x, if (is.double(x)) keras$config$floatx())
}

kind_keras_array <- function(x) {
  if (is.null(x) || is_python(x)) return(x)
  if (is.list(x)) return(lapply(unclass(x), kind_keras_array))
  kind_as_py_array(x)
}

# Counted from 1 in R and from 0 in Python; 0 and negative numbers stay.
kind_as_index <- function(x) {
  if (is.null(x) || is_python(x)) return(x)
  if (is.list(x)) return(lapply(unclass(x), kind_as_index))
  if (is.function(x)) {
    refuse("comparison (>) is possible only for atomic and list types")
  }
  whole <- x
  positive <- trunc(x - 0) > 0
  if (length(x) > 1L && anyNA(positive)) refuse("NAs are not allowed in subscripted assignments")
  shifted <- as.integer(x - 0) - ifelse(is.na(positive) | !positive, 0L, 1L)
  if (!is.null(dim(whole))) array(shifted, dim(whole)) else
    if (length(shifted) > 1L) as.array(shifted) else shifted
}

# Everything that shape() takes, with -1 for what is unknown.
kind_newshape <- function(x) {
  dims <- unclass(shape(x))
  do.call(tuple, lapply(dims, function(d) if (is.null(d)) -1L else d))
}

kind_target_shape <- function(x) {
  if (is.null(x)) return(tuple())
  if (is_python(x)) return(tuple(x))
  if (is.list(x) || is.numeric(x) || (is.logical(x) && all(is.na(x)))) {
    dims <- lapply(unname(as.list(x)), function(d) {
      d <- shape_dimension(d)
      if (is.null(d) || (length(d) == 1L && is.atomic(d) && is.na(d))) -1L else d
    })
    return(do.call(tuple, dims))
  }
  tuple(x)
}

# Below 1 a share, from 1 on a count.
kind_split_size <- function(x) {
  if (is.list(x) && !all(lengths(x) == 1L)) {
    refuse("'list' object cannot be coerced to type 'double'")
  }
  if (is.function(x) && !is_python(x)) {
    refuse("comparison (<) is possible only for atomic and list types")
  }
  if (is.null(x)) return(list())
  if (inherits(x, "keras_shape")) return(unclass(x))
  if (!is.double(x) || any(x < 1, na.rm = TRUE)) return(x)
  if (is.null(dim(x))) as.integer(x) else array(as.integer(x), dim(x))
}

kind_layers_list <- function(x) {
  if (is.null(x) || (is.list(x) && !is_python(x))) x else list(x)
}

# A list of one is that one.
kind_inputs_unlisted <- function(x) {
  if (is.list(x) && !is_python(x) && length(x) == 1L && is.null(names(x))) x[[1L]] else x
}

kind_loss_weights <- function(x) as.list(x)

kind_sequences <- function(x) lapply(as.list(x), as.list)

kind_class_weight <- function(x) class_weights(x)

kind_loss_value <- function(x) python_loss(x)

kind_metrics_list <- function(x) metric_list(x)

# A function of R becomes a class of constraints, and an instance of it.
kind_constraint <- function(x) {
  if (!is.function(x) || is_python(x) || is_wrapper(x) || is_class_wrapper(x)) return(python_for(x))
  name <- attr(x, "py_function_name", exact = TRUE)
  Constraint(if (is.null(name)) "CustomConstraint" else name, call = x)()
}

# Epochs and batches are counted from 1 in R.
kind_epoch_callback <- function(x) python_tools("kerastools.callback")$wrap_sig_idx_logs(x)

# Vectors of more than one element get a dimension.
kind_vector_as_array <- function(x) {
  if (is.atomic(x) && !is.factor(x) && is.null(dim(x)) && length(x) > 1L) as.array(x) else x
}

custom_object <- function(x) python_for(x)
no_custom_objects <- function() NULL
unlisted_custom_objects <- function() refuse("$ operator is invalid for atomic vectors")
