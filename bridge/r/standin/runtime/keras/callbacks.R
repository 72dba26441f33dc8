# The callback that the package itself adds to every fit.

# The real package adds a callback to every fit(), which keeps the metrics for its viewer. Ours
# has nothing to keep; it is there because its presence is seen at the boundary.
metrics_callback <- function() {
  nothing <- structure(function(...) NULL, py_function_name = "nothing")
  moments <- c("epoch_begin", "epoch_end", "batch_begin", "batch_end", "train_begin", "train_end",
               "train_batch_begin", "train_batch_end", "test_begin", "test_end",
               "test_batch_begin", "test_batch_end", "predict_begin", "predict_end",
               "predict_batch_begin", "predict_batch_end")
  args <- rep(list(nothing), length(moments))
  names(args) <- paste0("r_on_", moments)
  do.call(python_tools("kerastools.callback")$RCallback, c(list(r_set_context = nothing), args))
}

# A module of Python helpers that travel with this package.
python_tools <- function(module) {
  import_from_path(module, system.file("python", package = "keras"))
}
