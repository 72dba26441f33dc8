"""Whole cases: what is named when R and the Python of its text part, and that nothing else is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest

from bridge.cases.case import Case
from bridge.pipeline.examine_case import Examined, Settings, Suite
from bridge.process.pool import Pool

pytestmark = [pytest.mark.r, pytest.mark.tf, pytest.mark.slow]


_SCRIPTS: Final[Mapping[str, str]] = {
    "fraction": "library(keras)\nm <- keras_model_sequential(input_shape = 2) %>%\n"
    '  layer_dense(1, kernel_initializer = "ones", kernel_constraint = constraint_maxnorm(0.5))\n'
    'm %>% compile("sgd", "mse")\nm %>% fit(matrix(1, 2, 2), c(1, 1), epochs = 1, verbose = 0)\n'
    "print(predict(m, matrix(1, 1, 2), verbose = 0))\n",
    "shape-of-a-vector": "library(keras)\nv <- c(1, 2, 3, 4, 5, 6)\ndim(v) <- c(2, 3)\n"
    "m <- keras_model_sequential(input_shape = 3) %>%\n"
    '  layer_dense(1, kernel_initializer = "ones")\nprint(predict(m, v, verbose = 0))\n',
    "array-written-inline": "library(keras)\nx <- array(1:12 / 2, dim = c(2, 3, 2))\n"
    "m <- keras_model_sequential(input_shape = c(3, 2)) %>% layer_flatten() %>%\n"
    '  layer_dense(1, kernel_initializer = "ones")\nprint(predict(m, x, verbose = 0))\n',
    "matrix-algebra": "library(keras)\nx <- matrix(c(2, 7, 1, 8, 2, 8, 1, 8, 2), 3)\n"
    "m <- keras_model_sequential(input_shape = 3) %>%\n"
    '  layer_dense(1, kernel_initializer = "ones")\n'
    "z <- t(t(x) - colMeans(x))\nprint(predict(m, z - c(1, 2, 3), verbose = 0))\n"
    'print(predict(m, sweep(x, 2, c(1, 2, 3), "*"), verbose = 0))\n',
    "closure": "library(keras)\ni <- layer_input(shape = 1)\nparts <- list()\n"
    "for (k in 1:2) parts[[k]] <- i %>% layer_lambda(function(x) x * k)\n"
    "m <- keras_model(i, layer_concatenate(parts))\nprint(predict(m, matrix(5), verbose = 0))\n",
    "type-refused": "library(tensorflow)\nx <- tf$constant(c(1, 2, 3, 4))\n"
    'y <- tryCatch(tf$reshape(x, c(2, 2)), error = function(e) "refused")\nprint(y)\n',
    "counted": "library(keras3)\nx <- op_convert_to_tensor(matrix(c(1, 9, 5, 2), 2))\n"
    "print(as.array(op_argmax(x, axis = 2)))\n",
    "counted-as-r": "library(keras3)\na <- keras_input(2)\nb <- keras_input(2)\n"
    'half <- layer_dense(units = 2, kernel_initializer = "ones")\n'
    "m <- keras_model(list(a, b), layer_dot(list(half(a), half(b)), axes = 2))\n"
    "x <- matrix(1:4 / 4, 2)\nprint(predict(m, list(x, x), verbose = 0))\n"
    "print(as.array(op_sum(op_convert_to_tensor(x), axis = 2)))\n",
    "weights-of-classes": "library(keras)\ntensorflow::set_random_seed(21)\n"
    "x <- cbind(sin(1:16), cos(1:16))\ny <- as.numeric(sin(1:16) > 0.3)\n"
    "m <- keras_model_sequential()\nm %>% layer_dense(3, input_shape = 2) %>%\n"
    '  layer_dense(1, activation = "sigmoid")\nm %>% compile("sgd", "binary_crossentropy")\n'
    "h <- m %>% fit(x, y, epochs = 1, class_weight = list(1, 4), verbose = 0)\n"
    "print(h$metrics$loss)\n",
    "nested-layers": "library(keras3)\nset_random_seed(6)\nx <- array(cos(1:24), c(3, 4, 2))\n"
    "m <- keras_model_sequential(input_shape = c(4, 2)) |>\n"
    "  layer_bidirectional(layer_lstm(units = 3, return_sequences = TRUE)) |>\n"
    "  layer_bidirectional(layer_gru(units = 2)) |> layer_dense(1)\n"
    "print(predict(m, x, verbose = 0))\n",
    "fields-of-r6": "library(keras)\n"
    'Gate <- R6::R6Class("Gate", inherit = KerasLayer, public = list(\n  dense = NULL,\n'
    "  build = function(input_shape) {\n"
    '    self$dense <- layer_dense(units = 3, kernel_initializer = "ones")\n  },\n'
    "  call = function(x, mask = NULL) x * self$dense(x)))\n"
    "i <- layer_input(shape = 3)\nm <- keras_model(i, create_layer(Gate, i, list()))\n"
    'm %>% compile(optimizer_sgd(0.1), "mse")\n'
    "m %>% fit(matrix(1, 4, 3), matrix(0, 4, 3), epochs = 1, verbose = 0)\n"
    'cat(count_params(m), "parameters\\n")\nprint(predict(m, matrix(1, 1, 3), verbose = 0))\n',
    "draws-when-needed": "library(keras)\nset.seed(4)\n"
    "bump <- function(at, height) height * exp(-(seq_len(6) - at)^2)\n"
    "x <- t(replicate(5, bump(runif(1, 2, 5), runif(1)) + bump(runif(1, 1, 6), runif(1))))\n"
    "noise <- function(n, level) rnorm(n) * level\nz <- noise(5, runif(1))\n"
    "m <- keras_model_sequential() %>%\n"
    '  layer_dense(1, input_shape = 6, kernel_initializer = "ones")\n'
    "print(predict(m, x + z, verbose = 0))\n",
    "fields-without-layers": "library(keras)\n"
    'Scale <- R6::R6Class("Scale", inherit = KerasLayer, public = list(\n'
    "  by = 2, kernel = NULL,\n  build = function(input_shape) {\n"
    '    self$kernel <- self$add_weight(name = "kernel", shape = list(3L), initializer = "ones")\n'
    "  },\n  call = function(x, mask = NULL) x * self$kernel * self$by))\n"
    "i <- layer_input(shape = 3)\nm <- keras_model(i, create_layer(Scale, i, list()))\n"
    'm %>% compile(optimizer_sgd(0.1), "mse")\n'
    "m %>% fit(matrix(1, 4, 3), matrix(0, 4, 3), epochs = 1, verbose = 0)\n"
    'cat(count_params(m), "parameters\\n")\nprint(predict(m, matrix(1, 1, 3), verbose = 0))\n',
    "ordinary": "library(keras3)\nset_random_seed(4)\nset.seed(4)\nx <- matrix(rnorm(24), 8)\n"
    'y <- as.numeric(x[, 1] > 0)\nm <- keras_model_sequential(input_shape = 3) |>\n'
    '  layer_dense(4, activation = "relu") |> layer_dense(1, activation = "sigmoid")\n'
    'm |> compile(optimizer_adam(0.01), "binary_crossentropy", metrics = "accuracy")\n'
    "h <- m |> fit(x, y, epochs = 2, batch_size = 4, verbose = 0)\n"
    "e <- m |> evaluate(x, y, verbose = 0)\nprint(round(unlist(e), 3))\n"
    "print(apply(predict(m, x, verbose = 0), 2, mean))\n",
}  # fmt: skip

_CAUSES: Final[Mapping[str, tuple[str, str]]] = {
    "fraction": ("different", "r-conversion"),
    "shape-of-a-vector": ("different", "r-semantics"),
    "closure": ("different", "r-semantics"),
    "type-refused": ("different", "r-conversion"),
    "weights-of-classes": ("different", "r-conversion"),
    "nested-layers": ("different", "r-semantics"),
    "fields-of-r6": ("different", "r-semantics"),
}


@pytest.fixture(scope="module")
def examined(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Examined]:
    folder = tmp_path_factory.mktemp("causes")
    cases = []
    for name, text in _SCRIPTS.items():
        script = folder / f"{name}.R"
        script.write_text(text, "utf-8")
        cases.append(Case(name, script))
    with Suite(Settings(frontend="standin"), pool=pool) as suite:
        return {each.report.case: each for each in suite.examine(cases)}


@pytest.mark.parametrize("name", _CAUSES)
def test_a_cause_is_named_where_undoing_it_takes_the_difference_away(
    examined: dict[str, Examined], name: str
) -> None:
    report = examined[name].report
    assert (report.verdict, report.cause) == _CAUSES[name]


@pytest.mark.parametrize("name", [
    "array-written-inline", "matrix-algebra", "draws-when-needed", "fields-without-layers",
    "counted-as-r", "ordinary",
])  # fmt: skip
def test_ordinary_scripts_agree_and_nothing_is_blamed(
    examined: dict[str, Examined], name: str
) -> None:
    report = examined[name].report
    assert report.verdict in ("same-bits", "within-rounding"), report.sentence
    assert report.cause == "none"


def test_a_place_that_counts_from_one_is_told(examined: dict[str, Examined]) -> None:
    assert examined["counted"].report.cause == "r-index-base"
