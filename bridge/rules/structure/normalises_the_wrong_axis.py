"""A layer normalises over an axis of length 1, or for each place instead of each channel."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.capsule import LayerState, ModelState
from bridge.facts.layers import class_name
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule("M05", "normalises-the-wrong-axis", cause="maths", explains=("M07", "D08", "M02"))


@RULE.detector
def one_number(run: Run) -> Iterator[Finding]:
    """Find a layer normalisation of one number."""
    for probe in run.probes:
        state = run.state(probe)
        if state is None:
            continue
        widths = {layer.layer: layer.outputs[0].shape for layer in probe.layers if layer.outputs}
        for layer in state.layers:
            shape = layer.shape or widths.get(layer.name)
            if class_name(layer.cls) != "LayerNormalization" or not shape:
                continue
            if layer.config.get("axis") in (-1, [-1], [len(shape) - 1]) and shape[-1] == 1:
                yield RULE.finding(
                    "A layer normalises a single number, and so always gives the same",
                    "One number is its own mean: nothing is left of it but the layer's offset.",
                    at=run.layer_place(layer, label="over an axis of length 1") or probe.line,
                    help="Normalise over an axis that has more than one element.",
                )
                return


@RULE.detector
def places(run: Run) -> Iterator[Finding]:
    """Find a batch normalisation whose axis is a place, where channels come last."""
    for probe in run.probes:
        state = run.state(probe)
        for layer in state.layers if state is not None else ():
            shape, axis = layer.shape, _axis(layer)
            if class_name(layer.cls) != "BatchNormalization" or shape is None or axis is None:
                continue
            last = len(shape) - 1
            if last < 2 or axis in (-1, last) or state is None or _channels_first(state):
                continue
            yield RULE.finding(
                "Batch normalisation is given a place as its axis, not the channels",
                f"Channels are the last axis here, with {shape[-1]} of them. It keeps a mean for "
                f"each of {shape[axis]} places instead.",
                at=run.layer_place(layer, "axis", "a place") or probe.line,
                help="Leave axis out: the last one is the default.",
            )
            return


def _axis(layer: LayerState) -> int | None:
    axis = layer.config.get("axis")
    first = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    return first if isinstance(first, int) else None


def _channels_first(state: ModelState) -> bool:
    return any(layer.config.get("data_format") == "channels_first" for layer in state.layers)
