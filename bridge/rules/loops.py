"""Functions made in a loop, which all see its last round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bridge.capsule import Capsule
from bridge.capsule.values import Closure, ObjectValue
from bridge.rules.said import Said, parts
from bridge.translate.syntax import For, Function, Node, mentions, walk


def shared_variable(capsule: Capsule, tree: Sequence[Node]) -> Iterator[Said]:
    """Find functions of the loop's variable that Python calls when the loop is over."""
    calls = {call.id: call for call in capsule.manifest.calls}
    for node in (each for item in tree for each in walk(item)):
        if not isinstance(node, For):
            continue
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
                yield Said(
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
