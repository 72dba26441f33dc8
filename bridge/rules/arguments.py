"""Arguments that do not arrive as they are written: forgotten, emptied, cut off, sorted."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from bridge.capsule import Call as Crossing
from bridge.capsule import Capsule
from bridge.capsule.values import Items, ObjectValue, Pairs, Scalar
from bridge.explain.result import CauseEvidence
from bridge.rules.recorded_run import answer, asked, at, maker_of, name_of, number, owner_of
from bridge.translate.syntax import (
    Assign,
    Call,
    Node,
    Number,
    Operation,
    Paren,
    Symbol,
    nodes_in,
    number_of,
    walk,
)
from bridge.translate.syntax import Call as Written


def forgotten(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find arguments of an optimizer of which its own configuration knows nothing."""
    for call in asked(capsule):
        optimizer = call.kwargs.get("optimizer")
        if name_of(call) != "compile" or not isinstance(optimizer, ObjectValue):
            continue
        made = maker_of(capsule, optimizer.id)
        config = _configuration(capsule, owner_of(call))
        if made is None or config is None:
            continue
        for name, value in made.kwargs.items():
            given = number(value)
            if given is None or name in config:
                continue
            if any(_equal(given, kept) for kept in config.values()):
                continue  # It is there under another name.
            rate = config.get("learning_rate")
            kept = f" (learning_rate is {rate:.4g})" if isinstance(rate, float) else ""
            yield answer(
                "keras-version",
                f"{at(made.line)}{name_of(made)} takes the argument {name} = {given:g} and forgets "
                f"it: its configuration has no {name}{kept}. Older versions of Keras knew the "
                "argument; look for its new name in the documentation of this one.",
                line=made.line,
            )


def emptied(capsule: Capsule, tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find arguments that the text gives something and that reached Python empty."""
    written = nodes_in(tree, Written)
    for call in asked(capsule):
        for name, value in call.kwargs.items():
            if not isinstance(value, (Items, Pairs)) or value.items:
                continue
            argument = _written(written, call.line, name)
            if not isinstance(argument, Written) or not argument.arguments:
                continue
            names = [each.name for each in argument.arguments]
            why = (
                "a dict is made of names, and none of its elements has one"
                if isinstance(value, Pairs) and argument.name in ("list", "c") and not any(names)
                else "nothing of it was left"
            )
            yield answer(
                "r-conversion",
                f"{at(call.line)}{name} is given {len(names)} elements in the text, and reached "
                f"{name_of(call)}() as an empty {value.t}: {why}. It has no effect; name the "
                "elements.",
                line=call.line,
            )


def _written(calls: Sequence[Written], line: int | None, name: str) -> Node | None:
    """Return what the text gives for an argument of the call that begins or ends at a line."""
    for call in calls:
        if line is None or not call.line <= line <= max(each.line for each in walk(call)):
            continue
        for argument in call.arguments:
            if argument.name == name:
                return argument.value
    return None


def _configuration(capsule: Capsule, owner: int | None) -> dict[str, Any] | None:
    for state in capsule.manifest.states:
        compiled = state.compiled if isinstance(state.compiled, dict) else {}
        optimizer = compiled.get("optimizer")
        if state.id == owner and isinstance(optimizer, dict):
            config = optimizer.get("config")
            return config if isinstance(config, dict) else None
    return None


def _equal(given: float, kept: Any) -> bool:
    # A number is kept in float32: its neighbours are the same number there.
    import numpy as np

    return (
        isinstance(kept, (int, float))
        and not isinstance(kept, bool)
        and np.float32(kept) == np.float32(given)
    )


# Fractions in the text that did not reach Python.

_OPERATORS: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


def cut_off(capsule: Capsule, tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find arguments that the text gives a fraction and that reached Python as a whole number."""
    constants = _constants(tree)
    # With the lines that they stand on: a call may be written over several.
    written = [(node, {each.line for each in walk(node)}) for node in nodes_in(tree, Call)]
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
                    line = argument.value.line if argument.value else node.line
                    yield answer(
                        "r-conversion",
                        f"Line {line}: {cut} of {node.name}() is {meant:g} in the script, and "
                        f"reached {name_of(call)} as {int(meant)}: the R package cuts the fraction "
                        "off.",
                        line=line,
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


def _constants(tree: Sequence[Node]) -> dict[str, float]:
    """Return variables that are assigned once, to a number."""
    assigned = [
        (node.target.name, node.value)
        for node in nodes_in(tree, Assign)
        if isinstance(node.target, Symbol)
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
        case Symbol():
            return constants.get(node.name)
        case Operation() if node.operator in _OPERATORS:
            right = _value(node.right, constants)
            left = 0.0 if node.left is None else _value(node.left, constants)
            if left is None or right is None or (node.operator == "/" and right == 0):
                return None
            return _OPERATORS[node.operator](left, right)
    return None


# Named inputs: a named list becomes a dict, and the order of a dict's names is its own.


def sorted_names(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find models with named inputs that are fed by place: Keras sorts the names."""
    named: dict[int, tuple[list[str], int | None]] = {}
    for call in asked(capsule):
        inputs = call.kwargs.get("inputs")
        made = call.result
        if isinstance(inputs, Pairs) and isinstance(made, ObjectValue):
            names = [key.v for key, _ in inputs.items if isinstance(key, Scalar)]
            named[made.id] = (names, call.line)
        owner = owner_of(call)
        if owner not in named or name_of(call) not in ("predict", "fit", "evaluate"):
            continue
        names, line = named[owner]
        given = call.kwargs.get("x") or next(iter(call.args), None)
        if isinstance(given, Items) and sorted(names) != names and len(given.items) == len(names):
            yield answer(
                "r-conversion",
                f"{at(line)}the inputs of the model are named {', '.join(names)}: a named list "
                f"becomes a dict, of which Keras sorts the names ({', '.join(sorted(names))}). "
                f"{at(call.line)}it is fed a list without names, which is taken in the sorted "
                "order. Give the arrays the names of the inputs.",
                line=call.line,
                refused=call.error is not None,
            )
            return
