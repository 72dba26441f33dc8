"""Edits of scripts: the place is found by R's own syntax tree, where it is the only one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bridge.r.script import inspect
from bridge.translate.script_text import Cut, ScriptText, edited, shown
from tests.rules.samples import needs_r

pytestmark = [pytest.mark.r, needs_r]

SCRIPT = """\
library(keras3)
# layer_dense(9, activation = "softmax")
x <- matrix(1, 2, 2); y <- 1:2
m <- keras_model_sequential(input_shape = 2) |> layer_dense(8, "tanh") |>
\tlayer_dense(units = 3L, activation = "softmax")
n <- m %>% keras3::layer_dense(1)
a <- layer_dense(m, 1); b <- layer_dense(m, 2)
compile(m, loss = "mse", optimizer = optimizer_sgd(0.1, momentum = 0.9))
m |> fit(x, y,
         epochs = 2)
f()
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> ScriptText:
    path = tmp_path_factory.mktemp("r") / "x.R"
    path.write_text(SCRIPT, "utf-8")
    return ScriptText(SCRIPT, inspect([path])[1][0].tree)


@pytest.mark.parametrize(
    ("edit", "before", "after"),
    [
        (
            lambda s: s.set_argument("layer_dense", 5, "activation", '"relu"', "softmax"),
            'layer_dense(units = 3L, activation = "softmax")',
            'layer_dense(units = 3L, activation = "relu")',
        ),
        (
            lambda s: s.set_argument("layer_dense", 4, "activation", '"relu"', "tanh"),
            'm <- keras_model_sequential(input_shape = 2) |> layer_dense(8, "tanh") |>',
            'm <- keras_model_sequential(input_shape = 2) |> layer_dense(8, "relu") |>',
        ),
        (
            lambda s: s.set_argument("layer_dense", 6, "activation", '"relu"'),
            "n <- m %>% keras3::layer_dense(1)",
            'n <- m %>% keras3::layer_dense(1, activation = "relu")',
        ),
        (
            lambda s: s.set_number("layer_dense", 5, "units", "7"),
            'layer_dense(units = 3L, activation = "softmax")',
            'layer_dense(units = 7, activation = "softmax")',
        ),
        (
            lambda s: s.set_number("optimizer_sgd", 8, "learning_rate", "0.01"),
            'compile(m, loss = "mse", optimizer = optimizer_sgd(0.1, momentum = 0.9))',
            'compile(m, loss = "mse", optimizer = optimizer_sgd(0.01, momentum = 0.9))',
        ),
        (
            lambda s: s.step_before("layer_dense", 6, "layer_flatten()"),
            "n <- m %>% keras3::layer_dense(1)",
            "n <- m %>% layer_flatten() %>% keras3::layer_dense(1)",
        ),
        (
            lambda s: s.set_argument("f", 11, "a", "1"),
            "f()",
            "f(a = 1)",
        ),
        (
            lambda s: s.line_before(10, "x <- scale(x)"),
            "m |> fit(x, y,",
            "x <- scale(x)\nm |> fit(x, y,",
        ),
        (
            lambda s: s.replace_call("f", 11, "g(1)"),
            "f()",
            "g(1)",
        ),
    ],
)
def test_an_edit_changes_what_it_names(
    script: ScriptText, edit: Callable[[ScriptText], Cut], before: str, after: str
) -> None:
    found = edit(script)
    assert shown(SCRIPT, [found]) == (before, after)
    assert edited(SCRIPT, [found]) == SCRIPT.replace(before, after)


@pytest.mark.parametrize(
    "edit",
    [
        # Two calls in the line, none in it, one in a comment, another value, one that has it.
        lambda s: s.set_argument("layer_dense", 7, "activation", '"relu"'),
        lambda s: s.set_argument("layer_dense", 3, "activation", '"relu"'),
        lambda s: s.set_argument("layer_dense", 2, "activation", '"relu"', "softmax"),
        lambda s: s.set_argument("layer_dense", 5, "activation", '"relu"', "sigmoid"),
        lambda s: s.step_before("f", 11, "layer_flatten()"),
        lambda s: s.line_before(2, "x <- 1"),
    ],
)
def test_what_is_not_the_only_place_is_not_edited(
    script: ScriptText, edit: Callable[[ScriptText], Cut | None]
) -> None:
    assert edit(script) is None


def test_the_names_of_what_is_given_are_known(script: ScriptText) -> None:
    assert script.symbols("fit", 9) == ["x", "y", ""]
    assert script.symbols("layer_dense", 7) == []


def test_edits_are_made_together() -> None:
    assert edited("abcdef", [Cut(4, 5, "X"), Cut(0, 1, ""), Cut(0, 2, "lost")]) == "bcdXf"
