"""A fraction in the text reached Python as a whole number."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from bridge.capsule import Call
from bridge.capsule.values import Scalar
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, number
from bridge.translate.syntax import (
    Assign,
    Node,
    Number,
    Operation,
    Paren,
    RSymbol,
    nodes_in,
    number_of,
    walk,
)

RULE = Rule("C01", "fraction-cut-off", cause="r-conversion", whose="the R package", needs=("text",))
_OPERATORS: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find arguments that the text gives a fraction and that arrived as a whole number."""
    constants = _constants(run.tree)
    # With the lines that they stand on: a call may be written over several.
    written = [(node, {inner.line for inner in walk(node)}) for node in run.written]
    for call in run.asked:
        for node, lines in written:
            if call.line not in lines or not call.r_call.startswith(f"{node.name}("):
                continue
            for argument in node.arguments:
                meant = _value(argument.value, constants)
                if meant is None or meant == int(meant) or argument.value is None:
                    continue
                cut = _cut(call, argument.name, meant)
                if cut:
                    yield RULE.finding(
                        f"{node.name}() cuts {cut} = {meant:g} off to {int(meant)}",
                        "The R package makes a whole number of it before Python sees it.",
                        at=run.node_place(argument.value, f"arrives as {int(meant)}"),
                        help="Give a whole number. Where a fraction is meant, call Python's own "
                        "function (keras$...), or set it on the object that was made.",
                    )
                    return


def _cut(call: Call, name: str, meant: float) -> str:
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


def _constants(tree: Sequence[Node]) -> dict[str, float]:
    """Return variables that are assigned once, to a number."""
    assigned = [
        (node.target.name, node.value)
        for node in nodes_in(tree, Assign)
        if isinstance(node.target, RSymbol)
    ]
    names = [name for name, _ in assigned]
    found: dict[str, float] = {}
    for name, given in assigned:
        value = _value(given, found)
        if value is not None and names.count(name) == 1:
            found[name] = value
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
        case RSymbol():
            return constants.get(node.name)
        case Operation() if node.operator in _OPERATORS:
            right = _value(node.right, constants)
            left = 0.0 if node.left is None else _value(node.left, constants)
            if left is None or right is None or (node.operator == "/" and right == 0):
                return None
            return _OPERATORS[node.operator](left, right)
    return None
