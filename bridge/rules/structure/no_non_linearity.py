"""Layers without an activation between them do no more than one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bridge.capsule import ModelState
from bridge.facts.layers import class_name, facts_of
from bridge.rules.models import Training, trainings
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, activation_of, output_layer

RULE = Rule("M01", "no-non-linearity", cause="maths", explains=("T02",))
F64 = npt.NDArray[np.float64]
#: Newton's steps double the digits: so many are far more than a minimum needs.
_STEPS: Final = 50
_HELP = 'Give the inner layer an activation, such as "relu".'


@RULE.detector
def least_loss(run: Run) -> Iterator[Finding]:
    """Find a model that is one affine map, where the least loss of such a map is what is left."""
    for training in trainings(run):
        learned = _affine(training.state)
        if learned < 2 or not training.curve or not training.plain:
            continue
        squares = training.used.loss == "meansquarederror"
        bound = _least_squares(training) if squares else _least_logistic(training)
        last = training.curve[-1]
        if bound is None or not np.isfinite(last) or bound <= last / 2:
            continue
        yield RULE.finding(
            f"{learned} layers without an activation are one linear model",
            "A linear map of a linear map is linear. "
            f"No linear model has a loss below {bound:.4g} on these rows.",
            at=run.layer_place(_inner(training.state), label="no activation")
            or training.probe.line,
            evidence=(
                ("least loss of a linear model", f"{bound:.4g}"),
                ("loss at the end", f"{last:.4g}"),
            ),
            help=_HELP,
        )
        return


@RULE.detector
def in_a_row(run: Run) -> Iterator[Finding]:
    """Tell of two dense layers without an activation between; who wants that has it."""
    for state in run.capsule.manifest.states:
        if not _is_chain(state):
            continue
        for earlier, later in pairwise(state.layers):
            both = all(class_name(layer.cls) == "Dense" for layer in (earlier, later))
            if both and activation_of(earlier.config) == "linear":
                yield RULE.finding(
                    "Two dense layers without an activation between them are one",
                    "A linear map of a linear map is linear: the second layer adds no bend.",
                    at=run.layer_place(earlier, label="no activation"),
                    help=_HELP,
                    decides=False,
                )
                return


def _affine(state: ModelState) -> int:
    """Return how many layers with weights a model has that is one affine map, 0 if it is none."""
    if not _is_chain(state):
        return 0
    count = 0
    last = output_layer(state)
    for layer in state.layers:
        facts = facts_of(layer.cls)
        straight = ("", "linear", "sigmoid") if layer is last else ("", "linear")
        if facts is None or not facts.affine or activation_of(layer.config) not in straight:
            return 0
        count += bool(layer.weights) and facts.does == "products"
    return count


def _is_chain(state: ModelState) -> bool:
    """Say whether each layer of a model is given what the one before it gives."""
    if state.cls.endswith("Sequential"):
        return True
    given = [layer.inbound for layer in state.layers]
    names = [(layer.name,) for layer in state.layers]
    return bool(given) and not given[0] and given[1:] == names[:-1]


def _inner(state: ModelState) -> Any:
    last = output_layer(state)
    return next((layer for layer in state.layers if layer.weights and layer is not last), None)


def _least_squares(training: Training) -> float | None:
    """Return the least squared error of any affine map of the inputs, on the trained rows."""
    found = _design(training)
    if found is None or training.end is None or training.end.activation != "linear":
        return None
    design, targets = found
    best, *_ = np.linalg.lstsq(design, targets, rcond=None)
    return float(np.mean((design @ best - targets) ** 2))


def _least_logistic(training: Training) -> float | None:
    """Return the least binary cross entropy of any affine map of the inputs before a sigmoid.

    The loss is convex, so that Newton's steps come to its minimum; where they do not, as for rows
    that a plane parts, nothing is said.
    """
    found = _design(training)
    if found is None or training.used.loss != "binarycrossentropy" or training.used.logits:
        return None
    design, targets = found
    if targets.shape[1] != 1 or training.end is None or training.end.activation != "sigmoid":
        return None
    y, weights = targets[:, 0], np.zeros(design.shape[1])
    for _ in range(_STEPS):
        z = design @ weights
        p = 1.0 / (1.0 + np.exp(-np.clip(z, -700, 700)))
        gradient = design.T @ (p - y)
        curvature = design.T @ (design * (p * (1 - p))[:, None])
        step, *_ = np.linalg.lstsq(curvature, gradient, rcond=None)
        # What a step can still gain of a convex loss, by Newton's decrement.
        gain = float(gradient @ step)
        if not np.isfinite(gain):
            return None
        if gain <= len(y) * float(np.finfo(np.float32).eps):
            return float(np.mean(np.logaddexp(0.0, z) - y * z))
        weights = weights - step
    return None


def _design(training: Training) -> tuple[F64, F64] | None:
    """Return the inputs with a column of ones, and the targets, of the rows that were trained."""
    x, y = training.x, training.y
    if x is None or y is None or len(x) != len(y) or not training.rows:
        return None
    a, b = (np.asarray(v[: training.rows], np.float64) for v in (x, y))
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    if not np.all(np.isfinite(a)) or not np.all(np.isfinite(b)) or a.shape[1] >= len(a):
        return None
    return np.column_stack([a, np.ones(len(a))]), b
