"""What runs more than once: functions made in a loop, pipes that add their layers again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bridge.capsule import Call, Capsule
from bridge.capsule.values import Closure, ObjectValue, Value
from bridge.explain.result import CauseEvidence
from bridge.rules.recorded_run import answer, asked, maker_of, name_of, owner_of, parts
from bridge.translate.syntax import For, Function, Node, mentions, nodes_in, walk


def shared_variable(capsule: Capsule, tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find functions of the loop's variable that Python calls when the loop is over."""
    calls = {call.id: call for call in capsule.manifest.calls}
    for node in nodes_in(tree, For):
        lines = {each.line for each in walk(node)}
        made = [
            each
            for each in walk(node.body)
            if isinstance(each, Function)
            and node.variable not in [name for name, _ in each.parameters]
            and mentions(each.body, node.variable)
        ]
        if not made or not _crosses(capsule, lines):
            continue
        inside = {each.line for function in made for each in walk(function)}
        for call in calls.values():
            top = call
            while top.parent is not None and top.parent in calls:
                top = calls[top.parent]
            late = top.line is not None and top.line > max(lines)
            # A call out of a function that Python holds may not know its line, or know only the
            # line that made Python call it.
            unknown = call.line in (None, top.line) and not _runs(capsule, lines)
            from_there = call.line in inside or unknown
            if call.parent is not None and late and from_there:
                yield answer(
                    "r-semantics",
                    f"Line {made[0].line}: the functions that are made in this loop all look up "
                    f"{node.variable!r} when they are called, and line {top.line} calls them when "
                    "the loop is over: each of them sees the value of the last round. Make "
                    "them in a function of their own, by lapply() for example.",
                    line=made[0].line,
                )
                return


def _runs(capsule: Capsule, lines: set[int]) -> bool:
    """Say whether a model is already used from these lines."""
    return any(probe.line in lines for probe in capsule.manifest.probes)


def _crosses(capsule: Capsule, lines: set[int]) -> bool:
    """Say whether a function written in R was handed to Python from these lines."""
    return any(
        isinstance(part, Closure)
        or (isinstance(part, ObjectValue) and part.cls.endswith(":function"))
        for call in capsule.manifest.calls
        if call.line in lines
        for value in (*call.args, *call.kwargs.values())
        for part in parts(value)
    )


# Pipes that were run again, and added their layers again.


def repeated_pipe(capsule: Capsule, tree: Sequence[Node]) -> Iterator[CauseEvidence]:
    """Find models whose last layers were added by one line that ran more than once.

    Deep models are made in loops, and have a last layer of their own; here the last is repeated.
    """
    added: dict[int, list[Call]] = {}
    for call in asked(capsule):
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
            last.line in {each.line for each in walk(loop)} and mentions(loop.body, loop.variable)
            for loop in loops
        )
        if counted:
            continue
        yield answer(
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
