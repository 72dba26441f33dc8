"""Layers that were executed in one: a graph optimiser may fuse a layer with those after it.

What the first one made was never seen, so its error is carried through the others. That is done
for layers that apply an activation, for those that rescale, and for those that do nothing at
inference; and for operations that round nothing, after others that round nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from pydantic import JsonValue

from bridge.facts.layers import LAYERS, class_name
from bridge.rounding.rules import activations, operations
from bridge.rounding.rules.activations import added_by, apply_activation
from bridge.rounding.rules.layer import Evaluation, Layer, UnsupportedError
from bridge.rounding.rules.rescaling import rescaled


def follow(layers: Sequence[Layer], first: Evaluation) -> Evaluation:
    """Carry the evaluation of a layer through the layers after it.

    Raises:
        UnsupportedError: one of them is of a kind that errors are not carried through.
    """
    found = first
    for layer in layers:
        found = _after(layer, found)
    return found


def moved_by(layers: Sequence[Layer]) -> float:
    """Return the constant that these layers add to what they are given before anything else."""
    for layer in layers:
        name = class_name(layer.cls) or layer.cls
        if name in activations.RULES:
            return added_by(_spec(layer, name), layer.generation, layer.arithmetic())
    return 0.0


def _spec(layer: Layer, name: str) -> JsonValue:
    """Return a layer that is nothing but an activation as other layers name it."""
    whole: JsonValue = {"class_name": name, "config": dict(layer.config)}
    return layer.config.get("activation") if name == "Activation" else whole


def _after(layer: Layer, before: Evaluation) -> Evaluation:
    name = class_name(layer.cls) or layer.cls
    if name in operations.RULES and before.derive is None:
        (after,) = operations.RULES[name](layer, [before.value])
        return after
    fmt = layer.arithmetic()
    value = before.value.astype(np.float64)
    if name == "Rescaling":
        after = rescaled(layer, value, lambda: before.bound)
        return replace(after, missed=before.missed, sampled=before.sampled, doubt=before.doubt)
    if name in LAYERS and LAYERS[name].silent and layer.training is False:
        return before
    if name in activations.RULES:
        spec = _spec(layer, name)
        after = apply_activation(spec, layer.generation, value, lambda: before.bound, fmt)
        sampled = " and ".join(part for part in (before.sampled, after.sampled) if part)
        return replace(after, missed=before.missed * after.missed, sampled=sampled)
    raise UnsupportedError(f"it was executed in one with {layer.name!r}, a {name}, through which "
                           "no error is carried")  # fmt: skip
