"""R's functions, classes, generators and files are made again without R, with the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from bridge.capsule import Capsule
from bridge.compare.stages import compare_runs
from bridge.process.pool import Limits, Pool
from bridge.r.script import inspect, serve
from bridge.runs.r import run_r
from bridge.runs.replay import run_replay
from bridge.translate.replayed import replayed

pytestmark = [pytest.mark.r, pytest.mark.tf]

KERAS_2: Final = {
    "a loss and a metric": """
        off <- function(y_true, y_pred) k_mean(k_abs(y_true - y_pred), axis = -1)
        bias <- custom_metric("bias", function(y_true, y_pred) k_mean(y_pred - y_true))
        m <- keras_model_sequential() %>% layer_dense(3, "relu", input_shape = 2) %>% layer_dense(1)
        m %>% compile(optimizer_sgd(0.1), off, metrics = list(bias))
        h <- m %>% fit(x, y, epochs = 2, batch_size = 4, verbose = 0)
        print(h$metrics)
    """,
    "a lambda layer": """
        a <- layer_input(2)
        out <- a %>% layer_lambda(function(z) z * 2 + k_sum(z, axis = 2, keepdims = TRUE))
        m <- keras_model(a, out %>% layer_dense(1))
        print(predict(m, x, verbose = 0))
    """,
    "callbacks that act": """
        n <- 0
        stops <- callback_lambda(on_epoch_end = function(epoch, logs) {
          n <<- n + 1
          if (n == 2) m$stop_training <- TRUE
        })
        rate <- callback_learning_rate_scheduler(function(epoch, lr) 0.1 / (1 + epoch))
        m <- keras_model_sequential() %>% layer_dense(1, input_shape = 2)
        m %>% compile(optimizer_sgd(0.1), "mse")
        h <- m %>% fit(x, y, epochs = 9, verbose = 0, callbacks = list(stops, rate))
        print(h$metrics$loss)
    """,
    "a class of layers": """
        layer_gain <- new_layer_class("Gain",
          initialize = function(start = 1, ...) { super$initialize(...); self$start <- start },
          build = function(input_shape) {
            self$g <- self$add_weight(name = "g", shape = shape(2), initializer =
                                        initializer_constant(self$start), trainable = TRUE)
          },
          call = function(inputs) inputs * self$g)
        m <- keras_model_sequential() %>% layer_gain(3, input_shape = 2) %>% layer_dense(1)
        m %>% compile("sgd", "mse")
        m %>% fit(x, y, epochs = 2, verbose = 0)
        print(predict(m, x, verbose = 0))
    """,
    "a generator": """
        i <- 0
        batches <- function() { i <<- i + 1; list(x[i %% 4 + 1:4, ], y[i %% 4 + 1:4]) }
        m <- keras_model_sequential() %>% layer_dense(1, input_shape = 2)
        m %>% compile("sgd", "mse")
        h <- m %>% fit(batches, steps_per_epoch = 3, epochs = 2, verbose = 0)
        print(h$metrics$loss)
    """,
    "files": """
        m <- keras_model_sequential() %>% layer_dense(1, input_shape = 2)
        m %>% compile("sgd", "mse")
        saved <- callback_model_checkpoint("at{epoch:02d}.h5", save_weights_only = TRUE)
        m %>% fit(x, y, epochs = 2, verbose = 0, callbacks = list(saved))
        whole <- tempfile(fileext = ".h5")
        save_model_hdf5(m, whole)
        m %>% load_model_weights_hdf5("at01.h5")
        print(predict(m, x, verbose = 0))
        print(predict(load_model_hdf5(whole), x, verbose = 0))
    """,
}
KERAS_3: Final = {
    "a loss": """
        off <- function(y_true, y_pred) op_mean(op_square(y_true - y_pred), axis = -1)
        m <- keras_model_sequential(input_shape = 2) |> layer_dense(1)
        m |> compile("sgd", off)
        h <- m |> fit(x, y, epochs = 2, batch_size = 4, verbose = 0)
        print(h$metrics)
    """,
    "a class of layers that holds layers": """
        layer_block <- Layer("Block",
          initialize = function(units, ...) {
            super$initialize(...)
            self$inner <- layer_dense(units = units, activation = "relu")
          },
          call = function(inputs, training = FALSE) self$inner(inputs) + 1)
        m <- keras_model_sequential(input_shape = 2) |> layer_block(3) |> layer_dense(1)
        print(length(m$trainable_weights))
        print(predict(m, x, verbose = 0))
    """,
    "a callback": """
        Halve <- Callback("Halve", on_epoch_end = function(epoch, logs = NULL) {
          self$model$optimizer$learning_rate <- as.numeric(self$model$optimizer$learning_rate) / 2
        })
        m <- keras_model_sequential(input_shape = 2) |> layer_dense(1)
        m |> compile(optimizer_sgd(0.1), "mse")
        h <- m |> fit(x, y, epochs = 3, verbose = 0, callbacks = list(Halve()))
        print(h$metrics$loss)
    """,
    "a generator": """
        i <- 0
        batches <- function() { i <<- i + 1; list(x[i %% 4 + 1:4, ], y[i %% 4 + 1:4]) }
        m <- keras_model_sequential(input_shape = 2) |> layer_dense(1)
        m |> compile("sgd", "mse")
        h <- m |> fit(batches, steps_per_epoch = 3, epochs = 2, verbose = 0)
        print(h$metrics$loss)
    """,
    "arithmetic of tensors": """
        i <- keras_input(2)
        o <- (i * 2 + 1) / 3 - i^2
        print(predict(keras_model(i, list(-o, 2 - o)), x, verbose = 0))
    """,
    "files": """
        m <- keras_model_sequential(input_shape = 2) |> layer_dense(1)
        dir.create("models")
        save_model(m, "models/m.keras")
        print(predict(load_model("models/m.keras"), x, verbose = 0))
    """,
}
CASES: Final = [
    *(pytest.param("keras", text, id=f"keras: {name}") for name, text in KERAS_2.items()),
    *(pytest.param("keras3", text, id=f"keras3: {name}") for name, text in KERAS_3.items()),
]


def runs(pool: Pool, folder: Path, package: str, text: str) -> tuple[Capsule, Capsule]:
    script = folder / "case.R"
    head = f"library({package})\n"
    data = "x <- matrix(1:16 / 16, 8); y <- x[, 1] - x[, 2]\ntensorflow::set_random_seed(4)\n"
    script.write_text(head + data + text, "utf-8")
    installed, (inspection,) = inspect([script])
    served = serve(inspection.package, "standin", installed)
    r = run_r(pool, "case", script, inspection, served, Limits())
    return r, run_replay(pool, r, inspection.generation, Limits())


@pytest.mark.parametrize(("package", "text"), CASES)
def test_it_is_made_again_with_the_same_bits(
    pool: Pool, tmp_path: Path, package: str, text: str
) -> None:
    r, made = runs(pool, tmp_path, package, text)
    assert (r.manifest.status, made.manifest.status) == ("ok", "ok")
    assert made.manifest.gaps == ()
    pair = compare_runs(r, made)
    assert (pair.verdict, pair.detail) == ("same-bits", "")
    assert replayed(r, 1).gaps == ()


def test_layers_that_live_in_r_alone_are_trained_by_neither(pool: Pool, tmp_path: Path) -> None:
    r, made = runs(
        pool,
        tmp_path,
        "keras3",
        """
        inner <- NULL
        layer_hidden <- Layer("Hidden", call = function(inputs) {
          if (is.null(inner)) inner <<- layer_dense(units = 2, kernel_initializer = "ones")
          inner(inputs)
        })
        m <- keras_model_sequential(input_shape = 2) |> layer_hidden() |> layer_dense(1)
        cat("trained:", length(m$trainable_weights), "\\n")
        """,
    )
    assert "trained: 2" in "".join(each.text for each in r.manifest.output)
    assert compare_runs(r, made).verdict == "same-bits"
