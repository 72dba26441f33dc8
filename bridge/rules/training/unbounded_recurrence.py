"""A recurrent layer has an activation without an end, and its state grows step by step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bridge.capsule import LayerState, ModelState
from bridge.facts.layers import class_name
from bridge.rules.models import Training, best_constant, trainings
from bridge.rules.rule import Finding, Help, Rule
from bridge.rules.run import Run, activation_of

RULE = Rule("T08", "unbounded-recurrence", cause="maths", explains=("T03", "M02", "D01", "D08"))
_UNBOUNDED = ("relu", "linear", "elu", "selu", "leaky_relu", "exponential", "softplus")


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a recurrence without an end to its activation, where training came to no good."""
    for training in trainings(run):
        layer = _unbounded(training.state)
        if layer is None or not training.curve:
            continue
        if not (_lost(training) or (_grows(run, layer) and _is_beyond_chance(training))):
            continue
        name = activation_of(layer.config)
        yield RULE.finding(
            f"A recurrent layer with {name} grows from step to step",
            f"Its state is multiplied at every step, and a {name} does not hold it. "
            f"The loss is {training.curve[-1]:.3g} in the end.",
            at=run.layer_place(layer, "activation", "has no upper end") or training.probe.line,
            also=(training.probe.line,),
            evidence=(("largest loss", f"{max(training.curve):.4g}"),),
            help=Help(
                text="Leave the activation out: the default, tanh, holds the state.",
                before=f'activation = "{name}"',
                after='activation = "tanh"',
            ),
            confidence="likely",
        )
        return


def _unbounded(state: ModelState) -> LayerState | None:
    for layer in state.layers:
        recurs = class_name(layer.cls) in ("SimpleRNN", "LSTM", "GRU")
        if recurs and activation_of(layer.config) in _UNBOUNDED:
            return layer
    return None


def _lost(training: Training) -> bool:
    """Say whether a loss is no number, or worse in the end than one answer for all rows."""
    last = training.curve[-1]
    worse = last > training.curve[0] and _is_beyond_chance(training)
    return not np.isfinite(last) or worse


def _is_beyond_chance(training: Training) -> bool:
    """Say whether the loss is above that of one answer for all rows."""
    chance = None if training.y is None else best_constant(training.used.loss, training.y)
    return chance is not None and training.curve[-1] > chance


def _grows(run: Run, layer: LayerState) -> bool:
    """Say whether some state is longer after each step: an eigenvalue of the kernel is above 1."""
    for record in layer.weights:
        kernel = run.array(record.array) if record.name == "recurrent_kernel" else None
        square = kernel is not None and kernel.ndim == 2 and kernel.shape[0] == kernel.shape[1]
        if kernel is not None and square and np.all(np.isfinite(kernel)):
            most = float(np.max(np.abs(np.linalg.eigvals(np.asarray(kernel, np.float64)))))
            # What an orthogonal start leaves of 1 in float32.
            return most > 1 + len(kernel) * float(np.finfo(np.float32).eps)
    return False
