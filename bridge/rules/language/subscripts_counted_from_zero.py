"""An index that Python counts from 0 is a subscript in R, which counts from 1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bridge.rules.index_uses import uses
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, name_of
from bridge.translate.syntax import Member

RULE = Rule(
    "R07", "subscripts-counted-from-zero", cause="r-index-base", whose="yours", needs=("text",)
)
#: Functions that give indices counted from 0: of the legacy package, and methods of modules.
_ZERO_FUNCTIONS: Final = frozenset({"k_argmax", "k_argmin"})
_ZERO_METHODS: Final = frozenset({"argmax", "argmin", "argsort"})


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find indices counted from 0 that are subscripts in R, where element 0 is left out."""
    called = {name_of(call) for call in run.asked}
    for node in run.written:
        method = isinstance(node.function, Member) and node.function.name in _ZERO_METHODS
        if not (method or node.name in _ZERO_FUNCTIONS) or not called & _ZERO_METHODS:
            continue
        found = {use for root in run.tree for use in uses(root, node, run.tree)}
        if "subscript" in found and "added" not in found:
            name = node.function.name if isinstance(node.function, Member) else node.name
            yield RULE.finding(
                f"{name}() counts from 0, and R's brackets count from 1",
                "Each subscript finds the element before, and 0 finds none.",
                at=run.node_place(node, "counted from 0"),
                help="Add 1 before it is a subscript of R.",
            )
            return
