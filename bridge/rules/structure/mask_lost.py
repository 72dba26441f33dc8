"""A mask is made that reaches nobody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.capsule import LayerState
from bridge.facts.layers import class_name
from bridge.rules.asked_again import asked_again, predictions, same_bits
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run

RULE = Rule("M09", "mask-lost", cause="keras-layer", whose="Keras", needs=("predict again",))


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find masked steps that change no bit of the output: without a mask it is the same."""
    for probe, state in predictions(run):
        masking = next((layer for layer in state.layers if _masks(layer)), None)
        x = run.array(probe.inputs[0]) if len(probe.inputs) == 1 else None
        if masking is None or x is None or not _is_masked(masking, x):
            continue
        both = asked_again(run, probe, "mask")
        if both is None or not same_bits(both):
            continue
        yield RULE.finding(
            "The mask is lost: masked steps count like all others",
            "Some steps are masked, and without a mask the model gives the same bits. "
            "A layer in between hands no mask on.",
            at=run.layer_place(masking, label="makes a mask") or probe.line,
            also=(probe.line,),
            evidence=(("built again without the mask", "the same bits"),),
            help="Let a recurrent or pooling layer that heeds masks follow before axes are merged.",
        )
        return


def _masks(layer: LayerState) -> bool:
    return class_name(layer.cls) == "Masking" or layer.config.get("mask_zero") is True


def _is_masked(layer: LayerState, x: npt.NDArray[Any]) -> bool:
    """Say whether a layer masks a step of these rows."""
    if layer.config.get("mask_zero") is True:
        return bool(np.any(x == 0))
    value = layer.config.get("mask_value", 0.0)
    return x.ndim > 2 and bool(np.any(np.all(x == value, axis=-1)))
