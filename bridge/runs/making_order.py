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
from bridge.capsule.values import Scalar, Symbol

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


def rearranged(
    statement: ast.stmt, calls: Sequence[Call], line_of: Callable[[int], int | None]
) -> list[ast.stmt]:
    """Return statements that do the same, and make layers in the order of R's ``calls``.

    Args:
        statement: of Python, at the top of the script's translation.
        calls: those of R that make layers, in order, in the statement that it is of.
        line_of: returns the line of R's text for a line of Python's.
    """
    taken = _Taken()
    left = taken.visit(copy.deepcopy(statement))
    order = _order(taken.layers, calls, line_of)
    if len(order) < 2 or order == sorted(order):
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
        if not ast.unparse(node.func).startswith("keras.layers."):
            return call
        self.layers.append(call)
        number = ast.Constant(len(self.layers) - 1)
        method = ast.Attribute(ast.Name(LAYER, ast.Load()), "layer", ast.Load())
        return ast.copy_location(ast.Call(method, [number], []), node)


def _order(
    layers: Sequence[ast.Call], calls: Sequence[Call], line_of: Callable[[int], int | None]
) -> list[int]:
    """Return the places of ``layers`` in the order of R's calls; none where they do not match."""
    found: dict[int, int] = {}
    for place, call in enumerate(calls):
        alike = [
            number
            for number, layer in enumerate(layers)
            if number not in found.values() and _is_made_by(layer, call)
        ]
        there = [number for number in alike if line_of(layers[number].lineno) == call.line]
        if not alike:
            return []
        found[place] = (there or alike)[0]
    return list(found.values()) if len(found) == len(layers) else []


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
