"""Layers made in the order in which R made them, and not in that of the text.

R evaluates an argument where it is first needed, so that a pipe may make its layers last first, or
the layers inside of others before those that stand before them. Each layer draws the seeds of its
weights when it is made: with the same seed another order gives other weights.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Sequence
from typing import Any, Final

from bridge.capsule import Call
from bridge.capsule.values import ObjectValue, Scalar, Symbol

#: What stands for a layer in a statement that was rearranged.
LAYER: Final = "_bridge_layer"
#: Code that may not be run, or more than once: its layers stay where they are.
_CLOSED: Final = (ast.Lambda, ast.FunctionDef, ast.ClassDef, ast.IfExp, ast.comprehension)


class Making:
    """The layers of one statement: each is made when R made it, or when it is first needed."""

    def __init__(self) -> None:
        self._makers: dict[int, Callable[[], Any]] = {}
        self._made: dict[int, Any] = {}

    def make(self, makers: dict[int, Callable[[], Any]]) -> None:
        """Make layers in the order of ``makers``."""
        self._makers, self._made = makers, {}
        for number in makers:
            self.layer(number)

    def layer(self, number: int) -> Any:
        """Return a layer; it is made if it was not."""
        if number not in self._made:
            self._made[number] = self._makers[number]()
        return self._made[number]


def makes_layers(call: Call) -> bool:
    """Say whether a recorded call makes a layer."""
    path = _path(call)
    return call.kind == "call" and ".layers." in path and "Input" not in path


def rearranged(statement: ast.stmt, calls: Sequence[Call]) -> list[ast.stmt]:
    """Return statements that do the same, and make layers in the order of R's ``calls``.

    Args:
        statement: of Python, at the top of the script's translation.
        calls: those of R that make layers, in order, in the statement that it is of.
    """
    taken = _Taken()
    left = taken.visit(copy.deepcopy(statement))
    order = _order(taken.layers, calls)
    if len(order) < 2:
        return [statement]
    makers = ast.Dict(
        [ast.Constant(number) for number in order],
        [_thunk(taken.layers[number]) for number in order],
    )
    function = ast.Attribute(ast.Name(LAYER, ast.Load()), "make", ast.Load())
    first = ast.copy_location(ast.Expr(ast.Call(function, [makers], [])), statement)
    return [first, left]


class _Taken(ast.NodeTransformer):
    """Takes the calls that make layers out of a statement, inner ones first."""

    def __init__(self) -> None:
        self.layers: list[ast.Call] = []

    def visit(self, node: ast.AST) -> Any:
        return node if isinstance(node, _CLOSED) else super().visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        inside = [self.visit(argument) for argument in node.args]
        keywords = [ast.keyword(each.arg, self.visit(each.value)) for each in node.keywords]
        function = self.visit(node.func)
        call = ast.copy_location(ast.Call(function, inside, keywords), node)
        # A layer that is called is no call that makes one.
        makes = isinstance(node.func, ast.Attribute)
        if not (makes and ast.unparse(node.func).startswith("keras.layers.")):
            return call
        self.layers.append(call)
        number = ast.Constant(len(self.layers) - 1)
        method = ast.Attribute(ast.Name(LAYER, ast.Load()), "layer", ast.Load())
        return ast.copy_location(ast.Call(method, [number], []), node)


def _order(layers: Sequence[ast.Call], calls: Sequence[Call]) -> list[int]:
    """Return the places of ``layers`` in the order of R's calls; none where they do not match.

    Layers that are given to another are those that R gave it. The others stand in the text in the
    order of their lines; on one line, in the order in which they were made, or the other way round
    where the lines are made last first.
    """
    made_by = {call.result.id: call for call in calls if isinstance(call.result, ObjectValue)}
    inside = {number for layer in layers for number in _given(layer).values()}
    given = {id_ for call in calls for id_ in _objects(call).values() if id_ in made_by}
    outer = [call for call in calls if getattr(call.result, "id", None) not in given]
    lines = [call.line or 0 for call in outer]
    backwards = len(outer) > 1 and lines[0] > lines[-1]
    outer = sorted(reversed(outer) if backwards else outer, key=lambda call: call.line or 0)
    found: dict[int, int] = {}

    def match(number: int, call: Call) -> bool:
        found[call.id] = number
        objects = _objects(call)
        return _is_made_by(layers[number], call) and all(
            objects.get(name) in made_by and match(part, made_by[objects[name]])
            for name, part in _given(layers[number]).items()
        )

    shown = [number for number in range(len(layers)) if number not in inside]
    if len(shown) != len(outer) or not all(map(match, shown, outer)):
        return []
    return [found[call.id] for call in calls] if len(found) == len(layers) == len(calls) else []


def _given(layer: ast.Call) -> dict[str, int]:
    """Return the layers that are given to a layer, by the argument: its name, or its place."""
    arguments = {str(place): value for place, value in enumerate(layer.args)}
    arguments |= {keyword.arg or "": keyword.value for keyword in layer.keywords}
    return {
        name: value.args[0].value
        for name, value in arguments.items()
        if isinstance(value, ast.Call)
        and ast.unparse(value.func) == f"{LAYER}.layer"
        and isinstance(value.args[0], ast.Constant)
        and isinstance(value.args[0].value, int)
    }


def _objects(call: Call) -> dict[str, int]:
    """Return the objects that R gave to a call, by the argument."""
    arguments = {str(place): value for place, value in enumerate(call.args)} | call.kwargs
    return {name: value.id for name, value in arguments.items() if isinstance(value, ObjectValue)}


def _is_made_by(layer: ast.Call, call: Call) -> bool:
    """Say whether R's call may be the one that the text means: one class, the same settings."""
    if ast.unparse(layer.func).rpartition(".")[2] != _path(call).rpartition(".")[2]:
        return False
    for keyword in layer.keywords:
        given = call.kwargs.get(keyword.arg or "")
        if isinstance(keyword.value, ast.Constant) and isinstance(given, Scalar):
            written = keyword.value.value
            if isinstance(written, (int, float)) and given.t in ("int", "float"):
                if float(given.v) != float(written):
                    return False
            elif isinstance(written, str) and given.t == "str" and given.v != written:
                return False
    return True


def _path(call: Call) -> str:
    if not isinstance(call.target, Symbol):
        return ""
    return (call.target.public or call.target.path).replace(":", ".")


def _thunk(node: ast.expr) -> ast.expr:
    empty = ast.arguments([], [], None, [], [], None, [])
    return ast.copy_location(ast.Lambda(empty, node), node)
