"""keras3 counts indices from 1, where Python's function counts from 0."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from bridge.rules.index_uses import uses
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, name_of
from bridge.translate.syntax import Call

RULE = Rule(
    "R06", "results-counted-from-one", cause="r-index-base", whose="the R package", needs=("text",)
)
#: Functions of keras3 that give indices, and have an argument to count them from 0 (the table of
#: measurements has `zero_indexed` for each).
_GIVE_INDICES: Final = frozenset({"op_argmax", "op_argmin", "op_argsort", "op_top_k"})


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find indices that keras3 counts from 1 where Python's function counts from 0.

    Only what the script does with an index says whether that surprises: as a subscript of R it is
    what it should be, shown as a number it is one more than Python's.
    """
    called = {name_of(call) for call in run.asked}
    given = [each for each in _found(run.written) if each.name.removeprefix("op_") in called]
    for node in given:
        found = {use for root in run.tree for use in uses(root, node, run.tree)}
        plain = node.name.removeprefix("op_")
        if "added" in found:
            so = "Adding 1 to what it gives makes it one too many."
        elif "from zero" in found:
            so = "What it gives is then used where classes are counted from 0."
        else:
            so = "It is the same place, one more as a number."
        known = bool(found & {"subscript", "subtracted"})
        yield RULE.finding(
            f"{node.name}() counts from 1, where Python's {plain}() counts from 0",
            so,
            at=run.node_place(node, "counted from 1"),
            help="zero_indexed = TRUE gives Python's numbers; or subtract 1.",
            decides=bool(found & {"added", "from zero", "shown"}) and not known,
        )
        return


def _found(written: Sequence[Call]) -> Iterator[Call]:
    """Yield the calls that give indices counted from 1."""
    for node in written:
        if node.name in _GIVE_INDICES and not any(
            each.name == "zero_indexed" for each in node.arguments
        ):
            yield node
