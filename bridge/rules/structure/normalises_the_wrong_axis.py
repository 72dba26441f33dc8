"""A layer normalises over an axis of length 1, and so makes a constant of it."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.facts.layers import class_name
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule("M05", "normalises-the-wrong-axis", cause="maths", explains=("M07", "D08", "M02"))


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find a layer normalisation of one number."""
    for probe in run.probes:
        state = run.state(probe)
        if state is None:
            continue
        widths = {each.layer: each.outputs[0].shape for each in probe.layers if each.outputs}
        for layer in state.layers:
            if class_name(layer.cls) != "LayerNormalization" or not widths.get(layer.name):
                continue
            if layer.config.get("axis") in (-1, [-1]) and widths[layer.name][-1] == 1:
                yield RULE.finding(
                    "A layer normalises a single number, and so always gives the same",
                    "One number is its own mean: nothing is left of it but the layer's offset.",
                    at=run.layer_place(layer, label="over an axis of length 1") or probe.line,
                    help="Normalise over an axis that has more than one element.",
                )
                return
