"""Several classes are given one output."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bridge.rules.class_units import unit_for_each
from bridge.rules.losses import DISTANCES
from bridge.rules.models import Training, has_metric, trainings, whole
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, is_one_dimensional

RULE = Rule(
    "L08",
    "one-output-for-classes",
    cause="maths",
    explains=("L10", "L11", "L09", "D08", "T02", "T01", "M07"),
)


@RULE.detector
def loss_of_nothing(run: Run) -> Iterator[Finding]:
    """Find a categorical cross entropy over one column, which is 0 for every model."""
    for training in trainings(run, evaluations=True):
        end, y = training.end, training.y
        if end is None or y is None or training.used.loss != "categoricalcrossentropy":
            continue
        if end.width != 1 or not is_one_dimensional(y) or (end.shape and len(end.shape) > 2):
            continue
        yield RULE.finding(
            "A categorical loss over one column is 0 for every model",
            "It divides each row's numbers by their sum, and one number by itself is 1. "
            "There is nothing to learn.",
            at=run.layer_place(end.layer, label="one output") or training.probe.line,
            also=(run.place(training.used.call, "loss", "0 for one column"),),
            evidence=_loss(training),
            help=run.help(
                "Two classes want a sigmoid and the binary loss, more a softmax with a unit each.",
                *unit_for_each(run, training),
            ),
        )
        return


@RULE.detector
def numbers_of_classes(run: Run) -> Iterator[Finding]:
    """Find three classes or more, numbered, as the target of one number with an accuracy."""
    for training in trainings(run):
        end, y, loss = training.end, training.y, training.used.loss
        if end is None or y is None or end.width != 1 or loss not in DISTANCES:
            continue
        if (
            not is_one_dimensional(y)
            or not whole(y)
            or not has_metric(training.state, "accuracy", "acc")
        ):
            continue
        classes = np.unique(y)
        counted = np.array_equal(classes, np.arange(len(classes)) + classes[0])
        if len(classes) < 3 or classes[0] not in (0, 1) or not counted or len(y) < 2 * len(classes):
            continue
        yield RULE.finding(
            f"{len(classes)} classes are learned as one number",
            "A distance takes class 2 for twice class 1. Accuracy counts predictions that are "
            "equal to a class number.",
            at=run.layer_place(end.layer, label="one output") or training.probe.line,
            also=(run.place(training.used.call, "loss", "a distance"),),
            help=run.help(
                f"Take {len(classes)} units, a softmax and the sparse categorical loss.",
                *unit_for_each(run, training),
            ),
        )
        return


def _loss(training: Training) -> tuple[tuple[str, str], ...]:
    return (("loss at the end", f"{training.curve[-1]:.4g}"),) if training.curve else ()
