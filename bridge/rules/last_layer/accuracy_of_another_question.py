"""The accuracy that is told answers another question than is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.rules.models import Training, has_metric, trainings, whole
from bridge.rules.rule import Finding, Help, Rule
from bridge.rules.run import Run, is_one_dimensional, same

RULE = Rule("L10", "accuracy-of-another-question", cause="maths", whose="Keras")


@RULE.detector
def several_labels(run: Run) -> Iterator[Finding]:
    """Find several labels of a row whose accuracy compares the largest column alone."""
    for training in trainings(run, evaluations=True):
        end, y = training.end, training.y
        if end is None or y is None or end.activation not in ("sigmoid", "hard_sigmoid"):
            continue
        if not has_metric(training.state, "accuracy", "acc") or y.ndim != 2 or y.shape[1] < 2:
            continue
        labels = bool(np.all((y == 0) | (y == 1)))
        if end.width != y.shape[1] or not labels or np.all(y.sum(axis=1) == 1):
            continue
        yield RULE.finding(
            "Accuracy compares only the largest of the labels of a row",
            f'With {y.shape[1]} columns, "accuracy" is that of one class of several. '
            "Rows here have any number of labels.",
            at=run.place(training.used.call, "metrics", "of one class of several")
            or training.probe.line,
            evidence=_both(run, training, y),
            help=Help(
                text="Ask for the accuracy of each label.",
                before='metrics = "accuracy"',
                after='metrics = "binary_accuracy"',
            ),
        )
        return


@RULE.detector
def other_labels(run: Run) -> Iterator[Finding]:
    """Find two classes that are not 0 and 1, of which an accuracy never counts one as right."""
    for training in trainings(run, evaluations=True):
        end, y = training.end, training.y
        if end is None or y is None or end.width != 1 or not is_one_dimensional(y) or not whole(y):
            continue
        values = {float(each) for each in np.unique(y)}
        if len(values) != 2 or values <= {0.0, 1.0}:
            continue
        if has_metric(training.state, "accuracy", "acc", "binary_accuracy"):
            yield RULE.finding(
                "Accuracy never counts one of the two classes as right",
                "It compares each label with 0 or 1, and the labels are "
                f"{min(values):g} and {max(values):g}.",
                at=run.place(training.used.call, "metrics", "of labels 0 and 1")
                or training.probe.line,
                help="Number the classes 0 and 1, or compare the signs yourself.",
            )
            return


def _both(run: Run, training: Training, y: npt.NDArray[Any]) -> tuple[tuple[str, str], ...]:
    """Return both accuracies of a prediction of the same rows."""
    for probe in run.probes:
        state = run.state(probe)
        if probe.kind != "predict" or state is None or state.id != training.state.id:
            continue
        if len(probe.inputs) != 1 or not same(run.array(probe.inputs[0]), training.x):
            continue
        p = run.array(probe.outputs[0])
        if p is not None and p.shape == y.shape:
            largest = float(np.mean(p.argmax(axis=1) == y.argmax(axis=1)))
            return (
                ("accuracy of the largest column", f"{largest:.4g}"),
                ("accuracy of each label", f"{float(np.mean((p > 0.5) == (y > 0.5))):.4g}"),
            )
    return ()
