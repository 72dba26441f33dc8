"""Each step overshoots: the loss grows without end, or never gets below a constant answer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from bridge.explain.experiment import Trials
from bridge.rules.losses import KNOWN
from bridge.rules.models import Training, learned_nothing, trainings
from bridge.rules.retrained import judged, retrained, rows_of, set_rate
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule(
    "T03",
    "diverges",
    cause="maths",
    needs=("one run", "fit again"),
    explains=("M02", "M11", "D08", "P08"),
)
#: Where to look: a loss that is still so much of what a constant answer leaves. Decides nothing.
_STUCK: Final = 0.9
_RATES: Final = (0.1, 0.001)


@RULE.detector
def stuck(run: Run) -> Iterator[Finding]:
    """Find trainings that end no better than one answer for all rows, and at a lower rate do.

    Where the loss is no number any more, that a lower rate helps is evidence too.
    """
    for judgement in judged(run):
        lost = _lost(judgement.training)
        if not judgement.left > _STUCK or (
            lost is not None and not _is_finite(run, judgement.training)
        ):
            continue
        if lost is None and judgement.is_short:
            continue  # It has hardly begun.
        for factor in _RATES:
            found = retrained(run, judgement.training, "learning rate", factor)
            if found is None:
                break
            if not (found.better and max(found.changed) < judgement.chance):
                continue
            if lost is not None or not any(
                _learned(judgement.training, v) for v in found.as_recorded
            ):
                yield _finding(run, judgement.training, factor, found, judgement.chance)
                return


def _learned(training: Training, loss: float) -> bool:
    """Say whether a loss is that of a model that learned something of its rows."""
    if training.y is None or not math.isfinite(loss):
        return False
    return not learned_nothing(training.used.loss, training.y[: training.rows], loss)


def _finding(run: Run, training: Training, factor: float, found: Trials, chance: float) -> Finding:
    lost = _lost(training)
    return RULE.finding(
        "Training diverges: the learning rate is too large",
        (
            f"The loss is no number from epoch {lost} on. "
            if lost is not None
            else "The loss ends no lower than one answer for all rows would leave it. "
        )
        + f"At {factor:g} of the rate every start learns.",
        at=run.compile_place(training.state, "optimizer") or training.probe.line,
        also=(training.probe.line,),
        evidence=rows_of(found, f"{factor:g} of the rate", chance),
        help=run.help("Take a smaller learning rate.", set_rate(run, training, factor)),
    )


@RULE.detector
def lost_number(run: Run) -> Iterator[Finding]:
    """Find trainings whose loss is no number any more although all that they were given is."""
    for training in trainings(run):
        lost = _lost(training)
        if lost is None or not _is_finite(run, training):
            continue
        given = (training.x, training.y)
        most = max(float(np.max(np.abs(array))) for array in given if array is not None)
        value = "NaN" if math.isnan(training.curve[lost - 1]) else "infinite"
        yield RULE.finding(
            "Training diverges: the loss is no number any more",
            f"It is {value} from epoch {lost} on, although all that it is given is finite "
            f"(up to {most:g}). Each step overshoots by more than the one before it.",
            at=training.probe.line,
            confidence="likely" if training.used.loss in KNOWN else "possible",
            # A loss that the script wrote itself may be no number for a reason of its own.
            decides=training.used.loss in KNOWN,
            help="Scale the inputs and targets, or take a smaller learning rate.",
        )
        return


def _lost(training: Training) -> int | None:
    """Return the first epoch whose loss is no number, counted from 1; None if there is none."""
    curve = training.curve
    return next((n for n, loss in enumerate(curve, start=1) if not math.isfinite(loss)), None)


def _is_finite(run: Run, training: Training) -> bool:
    """Say whether all that a training was given is known, and finite."""
    probe = training.probe
    given = [run.array(ref) for ref in (*probe.inputs, *probe.targets)]
    known = [array for array in given if array is not None and array.size]
    return bool(known) and len(known) == len(given) and all(np.isfinite(a).all() for a in known)
