"""R makes a vector of a matrix of which one row is taken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bridge.facts.keras import METHODS
from bridge.rules.errors import around, errors
from bridge.rules.rule import Finding, Help, Rule
from bridge.rules.run import Run
from bridge.translate.syntax import Assign, Index, Number, RSymbol, nodes_in

RULE = Rule("R02", "dropped-axis", cause="r-semantics", whose="R's rules", needs=("text",))
_AXES: Final = re.compile(r"found ndim=(\d+)|received input with shape \((?:None|\d+),\)")


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a single row taken out of a matrix, where the model then misses an axis."""
    taken = {
        node.target.name: node.value
        for node in nodes_in(run.tree, Assign)
        if isinstance(node.target, RSymbol)
    }
    for error, text in errors(run):
        if not _AXES.search(text):
            continue
        for node in around(run, error.line):
            if node.name not in METHODS:
                continue
            for argument in node.arguments:
                value = argument.value
                value = taken.get(value.name) if isinstance(value, RSymbol) else value
                if not isinstance(value, Index) or not _drops(value):
                    continue
                yield RULE.finding(
                    "R drops an axis of which one element is left",
                    "One row of a matrix is a plain vector then, and the model misses an axis.",
                    at=run.node_place(value, "a vector"),
                    help=Help(text="Keep the axis.", before="x[1, ]", after="x[1, , drop = FALSE]"),
                    refused=True,
                )
                return


def _drops(node: Index) -> bool:
    """Say whether brackets take one element of an axis, and nothing keeps the axis."""
    if node.double or len(node.arguments) < 2:
        return False
    if any(argument.name == "drop" for argument in node.arguments):
        return False
    return any(isinstance(argument.value, Number) for argument in node.arguments)
