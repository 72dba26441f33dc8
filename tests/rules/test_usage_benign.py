"""Ordinary scripts, in which nothing surprises: no rule of usage may name a cause for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from bridge.capsule import Capsule, Manifest
from bridge.r.script import inspect
from bridge.rules.rule import Finding
from bridge.translate.syntax import Row
from tests.rules.samples import answers

pytestmark = pytest.mark.r

#: What the text does, and the calls of it that reached Python: name, line, the object.
_SEQUENTIAL: Final = ("Sequential", 1, 0)
_BENIGN: Final[dict[str, tuple[str, list[tuple[str, int, int]]]]] = {
    "a history is no second name of a model": (
        "model <- keras_model_sequential() |> layer_dense(1)\n"
        "history <- model |> fit(x, y, epochs = 2)\n"
        "p <- model |> predict(x)\n"
        "plot(history)\n",
        [_SEQUENTIAL, ("add", 1, 1), ("fit", 2, 1), ("predict", 3, 1)],
    ),
    "a loss of a batch is no second name of a model": (
        "m <- keras_model_sequential(1)\nloss <- train_on_batch(m, x, y)\nprint(predict(m, x))\n",
        [_SEQUENTIAL, ("train_on_batch", 2, 1), ("predict", 3, 1)],
    ),
    "an index from 1 is a subscript in R": (
        "p <- predict(model, x)\ncls <- as.array(op_argmax(p, axis = -1))\nprint(levels(f)[cls])\n",
        [("predict", 1, 1), ("argmax", 2, 0)],
    ),
    "who subtracts 1 from an index knows where it begins": (
        "cls <- as.integer(op_argmax(p)) - 1L\nprint(cls)\n",
        [("argmax", 1, 0)],
    ),
    "two indices are compared with each other": (
        "hit <- op_mean(op_equal(op_argmax(y), op_argmax(p)))\nprint(hit)\n",
        [("argmax", 1, 0), ("argmax", 1, 0), ("equal", 1, 0)],
    ),
    "an index counted from 0 was asked for": (
        "print(op_argmax(p, zero_indexed = TRUE))\n",
        [("argmax", 1, 0)],
    ),
    "each of two ways to count has its own number": (
        "a <- get_layer(model, index = 1)\nb <- model$get_layer(index = 0L)\n",
        [("get_layer", 1, 1), ("get_layer", 2, 1)],
    ),
    "an index from 0 has 1 added before it is a subscript": (
        "cls <- as.array(k_argmax(p)) + 1\nprint(lab[cls])\n",
        [("argmax", 1, 0)],
    ),
    "an index from 0 is only shown": ("print(k_argmax(p))\n", [("argmax", 1, 0)]),
    "R draws with the seed that it was given": (
        "set.seed(1)\nx <- matrix(rnorm(4), 2)\n",
        [_SEQUENTIAL],
    ),
    "classes are counted from 0": (
        "y <- to_categorical(as.integer(iris$Species) - 1)\n",
        [("to_categorical", 1, 0)],
    ),
}


def called(number: int, name: str, line: int, owner: int) -> dict[str, Any]:
    thing = {"t": "object", "id": owner, "cls": "keras:Sequential"}
    method = {"t": "method", "owner": thing, "name": name}
    target = method if owner else {"t": "symbol", "path": f"keras:{name}", "public": name}
    call: dict[str, Any] = {"id": number, "kind": "call", "target": target, "line": line}
    if name == "get_layer":
        call["kwargs"] = {"index": {"t": "int", "v": "0"}}
    return call


def answered(text: str, calls: list[tuple[str, int, int]], tmp_path: Path) -> tuple[Finding, ...]:
    script = tmp_path / "script.R"
    script.write_text(text, "utf-8")
    _, (inspection,) = inspect([script])
    tree: tuple[Row, ...] = tuple(inspection.tree)
    recorded = [called(n, *each) for n, each in enumerate(calls, start=1)]
    about = {"runner": "r", "case": "case", "status": "ok", "calls": recorded}
    return answers(Capsule(Manifest.model_validate(about), {}), tree)


@pytest.mark.parametrize("what", _BENIGN)
def test_nothing_is_decided_where(what: str, tmp_path: Path) -> None:
    text, calls = _BENIGN[what]
    assert [each for each in answered(text, calls, tmp_path) if each.decides] == []


@pytest.mark.parametrize(
    ("text", "calls", "cause"),
    [
        (
            "model <- keras_model_sequential(1)\n"
            "second <- model |> layer_dense(1)\n"
            "print(predict(model, x))\n",
            [_SEQUENTIAL, ("add", 2, 1), ("predict", 3, 1)],
            "r-semantics",
        ),
        ("cls <- op_argmax(p)\nprint(as.integer(cls))\n", [("argmax", 1, 0)], "r-index-base"),
        ("i <- k_argmax(p)\nprint(lab[as.array(i)])\n", [("argmax", 1, 0)], "r-index-base"),
        ("i <- as.array(op_argmax(p)) + 1\n", [("argmax", 1, 0)], "r-index-base"),
        ("y <- to_categorical(op_argmax(p), 3)\n", [("argmax", 1, 0)], "r-index-base"),
        (
            "a <- get_layer(model, index = 1)\nb <- model$get_layer(index = 1L)\n",
            [("get_layer", 1, 1), ("get_layer", 2, 1)],
            "r-index-base",
        ),
    ],
)
def test_what_the_script_does_with_it_shows_the_surprise(
    text: str, calls: list[tuple[str, int, int]], cause: str, tmp_path: Path
) -> None:
    assert cause in [each.cause for each in answered(text, calls, tmp_path) if each.decides]
