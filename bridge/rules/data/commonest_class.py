"""The model answers the commonest class for every row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.rules.models import Training, ending, is_one_hot, trainings, whole
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, is_one_dimensional, same

RULE = Rule("D08", "commonest-class", cause="maths")


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Tell of predictions of one class alone, whose accuracy is exactly that class's share."""
    known = list(trainings(run, evaluations=True))
    for probe in run.probes:
        state = run.state(probe)
        if probe.kind != "predict" or state is None or len(probe.outputs) != 1:
            continue
        x = run.array(probe.inputs[0]) if len(probe.inputs) == 1 else None
        p = run.array(probe.outputs[0])
        asked = next(
            (
                training
                for training in known
                if training.state.id == state.id and same(training.x, x)
            ),
            None,
        )
        end = ending(state)
        if asked is None or p is None or end is None or not _asked_before(known, asked):
            continue
        truth, guess = _classes(asked.y), _guesses(p, end.activation)
        if truth is None or guess is None or len(truth) != len(guess) or len(truth) < 2:
            continue
        classes, counts = np.unique(truth, return_counts=True)
        commonest = int(classes[counts.argmax()])
        alone = np.all(guess == commonest) and counts.max() * 2 > len(truth) and len(classes) > 1
        if not alone:
            continue
        share = float(counts.max() / len(truth))
        yield RULE.finding(
            "The model answers the commonest class for every row",
            f"{counts.max():,} of {len(truth):,} rows are of class {commonest}, so that its "
            f"accuracy is {share:.4g} without looking.",
            at=probe.line,
            evidence=(("accuracy", f"{share:.4g}"), ("share of the class", f"{share:.4g}")),
            help="Compare with that share, and look at each class by itself.",
            open=("why it learned no more",),
            decides=False,
        )
        return


def _asked_before(known: list[Training], asked: Training) -> bool:
    return any(
        training.probe.kind == "fit" and training.state.id == asked.state.id for training in known
    )


def _classes(y: npt.NDArray[Any] | None) -> npt.NDArray[Any] | None:
    if y is None or not y.size:
        return None
    if is_one_hot(y) and y.ndim == 2:
        return np.asarray(y.argmax(axis=1))
    return np.asarray(y).reshape(len(y)) if is_one_dimensional(y) and whole(y) else None


def _guesses(p: npt.NDArray[Any], activation: str) -> npt.NDArray[Any] | None:
    if p.ndim == 2 and p.shape[1] > 1 and activation in ("softmax", "sigmoid"):
        return np.asarray(p.argmax(axis=1))
    if activation == "sigmoid" and is_one_dimensional(p):
        return np.asarray(p.reshape(len(p)) > 0.5).astype(int)
    return None
