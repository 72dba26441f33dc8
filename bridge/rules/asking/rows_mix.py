"""A row's answer depends on the rows beside it."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.rules.asked_again import (
    asked_again,
    is_drawing,
    is_stateful,
    two_answers,
)
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, same

RULE = Rule(
    "P02",
    "rows-mix",
    cause="maths",
    whose="Keras",
    needs=("predict again",),
    explains=("P03", "P05", "P09"),
)


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a row with two answers that also has another one when its neighbours are exchanged.

    The neighbours are exchanged within a batch of the same shape, so that nothing is computed in
    another order: a bit that differs is not rounding.
    """
    for first, second, state in two_answers(run):
        both = asked_again(run, first, "other rows")
        if both is None or all(same(a[-1:], b[-1:]) for a, b in zip(*both, strict=True)):
            continue
        twice = asked_again(run, first, "twice")
        drawn = twice is None or not all(map(same, *twice))
        stateful = next((layer for layer in state.layers if is_stateful(layer)), None)
        if drawn and stateful is None:
            continue
        layer = stateful or next((layer for layer in state.layers if is_drawing(layer)), None)
        yield RULE.finding(
            "A row's answer depends on the rows beside it",
            "The same rows were predicted in two companies, and have two answers. "
            + (
                "A stateful layer goes on from the rows of the batch before."
                if stateful is not None
                else "A layer takes statistics over the rows of a batch."
            ),
            at=second.line,
            also=(first.line, run.layer_place(layer, label="mixes the rows")),
            evidence=(("the rows beside the last one exchanged", "other bits for it"),),
            help="Let layers work as in use: no training = TRUE, no stateful = TRUE.",
        )
        return
