"""An argument is given, and reaches nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bridge.capsule.values import Items, ObjectValue, Pairs
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, maker_of, name_of, number, owner_of
from bridge.translate.syntax import Node, RCall, walk

RULE = Rule("T07", "argument-reaches-nothing", cause="r-conversion", explains=("T02", "T04"))


@RULE.detector
def forgotten(run: Run) -> Iterator[Finding]:
    """Find arguments of an optimizer of which its own configuration knows nothing."""
    for call in run.asked:
        optimizer = call.kwargs.get("optimizer")
        if name_of(call) != "compile" or not isinstance(optimizer, ObjectValue):
            continue
        maker = maker_of(run.capsule, optimizer.id)
        config = _configuration(run, owner_of(call))
        if maker is None or config is None:
            continue
        for name, value in maker.kwargs.items():
            given = number(value)
            if given is None or name in config:
                continue
            if any(_equal(given, kept) for kept in config.values()):
                continue  # It is there under another name.
            rate = config.get("learning_rate")
            kept = f" learning_rate is {rate:.4g}." if isinstance(rate, float) else ""
            yield RULE.finding(
                f"The optimizer forgets its argument {name}",
                f"{name_of(maker)} takes {name} = {given:g}, and its configuration has no such "
                f"setting.{kept} Older versions of Keras knew it.",
                at=run.place(maker, name, "reaches nothing"),
                help="Look for the argument's new name: lr is learning_rate now.",
                cause="keras-version",
                whose="Keras",
            )
            return


@RULE.detector
def emptied(run: Run) -> Iterator[Finding]:
    """Find arguments that the text gives something and that reached Python empty."""
    for call in run.asked:
        for name, value in call.kwargs.items():
            if not isinstance(value, (Items, Pairs)) or value.items:
                continue
            argument = _written(run.written, call.line, name)
            if not isinstance(argument, RCall) or not argument.arguments:
                continue
            names = [inner.name for inner in argument.arguments]
            why = (
                "A dict is made of names, and none of its elements has one."
                if isinstance(value, Pairs) and argument.name in ("list", "c") and not any(names)
                else "Nothing of it was left."
            )
            yield RULE.finding(
                f"The argument {name} reached Python empty",
                f"The text gives it {len(names)} elements. {why}",
                at=run.node_place(argument, "arrives as {}"),
                help="Name the elements.",
                whose="R's rules",
            )
            return


def _written(calls: Sequence[RCall], line: int | None, name: str) -> Node | None:
    """Return what the text gives for an argument of the call that begins or ends at a line."""
    for call in calls:
        if line is None or not call.line <= line <= max(node.line for node in walk(call)):
            continue
        for argument in call.arguments:
            if argument.name == name:
                return argument.value
    return None


def _configuration(run: Run, owner: int | None) -> dict[str, Any] | None:
    for state in run.capsule.manifest.states:
        compiled = state.compiled if isinstance(state.compiled, dict) else {}
        optimizer = compiled.get("optimizer")
        if state.id == owner and isinstance(optimizer, dict):
            config = optimizer.get("config")
            return config if isinstance(config, dict) else None
    return None


def _equal(given: float, kept: Any) -> bool:
    # A number is kept in float32: its neighbours are the same number there.
    number_like = isinstance(kept, (int, float)) and not isinstance(kept, bool)
    return number_like and np.float32(kept) == np.float32(given)
