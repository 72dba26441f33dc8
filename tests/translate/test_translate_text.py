"""The Python that an R text says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bridge.r.script import inspect
from bridge.translate.text import translate
from bridge.translate.writing import Translation

pytestmark = pytest.mark.r


def _translated(folder: Path, text: str) -> Translation:
    script = folder / "script.R"
    script.write_text(text, "utf-8")
    _, (found,) = inspect([script])
    made = translate(
        found.tree, script=script.name, package=found.package, generation=found.generation
    )
    compile(made.text, "script.py", "exec")
    return made


def test_fractions_and_axes_are_those_of_the_text(tmp_path: Path) -> None:
    text = _translated(
        tmp_path,
        "library(keras3)\nm <- keras_model_sequential(input_shape = 2) |> layer_dense(3.7)\n"
        "l <- layer_concatenate(axis = 1)\n",
    ).text
    assert "keras.layers.Dense(units=3.7)" in text
    assert "keras.layers.Concatenate(axis=1)" in text
    assert "keras.Input(shape=(2,))" in text


def test_what_is_not_translated_is_a_gap_with_its_line(tmp_path: Path) -> None:
    made = _translated(tmp_path, "library(keras)\n\nfit <- lm(y ~ x)\n")
    assert [(gap.line, gap.script) for gap in made.gaps] == [(3, "script.R")]
    assert "# GAP script.R:3: the function lm()" in made.text


def test_every_line_of_python_knows_its_line_of_r(tmp_path: Path) -> None:
    made = _translated(tmp_path, "library(keras)\n\n\nx <- c(1, 2)\n")
    number = made.text.splitlines().index("x = np.array([1.0, 2.0])")
    assert made.lines[number] == 4


def test_a_function_of_a_loop_keeps_its_round_and_that_is_told(tmp_path: Path) -> None:
    made = _translated(
        tmp_path, "library(keras)\nf <- list()\nfor (i in 1:3) f[[i]] <- function(x) x * i\n"
    )
    assert "*, i=i" in made.text
    assert [each.cause for each in made.readings] == ["r-semantics"]


def test_a_variable_hides_no_function_of_its_name(tmp_path: Path) -> None:
    made = _translated(
        tmp_path,
        "library(keras)\nhist(c(1, 2))\nhist <- 3\nc <- 4\nt <- rnorm(2)\nrnorm <- c(c, 2)\n"
        "relu <- k_relu\nprint(relu(rnorm(1)))\nrunif <- function(n) n\nprint(runif(1))\n",
    )
    assert not made.gaps
    assert "hist(" not in made.text
    assert "rnorm = np.array([c, 2.0])" in made.text
    assert "r.drawn('rnorm', 1.0)" in made.text
    assert "relu(r.drawn(" in made.text
    assert "runif(1.0)" in made.text


def test_a_null_that_c_drops_is_meant(tmp_path: Path) -> None:
    made = _translated(tmp_path, "library(keras)\nx <- layer_input(batch_shape = c(NULL, 3))\n")
    assert "batch_shape=(None, 3)" in made.text


_VALUES = (
    ("x <- 1:6 * 2; x[-1]", [4, 6, 8, 10, 12]),
    ("x <- matrix(1:6, 2); t(x)[3, 2]", [6]),
    ("x <- seq(0, 1, by = 0.25); x[x > 0.3]", [0.5, 0.75, 1]),
    ("x <- sapply(1:4, function(i) i^2); rev(x)", [16, 9, 4, 1]),
    ("f <- function(a, b = a + 1) a * b; f(b = 2, 5)", [10]),
    ("x <- 0; for (i in 3:1) x <- x * 10 + i; x", [321]),
    ("x <- c(5, 3, 9); x[2] <- 7; cumsum(x)", [5, 12, 21]),
    ("x <- list(a = 1, b = c(2, 3)); x$b[2]", [3]),
    ("x <- if (7 %% 2 == 1) 7 %/% 2 else 0; x", [3]),
    ("x <- do.call(rbind, list(1:2, 3:4)); x[, 2]", [2, 4]),
    ("tryCatch(stop('no'), error = function(e) 4)", [4]),
    ("x <- array(1:8, c(2, 2, 2)); apply(x[, , 1], 1, sum)", None),
)


@pytest.mark.parametrize(("code", "wanted"), _VALUES)
def test_r_and_the_translation_give_the_same_numbers(
    tmp_path: Path, code: str, wanted: list[float] | None
) -> None:
    made = _translated(tmp_path, f"library(keras)\n{code}\n")
    assert not made.gaps
    if wanted is None:
        return
    lines = [
        line for line in made.text.splitlines() if not line.startswith(("import t", "import k"))
    ]
    last = next(n for n in range(len(lines) - 1, -1, -1) if lines[n].strip())
    inner = lines[last].removeprefix("r.shown(").removesuffix(")") if lines[last].startswith(
        "r.shown(") else lines[last]  # fmt: skip
    lines[last] = f"_value = {inner}"
    names: dict[str, object] = {}
    exec("\n".join(lines), names)
    assert np.ravel(names["_value"]).tolist() == wanted  # type: ignore[call-overload]


def test_methods_of_the_script_are_found_by_the_class_of_a_list(tmp_path: Path) -> None:
    made = _translated(
        tmp_path,
        "library(keras)\n"
        "area <- function(shape, ...) UseMethod('area')\n"
        "area.square <- function(shape, times = 1) shape$side^2 * times\n"
        "area.default <- function(shape, ...) 0\n"
        "summary.square <- function(object, ...) object$side\n"
        "a <- structure(list(side = 3), class = c('square', 'shape'))\n"
        "b <- list(side = 2)\nclass(b) <- 'other'\n"
        "d <- c(area(a, times = 2), area(b), summary(a))\n"
        "e <- inherits(a, 'shape')\n",
    )
    assert not made.gaps
    names: dict[str, object] = {}
    skipped = ("import tensorflow", "import tf_keras")
    lines = [line for line in made.text.splitlines() if not line.startswith(skipped)]
    exec("\n".join(lines), names)
    assert np.ravel(names["d"]).tolist() == [18, 0, 3]  # type: ignore[call-overload]
    assert names["e"] is True


_CLASSES = """library(keras3)
gate <- Layer("Gate",
  initialize = function(units, ...) {
    super$initialize(...)
    self$units <- as.integer(units)
  },
  build = function(input_shape) {
    self$w <- self$add_weight(shape = shape(input_shape[[2]], self$units))
  },
  call = function(inputs) op_sum(inputs, axis = 2)
)
log <- R6::R6Class("Log", inherit = KerasCallback, public = list(
  seen = NULL,
  on_epoch_end = function(epoch, logs = NULL) logs$mine <- epoch
))
watch <- log$new()
i <- keras_input(shape = 3)
o <- i |> gate(units = 2)
"""


def test_a_class_of_keras_is_a_class_of_python(tmp_path: Path) -> None:
    text = _translated(tmp_path, _CLASSES).text
    assert "class Gate(keras.layers.Layer):" in text
    assert "gate = Gate\n" in text
    assert "super().__init__(*dots, **more)" in text
    assert "self.units = r.as_integer(units)" in text
    assert "axis=r.axis(2)" in text
    assert "class Log(keras.callbacks.Callback):" in text
    assert "watch = log()" in text
    assert "o = r.compose(i, gate(units=2))" in text or "r.compose(i, gate(units=2.0))" in text


def test_what_python_gave_is_changed_where_it_is_and_that_is_told(tmp_path: Path) -> None:
    made = _translated(tmp_path, _CLASSES)
    assert "logs = r.changed(logs, epoch, 'mine')" in made.text
    assert [each.kind for each in made.readings] == ["copied"]


def test_a_list_of_layers_is_what_a_model_is_made_of_wherever_it_stands(tmp_path: Path) -> None:
    text = _translated(
        tmp_path,
        "library(keras3)\nm <- keras_model_sequential(list(layer_dense(units = 2)))\n"
        "n <- keras_model_sequential(list(2, 3))\n",
    ).text
    assert "m = keras.Sequential([keras.layers.Dense(units=2)])" in text
    assert "n = keras.Sequential([keras.Input(shape=(2, 3))])" in text


def test_callbacks_of_keras3_count_epochs_from_one(tmp_path: Path) -> None:
    text = _translated(
        tmp_path,
        "library(keras3)\nwatch <- Callback('Watch', on_epoch_end = function(epoch, logs = NULL)\n"
        "  cat(epoch), on_train_end = function(logs = NULL) cat('end'))\n",
    ).text
    assert "epoch = epoch + 1" in text
    assert "logs = logs + 1" not in text
