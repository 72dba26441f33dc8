"""A negative index of a tensor counts from the end, where R leaves elements out."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, name_of
from bridge.translate.syntax import Index, Number, Operation, RSymbol, nodes_in

RULE = Rule("R09", "from-the-end", cause="r-semantics", whose="R's rules", needs=("text",))


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find negative indices of tensors, which count from the end where R leaves elements out."""
    sliced = {call.line for call in run.asked if name_of(call) == "_slice_helper"}
    for node in nodes_in(run.tree, Index):
        if node.double or node.line not in sliced:
            continue
        if not isinstance(node.object, RSymbol):
            continue
        for argument in node.arguments:
            value = argument.value
            if (
                isinstance(value, Operation)
                and value.operator == "-"
                and value.left is None
                and isinstance(value.right, Number)
            ):
                yield RULE.finding(
                    f"-{value.right.text.rstrip('L')} counts from the end of a tensor",
                    "That is Python's way. Of a matrix of R it leaves that row or column out.",
                    at=run.node_place(value, "the end, not all but it"),
                    also=(run.node_place(node, "a tensor"),),
                    help="Make an array of it first, with as.array().",
                )
                return
