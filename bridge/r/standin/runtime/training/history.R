# What fit() returns: the parameters of the run and one series a metric.

training_history <- function(history) {
  structure(
    list(params = history$params, metrics = lapply(history$history, as.numeric)),
    class = "keras_training_history")
}

#' @method print keras_training_history
print.keras_training_history <- function(x, ...) {
  epochs <- min(x$params$epochs, length(x$metrics[[1L]]))
  last <- lapply(x$metrics, function(series) series[[epochs]])
  labels <- formatC(names(last), width = max(nchar(names(last))))
  values <- prettyNum(last, big.mark = ",", digits = 4, scientific = FALSE)
  cat("\nFinal epoch (plot to see history):\n",
      paste0(labels, ": ", values, collapse = "\n"), " \n", sep = "")
}

#' @method as.data.frame keras_training_history
as.data.frame.keras_training_history <- function(x, ...) {
  names <- names(x$metrics)
  planned <- max(lengths(x$metrics), 0L)
  if (!is.null(x$params$epochs)) planned <- max(planned, x$params$epochs)
  values <- lapply(x$metrics, function(series) c(series, rep(NA_real_, planned - length(series))))
  data.frame(
    epoch = rep(seq_len(planned), length(names)),
    value = unlist(values, use.names = FALSE),
    metric = factor(rep(sub("^val_", "", names), each = planned),
                    levels = unique(sub("^val_", "", names))),
    data = factor(rep(ifelse(grepl("^val_", names), "validation", "training"), each = planned),
                  levels = c("training", "validation")))
}

#' @method plot keras_training_history
plot.keras_training_history <- function(x, y, ...) {
  data <- as.data.frame(x)
  metrics <- levels(data$metric)
  old <- graphics::par(mfrow = c(length(metrics), 1L), mar = c(4, 4, 1, 1))
  on.exit(graphics::par(old))
  for (metric in metrics) {
    rows <- data[data$metric == metric & !is.na(data$value), , drop = FALSE]
    graphics::plot(rows$epoch, rows$value, type = "n", xlab = "epoch", ylab = metric, ...)
    for (part in levels(data$data)) {
      series <- rows[rows$data == part, , drop = FALSE]
      colour <- if (part == "training") "black" else "red"
      graphics::lines(series$epoch, series$value, col = colour)
      graphics::points(series$epoch, series$value, col = colour)
    }
  }
  invisible(x)
}
