"""The loss has no place for these labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bridge.rules.class_units import unit_for_each
from bridge.rules.models import Training, trainings
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule(
    "L07",
    "labels-outside-the-loss",
    cause="user-script",
    explains=("L08", "L10", "T02", "T03", "D08", "M07", "M11", "L06"),
)


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find labels beyond 0..1 under a binary cross entropy, and counts below 0."""
    for training in trainings(run, evaluations=True):
        y = training.y
        if y is None or not y.size or not np.all(np.isfinite(y)):
            continue
        values = {float(label) for label in np.unique(y)[:3]}
        if training.used.loss in ("binarycrossentropy", "binaryfocalcrossentropy"):
            if values == {1.0, 2.0}:
                yield _from_one(training)
                return
            if y.min() < 0 or y.max() > 1:
                yield _beyond(run, training, "The binary loss wants 0 and 1", "above 1")
                return
        elif training.used.loss == "poisson" and y.min() < 0:
            yield _beyond(run, training, "The Poisson loss wants counts", "below 0")
            return


def _from_one(training: Training) -> Finding:
    return RULE.finding(
        "Classes are numbered 1 and 2; the loss wants 0 and 1",
        "R numbers the levels of a factor from 1. A binary cross entropy takes labels for "
        "probabilities, and with 2 it may fall below 0 without end.",
        at=training.probe.line,
        evidence=_evidence(training),
        help="Subtract 1 from the labels.",
        cause="r-index-base",
        whose="R's rules",
    )


def _beyond(run: Run, training: Training, wants: str, beyond: str) -> Finding:
    y = training.y
    low, high = (float(y.min()), float(y.max())) if y is not None else (0.0, 0.0)
    return RULE.finding(
        f"{wants}, and gets {low:g} to {high:g}",
        f"It takes them for probabilities or counts. With labels {beyond} it may fall "
        "without end, and says nothing.",
        at=training.probe.line,
        evidence=_evidence(training),
        help=run.help(
            "Several classes want a unit each, a softmax and the sparse categorical loss.",
            *unit_for_each(run, training),
        ),
    )


def _evidence(training: Training) -> tuple[tuple[str, str], ...]:
    last = training.curve[-1] if training.curve else None
    return () if last is None else (("loss at the end", f"{last:.4g}"),)
