"""Whole cases: what must not be said of a script, and what is said instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest

from bridge.cases.case import Case
from bridge.pipeline.examine_case import Examined, Settings, Suite
from bridge.process.pool import Pool

pytestmark = [pytest.mark.r, pytest.mark.tf, pytest.mark.slow]

_MODEL: Final = (
    "library(keras3)\nm <- keras_model_sequential(input_shape = 2) |>\n"
    '  layer_dense(1, kernel_initializer = "ones")\n'
)
_FIT: Final = (
    'm |> compile(optimizer_sgd(0.1), "mse")\n'
    "h <- m |> fit(matrix(1, 4, 2), matrix(1, 4), epochs = 2, verbose = 0, callbacks = list(%s))\n"
)
_SCRIPTS: Final[Mapping[str, str]] = {
    "gone-in-keras-3": f'{_MODEL}m |> compile(optimizer_adam(0.5), "mse")\n'
    "m$optimizer$lr$assign(0.125)\n",
    "only-in-keras-3": 'library(keras)\nx <- tensorflow::tf$constant(c(-1, 1), "float32")\n'
    "print(as.array(tensorflow::tf$keras$ops$relu6(x)))\n",
    "only-in-tensorflow-1": "library(tensorflow)\na <- tf$placeholder(tf$float32)\n",
    "misspelled": f"{_MODEL}print(m$cuont_params())\n",
    "asked-and-caught": f'{_MODEL}print(tryCatch(m$nowhere, error = function(e) "none"))\n'
    "print(predict(m, matrix(1, 1, 2), verbose = 0))\n",
    "built-but-useless": "library(keras)\na <- layer_input(shape = list(NULL, 2))\n"
    "s <- layer_input(shape = 5)\n"
    "y <- layer_simple_rnn(units = 3)(a, initial_state = s)\n",
    "built-and-used": "library(keras)\nm <- keras_model_sequential() %>%\n"
    '  layer_dense(2, activation = "squareplus", input_shape = 3)\n',
    "schedule-returns-nothing": _MODEL
    + _FIT % "callback_learning_rate_scheduler(function(epoch, lr) invisible(NULL))",
    "whole-number-written": "library(tensorflow)\ny <- tf$constant(c(0L, 2L))\n"
    "print(as.array(tf$one_hot(y, 3)))\n",
    "named-metric": "library(keras)\nfar <- function(a, b) k_max(k_abs(a - b), axis = 2)\n"
    "m <- keras_model_sequential() %>%\n"
    '  layer_dense(1, input_shape = 2, kernel_initializer = "ones")\n'
    'm %>% compile("sgd", "mae", metrics = list(farthest = far))\n'
    "print(names(evaluate(m, matrix(1, 2, 2), c(0, 1), verbose = 0)))\n",
    "logs-written": 'library(keras3)\nGauge <- Callback("Gauge",\n'
    "  on_epoch_end = function(epoch, logs = NULL) { logs$gauge <- epoch })\n"
    f"{_MODEL}{_FIT % 'Gauge()'}print(names(h$metrics))\n",
    "noise": "library(keras)\na <- layer_input(shape = 3)\n"
    'y <- a %>% layer_dense(4, kernel_initializer = "ones") %>%\n'
    "  layer_lambda(function(z) z + k_random_normal(k_shape(z), stddev = 2e-7))\n"
    "m <- keras_model(a, y)\nx <- matrix(1, 5, 3)\n"
    "p <- predict(m, x, verbose = 0)\nq <- predict(m, x, verbose = 0)\n",
    "batches": "library(keras)\ntensorflow::set_random_seed(4)\nm <- keras_model_sequential() %>%\n"
    '  layer_dense(200, activation = "relu", input_shape = 300) %>% layer_dense(1)\n'
    "x <- matrix(sin(1:9000), 30)\np <- predict(m, x, batch_size = 1, verbose = 0)\n"
    "q <- predict(m, x, batch_size = 30, verbose = 0)\n",
    "base-r-in-the-stand-in": f'{_MODEL}print(get_layer(m, index = list("a", "b")))\n',
    "fraction-refused": "library(keras3)\nm <- keras_model_sequential(input_shape = 2) |>\n"
    '  layer_dense(units = 2.5, kernel_initializer = "ones")\n'
    "print(predict(m, matrix(1, 1, 2), verbose = 0))\n",
    "unknown-variable": "library(keras3)\nm <- keras_model_sequential(input_shape = 2)\n"
    "m |> layer_dense(units = how_many)\n",
}


@pytest.fixture(scope="module")
def examined(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Examined]:
    folder = tmp_path_factory.mktemp("honest")
    cases = []
    for name, text in _SCRIPTS.items():
        script = folder / f"{name}.R"
        script.write_text(text, "utf-8")
        cases.append(Case(name, script))
    with Suite(Settings(frontend="standin"), pool=pool) as suite:
        return {each.report.case: each for each in suite.examine(cases)}


@pytest.mark.parametrize(
    ("name", "cause", "said"),
    [
        ("gone-in-keras-3", "keras-version", "tf_keras 2"),
        ("only-in-keras-3", "keras-version", "keras 3"),
        ("only-in-tensorflow-1", "keras-version", "tf.compat.v1.placeholder"),
        ("misspelled", "user-script", "count_params"),
        ("built-but-useless", "user-script", "meet it alike"),
        ("built-and-used", "keras-version", "works with keras 3"),
        ("schedule-returns-nothing", "user-script", "should be a float"),
        ("whole-number-written", "r-conversion", "Python got 2=3.0"),
        ("named-metric", "none", ""),
        ("logs-written", "r-semantics", "R changes a copy of logs"),
        ("noise", "none", ""),
        ("batches", "rounding", "added in another order"),
        ("unknown-variable", "user-script", "Make how_many in a line before"),
        ("fraction-refused", "r-conversion", "the fraction was cut off"),
    ],
)
def test_the_cause_is_what_the_runs_show(
    examined: dict[str, Examined], name: str, cause: str, said: str
) -> None:
    report = examined[name].report
    assert report.cause == cause, report.sentence
    assert said in report.explanation[0]
    assert "reticulate refuses" not in report.explanation[0]


def test_an_error_that_the_script_catches_is_no_missing_attribute(
    examined: dict[str, Examined],
) -> None:
    assert examined["asked-and-caught"].report.cause == "none"


def test_a_call_that_python_repairs_is_one_that_the_script_writes(
    examined: dict[str, Examined],
) -> None:
    repaired = {
        name: any(each.rule == "E07" for each in examined[name].report.findings)
        for name in ("schedule-returns-nothing", "whole-number-written")
    }
    assert repaired == {"schedule-returns-nothing": False, "whole-number-written": True}


def test_what_only_the_stand_in_cannot_do_is_nobodys_fault(examined: dict[str, Examined]) -> None:
    report = examined["base-r-in-the-stand-in"].report
    assert (report.verdict, report.cause) == ("failed", "not-known")
    assert "does not serve this" in report.explanation[0]
