"""Functions that are made in a loop all see the last value of its variable."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.capsule import Capsule
from bridge.capsule.values import Closure, ObjectValue
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, parts
from bridge.translate.syntax import For, Function, mentions, nodes_in, walk

RULE = Rule("R05", "functions-of-a-loop", cause="r-semantics", whose="R's rules", needs=("text",))


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find functions of the loop's variable that Python calls when the loop is over."""
    capsule, tree = run.capsule, run.tree
    calls = {call.id: call for call in capsule.manifest.calls}
    for node in nodes_in(tree, For):
        lines = {inner.line for inner in walk(node)}
        functions = [
            inner
            for inner in walk(node.body)
            if isinstance(inner, Function)
            and node.variable not in [name for name, _ in inner.parameters]
            and mentions(inner.body, node.variable)
        ]
        if not functions or not _crosses(capsule, lines):
            continue
        inside = {inner.line for function in functions for inner in walk(function)}
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
                yield RULE.finding(
                    f"Functions made in this loop all see the last {node.variable}",
                    f"They look up {node.variable} when they are called, and line {top.line} calls "
                    "them when the loop is over.",
                    at=run.node_place(functions[0], "made in the loop"),
                    also=(top.line,),
                    help="Make them in a function of their own, by lapply() for example.",
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
