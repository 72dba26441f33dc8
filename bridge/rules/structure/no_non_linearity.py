"""Layers without an activation between them do no more than one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.capsule import ModelState
from bridge.facts.layers import class_name, facts_of
from bridge.rules.models import Training, trainings
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, activation_of, output_layer

RULE = Rule("M01", "no-non-linearity", cause="maths", explains=("T02",))
_HELP = 'Give the inner layer an activation, such as "relu".'


@RULE.detector
def least_squares(run: Run) -> Iterator[Finding]:
    """Find a model that is one affine map, where a loss of least squares is what is left."""
    for training in trainings(run):
        learned = _affine(training.state)
        if learned < 2 or training.used.loss != "meansquarederror" or not training.curve:
            continue
        bound = _least_squares(training)
        last = training.curve[-1]
        if bound is None or not np.isfinite(last) or bound <= last / 2:
            continue
        yield RULE.finding(
            f"{learned} layers without an activation are one linear model",
            "A linear map of a linear map is linear. Least squares cannot be beaten by it: "
            f"the loss cannot fall below {bound:.4g}.",
            at=run.layer_place(_inner(training.state), label="no activation")
            or training.probe.line,
            evidence=(
                ("loss of least squares", f"{bound:.4g}"),
                ("loss at the end", f"{last:.4g}"),
            ),
            help=_HELP,
        )
        return


@RULE.detector
def in_a_row(run: Run) -> Iterator[Finding]:
    """Tell of two dense layers without an activation between; who wants that has it."""
    for state in run.capsule.manifest.states:
        if not state.cls.endswith("Sequential"):
            continue
        for one, other in pairwise(state.layers):
            both = all(class_name(each.cls) == "Dense" for each in (one, other))
            if both and activation_of(one.config) == "linear":
                yield RULE.finding(
                    "Two dense layers without an activation between them are one",
                    "A linear map of a linear map is linear: the second layer adds no bend.",
                    at=run.layer_place(one, label="no activation"),
                    help=_HELP,
                    decides=False,
                )
                return


def _affine(state: ModelState) -> int:
    """Return how many layers with weights a model has that is one affine map, 0 if it is none."""
    if not state.cls.endswith("Sequential"):
        return 0
    count = 0
    for layer in state.layers:
        facts = facts_of(layer.cls)
        if facts is None or not facts.affine or activation_of(layer.config) not in ("", "linear"):
            return 0
        count += bool(layer.weights) and facts.does == "products"
    return count


def _inner(state: ModelState) -> Any:
    last = output_layer(state)
    return next((each for each in state.layers if each.weights and each is not last), None)


def _least_squares(training: Training) -> float | None:
    """Return the least loss that any affine map of the inputs has on the rows of a training."""
    x, y = training.x, training.y
    if x is None or y is None or len(x) != len(y) or not training.rows:
        return None
    a = _flat(x[: training.rows])
    b = _flat(y[: training.rows])
    if not np.all(np.isfinite(a)) or not np.all(np.isfinite(b)) or a.shape[1] >= len(a):
        return None
    design = np.column_stack([a, np.ones(len(a))])
    found, *_ = np.linalg.lstsq(design, b, rcond=None)
    return float(np.mean((design @ found - b) ** 2))


def _flat(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return np.asarray(values, np.float64).reshape(len(values), -1)
