"""Arguments that Keras takes and then does nothing with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bridge.capsule import Capsule
from bridge.capsule.values import Items, ObjectValue, Pairs
from bridge.rules.said import Said, asked, at, maker_of, name_of, number, owner_of
from bridge.translate.syntax import Call as Written
from bridge.translate.syntax import Node, walk


def forgotten(capsule: Capsule, _tree: Sequence[Node]) -> Iterator[Said]:
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
            yield Said(
                "keras-version",
                f"{at(made.line)}{name_of(made)} takes the argument {name} = {given:g} and forgets "
                f"it: its configuration has no {name}{kept}. Older versions of Keras knew the "
                "argument; look for its new name in the documentation of this one.",
                line=made.line,
            )


def emptied(capsule: Capsule, tree: Sequence[Node]) -> Iterator[Said]:
    """Find arguments that the text gives something and that reached Python empty."""
    written = [node for item in tree for node in walk(item) if isinstance(node, Written)]
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
            yield Said(
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
