"""R makes the range of ``a:b + c`` first, and adds then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Final

from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run
from bridge.translate.syntax import Argument, Index, Node, Operation, nodes_in

RULE = Rule("R16", "range-before-the-sum", cause="r-semantics", whose="R's rules", needs=("text",))
_SUMS: Final = frozenset({"+", "-"})


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find ``a:a + c`` as a subscript: the range has one number, and so has the sum."""
    for index in nodes_in(run.tree, Index):
        for argument in index.arguments:
            node = argument.value
            spread = _spread(node)
            if node is None or spread is None or not _alike(*spread):
                continue
            text = run.text.source(node.row)
            start, rest = run.text.source(spread[0].row), text.partition(":")[2].strip()
            yield RULE.finding(
                f"{text} is one number: the range is made first",
                "The colon binds before plus and minus. A range from a number to itself is that "
                "number, and the rest is added to it.",
                at=run.node_place(node, "one number"),
                help=run.help(
                    "Put the end of the range in parentheses.",
                    run.text.replace(node.row, f"{start}:({rest})"),
                ),
            )
            return


def _spread(node: Node | None) -> tuple[Node, Node] | None:
    """Return the ends of the range that a sum begins with, None of all else."""
    summed = False
    while isinstance(node, Operation) and node.operator in _SUMS and node.left is not None:
        node, summed = node.left, True
    if summed and isinstance(node, Operation) and node.operator == ":" and node.left is not None:
        return node.left, node.right
    return None


def _alike(first: object, second: object) -> bool:
    """Say whether two expressions say the same, wherever they stand."""
    if type(first) is not type(second):
        return False
    if isinstance(first, tuple) and isinstance(second, tuple):
        return len(first) == len(second) and all(map(_alike, first, second))
    if isinstance(first, (Node, Argument)):
        names = [part.name for part in fields(first) if part.name not in ("line", "column", "row")]
        return all(_alike(getattr(first, name), getattr(second, name)) for name in names)
    return first == second
