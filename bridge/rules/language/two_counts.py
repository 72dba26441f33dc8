"""Layers are asked for by a number counted from 1, and by one counted from 0."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, name_of, number
from bridge.translate.syntax import Member, Number, RCall, number_of

RULE = Rule("R08", "two-counts", cause="r-index-base", whose="the R package", needs=("text",))


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find layers that are asked for by a number counted from 1 and by one counted from 0."""
    wrapped: list[RCall] = []
    raw: list[RCall] = []
    for node in run.written:
        if any(argument.name == "index" for argument in node.arguments):
            if node.name == "get_layer":
                wrapped.append(node)
            elif isinstance(node.function, Member) and node.function.name == "get_layer":
                raw.append(node)
    sent = [
        value
        for call in run.asked
        if name_of(call) == "get_layer" and (value := number(call.kwargs.get("index"))) is not None
    ]
    # Who writes other numbers for the two has counted each as it counts.
    same = {_index(call) for call in wrapped} & {_index(call) for call in raw} - {None}
    if wrapped and raw and sent and same:
        yield RULE.finding(
            "One number names two layers: get_layer() and $get_layer() count apart",
            "The R package's function counts layers from 1. The method of the Python object counts "
            "them from 0.",
            at=run.node_place(raw[0], "counts from 0"),
            also=(run.node_place(wrapped[0], "counts from 1"),),
            help="Take one of the two, or ask for the layer by its name.",
        )


def _index(call: RCall) -> float | None:
    """Return the number that a layer is asked for by, None where it is not written."""
    for argument in call.arguments:
        if argument.name == "index" and isinstance(argument.value, Number):
            try:
                return float(number_of(argument.value.text)[0])
            except (ValueError, OverflowError):
                return None
    return None
