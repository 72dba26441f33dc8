"""Fractions in the text that did not reach Python."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from bridge.capsule import Call as Crossing
from bridge.capsule import Capsule
from bridge.capsule.values import Scalar
from bridge.rules.said import Said, asked, name_of, number
from bridge.translate.syntax import (
    Assign,
    Call,
    Node,
    Number,
    Operation,
    Paren,
    Symbol,
    number_of,
    walk,
)

_OPERATORS: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


def cut_off(capsule: Capsule, tree: Sequence[Node]) -> Iterator[Said]:
    """Find arguments that the text gives a fraction and that reached Python as a whole number."""
    nodes = [each for item in tree for each in walk(item)]
    constants = _constants(nodes)
    # With the lines that they stand on: a call may be written over several.
    written = [
        (node, {each.line for each in walk(node)}) for node in nodes if isinstance(node, Call)
    ]
    for call in asked(capsule):
        for node, lines in written:
            if call.line not in lines or not call.r_call.startswith(f"{node.name}("):
                continue
            for argument in node.arguments:
                meant = _value(argument.value, constants)
                if meant is None or meant == int(meant):
                    continue
                cut = _cut(call, argument.name, meant)
                if cut:
                    yield Said(
                        "r-conversion",
                        f"Line {argument.value.line if argument.value else node.line}: "
                        f"{cut} of {node.name}() is {meant:g} in the script, and reached "
                        f"{name_of(call)} as {int(meant)}: the R package cuts the fraction off.",
                        line=node.line,
                    )
                    return


def _cut(call: Crossing, name: str, meant: float) -> str:
    """Return the name of the argument that lost its fraction, "" if none did.

    One that is given by its place may be any that has the whole number, if none has the fraction.
    """
    numbers = {key: number(value) for key, value in call.kwargs.items()}
    if meant in numbers.values():
        return ""
    whole = [
        key
        for key, value in call.kwargs.items()
        if isinstance(value, Scalar) and value.t == "int" and numbers[key] == int(meant)
    ]
    if name:
        return name if name in whole else ""
    return " or ".join(whole)


def _constants(nodes: Sequence[Node]) -> dict[str, float]:
    """Return variables that are assigned once, to a number."""
    targets = [
        node.target.name
        for node in nodes
        if isinstance(node, Assign) and isinstance(node.target, Symbol)
    ]
    found: dict[str, float] = {}
    for node in nodes:
        if isinstance(node, Assign) and isinstance(node.target, Symbol):
            value = _value(node.value, found)
            if value is not None and targets.count(node.target.name) == 1:
                found[node.target.name] = value
    return found


def _value(node: Node | None, constants: Mapping[str, float]) -> float | None:
    match node:
        case Number():
            try:
                return float(number_of(node.text)[0])
            except (ValueError, OverflowError):
                return None
        case Paren():
            return _value(node.inner, constants)
        case Symbol():
            return constants.get(node.name)
        case Operation() if node.operator in _OPERATORS:
            right = _value(node.right, constants)
            left = 0.0 if node.left is None else _value(node.left, constants)
            if left is None or right is None or (node.operator == "/" and right == 0):
                return None
            return _OPERATORS[node.operator](left, right)
    return None
