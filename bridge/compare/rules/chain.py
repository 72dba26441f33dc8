"""Layers that were executed in one: a graph optimiser may fuse a layer with those after it.

What the first one made was never seen, so its error is carried through the others. That is done
for layers that apply an activation and for those that do nothing at inference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from pydantic import JsonValue

from bridge.compare.rules import moving, unary
from bridge.compare.rules.activate import apply_activation
from bridge.compare.rules.layer import Evaluation, Layer, UnsupportedError, class_name


def follow(layers: Sequence[Layer], first: Evaluation) -> Evaluation:
    """Carry the evaluation of a layer through the layers after it.

    Raises:
        UnsupportedError: one of them is of a kind that errors are not carried through.
    """
    found = first
    for layer in layers:
        found = _after(layer, found)
    return found


def _after(layer: Layer, before: Evaluation) -> Evaluation:
    name = class_name(layer.cls) or layer.cls
    fmt = layer.arithmetic()
    value = before.value.astype(np.float64)
    if name in moving.RULES and name not in ("Flatten", "Reshape") and layer.training is False:
        return before
    if name in unary.RULES:
        own = layer.config.get("activation")
        whole: JsonValue = {"class_name": name, "config": dict(layer.config)}
        spec = own if name == "Activation" else whole
        after = apply_activation(spec, layer.generation, value, lambda: before.bound, fmt)
        sampled = " and ".join(part for part in (before.sampled, after.sampled) if part)
        return replace(after, missed=before.missed * after.missed, sampled=sampled)
    raise UnsupportedError(f"it was executed in one with {layer.name!r}, a {name}, through which "
                           "no error is carried")  # fmt: skip
