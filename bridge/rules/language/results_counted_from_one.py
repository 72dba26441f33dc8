"""An index is counted from 1, where what it meets is counted from 0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bridge.rules.index_uses import compared, sources, uses
from bridge.rules.models import whole
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, call_of, is_one_dimensional, name_of
from bridge.translate.syntax import Assign, Node, RCall, RSymbol, nodes_in, walk

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
    given = [call for call in _found(run.written) if call.name.removeprefix("op_") in called]
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


@RULE.detector
def of_r(run: Run) -> Iterator[Finding]:
    """Find the place of the largest column, from 1 on, set against classes that begin at 0."""
    assigned: dict[str, list[Node]] = {}
    for node in nodes_in(run.tree, Assign):
        if isinstance(node.target, RSymbol):
            assigned.setdefault(node.target.name, []).append(node.value)
    labels = frozenset(_labels(run, assigned))
    for call in run.written:
        if not _is_place(call):
            continue
        others = [operand for root in run.tree for operand in compared(root, call, run.tree)]
        for operand in others:
            names = sources(operand, assigned)
            if not names & labels or any(_is_place(node) for node in walk(operand)):
                continue
            how = "which.max()" if call.name != "max.col" else "max.col()"
            yield RULE.finding(
                f"{how} counts classes from 1, and the labels from 0",
                "A class is compared with the one after it: what is right counts as wrong.",
                at=run.node_place(call, "1 for the first column"),
                also=(operand.line,) if operand.line != call.line else (),
                help=run.help(
                    "Subtract 1 from the place.",
                    run.text.after_call(call.name, call.line, " - 1"),
                ),
                whose="R's rules",
            )
            return


def _is_place(node: Node) -> bool:
    """Say whether a call gives the place of the largest column of each row."""
    if not isinstance(node, RCall):
        return False
    row_by_row = node.name in ("apply", "sapply", "vapply", "map_int") and any(
        isinstance(given.value, RSymbol) and given.value.name == "which.max"
        for given in node.arguments
    )
    return row_by_row or node.name == "max.col"


def _labels(run: Run, assigned: Mapping[str, Sequence[Node]]) -> Iterator[str]:
    """Yield the names of targets whose classes begin at 0."""
    for probe in run.probes:
        call = call_of(run.capsule, probe)
        y = run.array(probe.targets[0]) if len(probe.targets) == 1 else None
        if call is None or y is None or not y.size or not is_one_dimensional(y) or not whole(y):
            continue
        if y.min() == 0 and y.max() > 1:
            name = run.data_names(call)[1]
            yield from sources(RSymbol(0, 0, name), assigned) if name else ()


def _found(written: Sequence[RCall]) -> Iterator[RCall]:
    """Yield the calls that give indices counted from 1."""
    for node in written:
        if node.name in _GIVE_INDICES and not any(
            argument.name == "zero_indexed" for argument in node.arguments
        ):
            yield node
