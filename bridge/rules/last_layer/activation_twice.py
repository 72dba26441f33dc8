"""A sigmoid or softmax is applied to what one has already made."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from bridge.capsule import LayerState
from bridge.facts.layers import class_name
from bridge.rules.losses import PROBABILITIES
from bridge.rules.models import trainings
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, activation_of

RULE = Rule("L05", "activation-twice", cause="user-script")


@RULE.detector
def told_logits(run: Run) -> Iterator[Finding]:
    """Find a loss that applies an activation that the last layer has applied."""
    for training in trainings(run, evaluations=True):
        end, used = training.end, training.used
        if used.loss not in PROBABILITIES or not used.logits or end is None:
            continue
        if end.activation not in ("sigmoid", "softmax"):
            continue
        yield RULE.finding(
            f"from_logits = TRUE after a {end.activation} applies it twice",
            f"The last layer ends in a {end.activation}, and the loss applies it once more. "
            "Its numbers then lie so close together that little is learned.",
            at=run.place(used.call, "loss", "told that it gets logits"),
            also=(run.layer_place(end.by, "activation", "applied here already"),),
            help="Leave out from_logits = TRUE, or make the last layer linear.",
        )
        return


@RULE.detector
def in_a_row(run: Run) -> Iterator[Finding]:
    """Find two layers in a row that apply the same."""
    for probe in run.probes:
        state = run.state(probe)
        if state is None or not state.cls.endswith("Sequential"):
            continue
        for earlier, later in pairwise(state.layers):
            name = _squashes(earlier)
            bare = class_name(later.cls) in ("Activation", "Softmax")
            if not name or name != _squashes(later) or not bare:
                continue
            yield RULE.finding(
                f"The {name} is applied twice in a row",
                "Numbers between 0 and 1 come out again, but squeezed together.",
                at=run.layer_place(later, label="once more") or probe.line,
                also=(run.layer_place(earlier, "activation", "applied here already"),),
                help="One of the two is enough.",
            )
            return


def _squashes(layer: LayerState) -> str:
    name = "softmax" if class_name(layer.cls) == "Softmax" else activation_of(layer.config)
    return name if name in ("softmax", "sigmoid") else ""
