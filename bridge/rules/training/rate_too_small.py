"""The learning rate is so small that the weights hardly move."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from bridge.rules.models import Training
from bridge.rules.retrained import FEW, judged, retrained, rows_of, set_rate
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule(
    "T04",
    "rate-too-small",
    cause="user-script",
    needs=("fit again",),
    explains=("T02", "D08", "P08"),
)
#: Where to look: weights that moved by less than this part of themselves, in more steps than are
#: few, in a training that still leaves so much of what a constant answer leaves. Decides nothing.
_LITTLE: Final = 0.01
_STUCK: Final = 0.9
#: How far weights move where something is learned, as a part of themselves: about so far.
_USUAL: Final = 0.1


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find trainings that hardly moved a weight, and that get far at a higher rate."""
    for judgement in judged(run):
        moved = _moved(run, judgement.training)
        if (
            moved is None
            or not 0 < moved < _LITTLE
            or judgement.steps < FEW
            or not judgement.left > _STUCK
        ):
            continue
        times = 10.0 ** max(1, math.ceil(math.log10(_USUAL / moved)))
        found = retrained(run, judgement.training, "learning rate", times)
        if found is None or not found.better or not max(found.changed) < judgement.chance:
            continue
        yield RULE.finding(
            "The learning rate is so small that the weights hardly move",
            f"{judgement.steps:,} steps moved them by {100 * moved:.2g}% of themselves. "
            f"At {times:g} times the rate every start ends lower.",
            at=run.compile_place(judgement.training.state, "optimizer")
            or judgement.training.probe.line,
            also=(judgement.training.probe.line,),
            evidence=rows_of(found, f"{times:g} times the rate", judgement.chance),
            help=run.help("Take a larger learning rate.", set_rate(run, judgement.training, times)),
            confidence="likely",
        )
        return


def _moved(run: Run, training: Training) -> float | None:
    """Return how far the trained weights moved, as a part of themselves; None if not known."""
    trained = [weight for weight in training.weights(run) if weight.trainable]
    before = sum(float(np.sum(np.square(weight.before, dtype=np.float64))) for weight in trained)
    gap = sum(
        float(np.sum(np.square(weight.after.astype(np.float64) - weight.before)))
        for weight in trained
    )
    return math.sqrt(gap / before) if before > 0 and math.isfinite(gap) else None
