"""A row's answer depends on the rows beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from bridge.capsule import ModelState, Probe
from bridge.rules.asked_again import (
    asked_again,
    is_drawing,
    is_stateful,
    predictions,
    rows_in,
)
from bridge.rules.pairs import in_training
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
#: Beyond so many rows, and so many predictions, none is looked for.
_MOST: Final = 5_000
_MANY: Final = 20


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a row with two answers that also has another one when its neighbours are exchanged.

    The neighbours are exchanged within a batch of the same shape, so that nothing is computed in
    another order: a bit that differs is not rounding.
    """
    for one, other, state in _shared(run):
        both = asked_again(run, one, "other rows")
        if both is None or all(same(a[-1:], b[-1:]) for a, b in zip(*both, strict=True)):
            continue
        twice = asked_again(run, one, "twice")
        drawn = twice is None or not all(map(same, *twice))
        stateful = next((each for each in state.layers if is_stateful(each)), None)
        if drawn and stateful is None:
            continue
        layer = stateful or next((each for each in state.layers if is_drawing(each)), None)
        yield RULE.finding(
            "A row's answer depends on the rows beside it",
            "The same rows were predicted in two companies, and have two answers. "
            + (
                "A stateful layer goes on from the rows of the batch before."
                if stateful is not None
                else "A layer takes statistics over the rows of a batch."
            ),
            at=other.line,
            also=(one.line, run.layer_place(layer, label="mixes the rows")),
            evidence=(("the rows beside the last one exchanged", "other bits for it"),),
            help="Let layers work as in use: no training = TRUE, no stateful = TRUE.",
        )
        return


def _shared(run: Run) -> Iterator[tuple[Probe, Probe, ModelState]]:
    """Yield predictions that have a row in common with two answers; the larger comes first."""
    known = [each for each in predictions(run) if len(each[0].inputs) == 1][:_MANY]
    for n, (one, state) in enumerate(known):
        for other, later in known[n + 1 :]:
            alike = later.id == state.id and _weights(later) == _weights(state)
            if not alike or in_training(run, one) != in_training(run, other):
                continue
            x, z = run.array(one.inputs[0]), run.array(other.inputs[0])
            p, q = run.array(one.outputs[0]), run.array(other.outputs[0])
            if x is None or z is None or p is None or q is None or not x.ndim or not z.ndim:
                continue
            if max(len(x), len(z)) > _MOST or min(len(x), len(z)) < 1:
                continue
            if len(p) != len(x) or len(q) != len(z) or x.shape[1:] != z.shape[1:]:
                continue
            where = {bits: n for n, bits in enumerate(rows_in(x))}
            shared = [(where[bits], m) for m, bits in enumerate(rows_in(z)) if bits in where]
            if len(x) > 1 and any(not np.array_equal(p[a], q[b]) for a, b in shared):
                yield (one, other, state) if len(x) >= len(z) else (other, one, state)


def _weights(state: ModelState) -> list[str | None]:
    return [each.array.key for layer in state.layers for each in layer.weights if each.trainable]
