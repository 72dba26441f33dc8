"""Layers are made in R's order, each once, and nothing else of a statement changes."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from bridge.capsule import Call
from bridge.capsule.values import ObjectValue, Scalar, Symbol
from bridge.runs.r_answers import LAYER, StatementLayers, makes_layers, rearranged


class Layers:
    """Stands for ``keras.layers``: notes what is made."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def make(*inside: Any, units: float = 0) -> str:
            self.made.append(f"{name}{units or ''}")
            return f"{name}{units or ''}({', '.join(inside)})"

        return make


class Keras:
    """Stands for ``keras``."""

    def __init__(self) -> None:
        self.layers = Layers()


class Chained:
    """Stands for ``keras`` where layers are called on what is before them."""

    made: ClassVar[list[int]] = []

    @property
    def layers(self) -> Chained:
        return self

    def Dense(self, units: int) -> Callable[[str], str]:  # noqa: N802
        self.made.append(units)
        return lambda given: f"Dense{units}({given})"


_IDS = itertools.count(1)


def made(
    name: str, units: float | None = None, line: int | None = None, inner: Call | None = None
) -> Call:
    kwargs = {} if units is None else {"units": Scalar(t="float", v=repr(float(units)))}
    target = Symbol(path=f"keras.src.layers.{name}", public=f"keras.layers.{name}")
    number = next(_IDS)
    args = (inner.result,) if inner is not None and inner.result is not None else ()
    result = ObjectValue(id=number, cls=f"keras.src.layers:{name}")
    return Call(
        id=number, kind="call", target=target, line=line, args=args, kwargs=kwargs, result=result
    )


def run(text: str, calls: list[Call]) -> tuple[Any, list[str]]:
    names: dict[str, Any] = {"keras": Keras(), LAYER: StatementLayers()}
    (statement,) = ast.parse(text).body
    body = rearranged(statement, calls)
    module = ast.fix_missing_locations(ast.Module(body, []))
    exec(compile(module, "text", "exec"), names)
    return names["model"], names["keras"].layers.made


NESTED = (
    "model = [keras.layers.Wrap(keras.layers.Gru(units=8)),\n"
    " keras.layers.Wrap(keras.layers.Gru(units=6)), keras.layers.Dense(units=1)]"
)


def nested(first: float, second: float) -> list[Call]:
    """Return R's calls: inner layers last first, the others as they are written."""
    later, earlier = made("Gru", second), made("Gru", first)
    outer = [made("Wrap", inner=earlier), made("Wrap", inner=later)]
    return [later, earlier, *outer, made("Dense", 1)]


def test_layers_are_made_as_r_made_them_and_stand_where_they_stood() -> None:
    model, order = run(NESTED, nested(8, 6))
    assert model == ["Wrap(Gru8())", "Wrap(Gru6())", "Dense1()"]
    assert order == ["Gru6", "Gru8", "Wrap", "Wrap", "Dense1"]


def test_layers_that_are_alike_are_told_by_what_they_are_given_to() -> None:
    text = NESTED.replace("=6", "=8")
    (statement,) = ast.parse(text).body
    (first, _) = rearranged(statement, nested(8, 8))
    # Inner layers stand before what they are given to: of both pairs the second is made first.
    assert ast.unparse(first).startswith(f"{LAYER}.make({{2: lambda")


def test_a_layer_that_is_called_is_made_behind_its_input_where_r_did_so() -> None:
    text = "model = keras.layers.Dense(units=1)(keras.layers.Dense(units=8)('input'))"
    names: dict[str, Any] = {"keras": Chained(), LAYER: StatementLayers()}
    for calls, wanted in (
        ([made("Dense", 8, line=1), made("Dense", 1, line=2)], [8, 1]),
        ([made("Dense", 1, line=2), made("Dense", 8, line=1)], [1, 8]),
    ):
        (statement,) = ast.parse(text).body
        module = ast.fix_missing_locations(ast.Module(rearranged(statement, calls), []))
        Chained.made.clear()
        exec(compile(module, "text", "exec"), names)
        assert Chained.made == wanted
        assert names["model"] == "Dense1(Dense8(input))"


def test_layers_that_are_alike_are_told_by_their_lines() -> None:
    text = "model = [keras.layers.Gru(units=8),\n keras.layers.Gru(units=8)]"
    (statement,) = ast.parse(text).body
    calls = [made("Gru", 8, line=2), made("Gru", 8, line=1)]
    body = rearranged(statement, calls)
    assert "{1: lambda" in ast.unparse(body[0])


@pytest.mark.parametrize(
    "calls",
    [
        [],
        [made("Gru", 6), made("Gru", 8)],
        nested(8, 5),
    ],
    ids=["none", "fewer", "others"],
)
def test_a_statement_stays_as_it_is_where_r_made_others(calls: list[Call]) -> None:
    (statement,) = ast.parse(NESTED).body
    assert rearranged(statement, calls) == [statement]


def test_what_may_not_be_run_stays_where_it_is() -> None:
    text = "model = (lambda: keras.layers.Gru(units=8), keras.layers.Dense(units=1))"
    model, order = run(text, [made("Dense", 1), made("Gru", 8)])
    assert order == ["Dense1"]
    assert callable(model[0])


def test_inputs_are_no_layers() -> None:
    assert makes_layers(made("Dense"))
    assert not makes_layers(made("InputLayer"))
