"""Where R answers for an expression, and how far its place reaches."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.r.script import inspect
from bridge.translate.text import translate
from bridge.translate.writing import Translation

pytestmark = pytest.mark.r

_MODEL = (
    "m <- keras_model_sequential(input_shape = 2) |> layer_dense(1)\n"
    "x <- matrix(1:4, 2); g <- c(1, 2); y <- c(3, 4)\n"
)


def _translated(folder: Path, text: str) -> Translation:
    script = folder / "script.R"
    script.write_text(f"library(keras3)\n{_MODEL}{text}", "utf-8")
    _, (found,) = inspect([script])
    made = translate(found.tree, script=script.name, package="keras3", generation=3)
    compile(made.text, "script.py", "exec")
    return made


def _answered(made: Translation) -> list[str]:
    return [line.strip() for line in made.text.splitlines() if "r.answer(" in line]


@pytest.mark.parametrize(
    "text",
    [
        "p <- predict(m, rowsum(x, g), verbose = 0)\n",
        "p <- predict(m, rowsum(x, g)[1:3, ], verbose = 0)\n",
        "p <- rowsum(x, g) |> predict(object = m)\n",
        "f <- function(x, g) {\n  z <- rowsum(x, g)\n  predict(m, z)\n}\n",
        "for (i in rev(rapply(x, sum))) fit(m, x[i], y[i])\n",
        "fit(m, x, y, epochs = max(2, rapply(x, sum)))\n",
    ],
)
def test_beside_a_call_of_python_r_answers_for_the_expression_alone(
    tmp_path: Path, text: str
) -> None:
    made = _translated(tmp_path, text)
    assert len(made.places) == 1
    assert len(_answered(made)) == 1
    assert not made.gaps


@pytest.mark.parametrize(
    "text",
    [
        # No call of Python: R answers for the statement, and nothing is watched.
        "z <- rowsum(x, g)\n",
        # The value of a function, whose visibility counts.
        "f <- function(x, g) {\n  predict(m, x)\n  rowsum(x, g)\n}\n",
        # A default is no part of what is evaluated in order.
        "f <- function(x, g = c(rowsum(x, 1))) predict(m, x)\n",
        # Python is called inside.
        "z <- rowsum(predict(m, x), g)\n",
        # It is looked at as it is written.
        "f <- function(x, g) {\n  predict(m, x)\n  stopifnot(rowsum(x, g) > 0)\n}\n",
    ],
)
def test_where_nothing_may_be_watched_there_is_a_gap(tmp_path: Path, text: str) -> None:
    made = _translated(tmp_path, text)
    assert not made.places
    assert len(made.gaps) == 1


def test_a_place_widens_over_what_names_its_columns_by_the_text(tmp_path: Path) -> None:
    made = _translated(tmp_path, "p <- predict(m, as.matrix(data.frame(rowsum(x, g))))\n")
    assert len(made.places) == 1
    assert "data_frame" not in made.text
    named = _translated(tmp_path, "p <- predict(m, as.matrix(data.frame(a = rowsum(x, g))))\n")
    assert "data_frame(a=r.answer(" in named.text


def test_a_function_in_which_r_alone_computes_is_answered_as_one(tmp_path: Path) -> None:
    made = _translated(
        tmp_path, "prep <- function(x) rowsum(x, c(1, 1))\np <- predict(m, prep(x))\n"
    )
    assert len(made.places) == 1
    assert "p = r.back(m.predict(x=r.data(r.answer(" in made.text


def test_axes_are_counted_from_one_in_functions_that_python_calls(tmp_path: Path) -> None:
    made = _translated(
        tmp_path,
        "own <- function(y_true, y_pred) op_mean(y_pred, axis = 2)\n"
        "far <- function(q) function(y_true, y_pred) op_max(y_pred, axis = -1)\n"
        "compile(m, loss = own, metrics = list(far(1)), optimizer = 'sgd')\n"
        "near <- op_mean(op_ones(c(2, 3)), axis = 2)\n",
    )
    assert "axis=r.axis(2)" in made.text
    assert "axis=r.axis(-1)" in made.text
    assert "axis=2)" in made.text.splitlines()[-1]
