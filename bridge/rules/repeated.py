"""Pipes that were run again, and added their layers again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bridge.capsule import Call, Capsule
from bridge.capsule.values import ObjectValue, Value
from bridge.rules.said import Said, asked, maker_of, name_of, owner_of
from bridge.translate.syntax import For, Node, mentions, walk


def repeated_pipe(capsule: Capsule, tree: Sequence[Node]) -> Iterator[Said]:
    """Find models whose last layers were added by one line that ran more than once.

    Deep models are made in loops, and have a last layer of their own; here the last is repeated.
    """
    added: dict[int, list[Call]] = {}
    for call in asked(capsule):
        owner = owner_of(call)
        if name_of(call) == "add" and owner is not None and call.error is None:
            added.setdefault(owner, []).append(call)
    loops = [node for item in tree for node in walk(item) if isinstance(node, For)]
    for calls in added.values():
        last = calls[-1]
        again = [call for call in calls if call.line == last.line and call.r_call == last.r_call]
        if len(again) < 2 or last.line is None or len({_made(capsule, c) for c in again}) > 1:
            continue
        counted = any(
            last.line in {each.line for each in walk(loop)} and mentions(loop.body, loop.variable)
            for loop in loops
        )
        if counted:
            continue
        yield Said(
            "r-semantics",
            f"Line {last.line} ran {len(again)} times and added the same layer to one model each "
            f"time: a pipe changes the model itself, and running it again does not begin anew. "
            f"The model has {len(calls)} layers; make a new one before the pipe.",
            line=last.line,
        )


def _made(capsule: Capsule, call: Call) -> str:
    """Return what the added layer was made of, with what its own arguments were made of."""
    layer = call.args[0] if call.args else call.kwargs.get("layer")
    return "" if layer is None else _spelled(capsule, layer)


def _spelled(capsule: Capsule, value: Value, depth: int = 3) -> str:
    made = maker_of(capsule, value.id) if isinstance(value, ObjectValue) and depth else None
    if made is None:
        return str(value)
    given = [("", each) for each in made.args] + sorted(made.kwargs.items())
    spelled = [f"{name}={_spelled(capsule, each, depth - 1)}" for name, each in given]
    return f"{made.target}({', '.join(spelled)})"
