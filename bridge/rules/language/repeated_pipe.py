"""A line that adds layers ran again, and added them again."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.capsule import Call, Capsule
from bridge.capsule.values import ObjectValue, Value
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, maker_of, name_of, owner_of
from bridge.translate.syntax import For, mentions, nodes_in, walk

RULE = Rule("R04", "repeated-pipe", cause="r-semantics", whose="R's rules", needs=("text",))


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find models whose last layers were added by one line that ran more than once.

    Deep models are made in loops, and have a last layer of their own; here the last is repeated.
    """
    capsule, tree = run.capsule, run.tree
    added: dict[int, list[Call]] = {}
    for call in run.asked:
        owner = owner_of(call)
        if name_of(call) == "add" and owner is not None and call.error is None:
            added.setdefault(owner, []).append(call)
    loops = nodes_in(tree, For)
    for calls in added.values():
        last = calls[-1]
        again = [call for call in calls if call.line == last.line and call.r_call == last.r_call]
        if len(again) < 2 or last.line is None or len({_made(capsule, c) for c in again}) > 1:
            continue
        counted = any(
            last.line in {node.line for node in walk(loop)} and mentions(loop.body, loop.variable)
            for loop in loops
        )
        if counted:
            continue
        yield RULE.finding(
            f"This line ran {len(again)} times, and added its layer each time",
            "A pipe changes the model itself, and running it again does not begin anew. "
            f"The model has {len(calls)} layers.",
            at=run.place(last) or last.line,
            help="Make a new model before the pipe.",
        )
        return


def _made(capsule: Capsule, call: Call) -> str:
    """Return what the added layer was made of, with what its own arguments were made of."""
    layer = call.args[0] if call.args else call.kwargs.get("layer")
    return "" if layer is None else _spelled(capsule, layer)


def _spelled(capsule: Capsule, value: Value, depth: int = 3) -> str:
    maker = maker_of(capsule, value.id) if isinstance(value, ObjectValue) and depth else None
    if maker is None:
        return str(value)
    given = [("", argument) for argument in maker.args] + sorted(maker.kwargs.items())
    spelled = [f"{name}={_spelled(capsule, actual, depth - 1)}" for name, actual in given]
    return f"{maker.target}({', '.join(spelled)})"
