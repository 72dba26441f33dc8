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
        if layer is None or not training.curve or not _lost(training):
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
    if not np.isfinite(last):
        return True
    if training.y is None:
        return False
    chance = best_constant(training.used.loss, training.y)
    return chance is not None and last > training.curve[0] and last > chance
