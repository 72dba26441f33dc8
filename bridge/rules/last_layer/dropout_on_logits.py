"""Dropout stands behind the last weights: answers are set to 0 at random while it is trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bridge.capsule import LayerState, ModelState
from bridge.facts.layers import class_name
from bridge.rules.asked_again import losses_in_modes
from bridge.rules.models import trainings
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, output_layer

RULE = Rule(
    "L12",
    "dropout-on-logits",
    cause="user-script",
    needs=("evaluate again",),
    explains=("P04", "T02", "D08"),
)
_DROPS: Final = frozenset({"Dropout", "AlphaDropout", "GaussianDropout", "SpatialDropout1D"})


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find dropout between the last weights and the loss, which makes the loss of training larger.

    Measured with the weights at the end, on the rows that were trained: in training mode and not.
    """
    for training in trainings(run):
        layer = _behind_the_weights(training.state)
        if layer is None:
            continue
        found = losses_in_modes(run, training.probe)
        if found is None or not found[0] > found[1]:
            continue
        yield RULE.finding(
            "Dropout works on the model's answers",
            "It stands behind the last weights. While the model is trained it sets answers to 0 at "
            "random, which no weight can make good.",
            at=run.layer_place(layer, label="behind the last weights") or training.probe.line,
            also=(training.probe.line,),
            evidence=(
                ("loss in training mode, with the last weights", f"{found[0]:.4g}"),
                ("loss in use, with the same weights", f"{found[1]:.4g}"),
            ),
            help="Put the dropout before the last layer with weights.",
        )
        return


def _behind_the_weights(state: ModelState) -> LayerState | None:
    """Return a dropout with nothing behind it that has weights, None if there is none."""
    last = output_layer(state)
    if last is None or last is not state.layers[-1]:
        return None
    for layer in reversed(state.layers):
        if layer.weights:
            return None
        if class_name(layer.cls) in _DROPS and layer.config.get("rate"):
            return layer
    return None
