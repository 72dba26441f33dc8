"""Layers that apply an activation to each element of their input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bridge.compare.rules.activations import LAYERS, activation_of
from bridge.compare.rules.layer import AnyArray, Evaluation, Layer, class_name, single
from bridge.compare.rules.registry import Rule
from bridge.compare.rules.softmax import softmax


def unary(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate the layer; its input is known exactly."""
    x = single(inputs)
    spec = layer.config.get("activation")
    name = class_name(layer.cls)
    if name == "Activation" and (spec is None or spec == "linear"):
        return (Evaluation(x),)
    layer.in_float32()
    if name == "Activation" and spec == "softmax":
        return (softmax(x, axis=-1),)
    if name == "Activation":
        return (activation_of(spec, layer.generation).evaluate(x),)
    return (LAYERS[name or ""](layer.config, layer.generation).evaluate(x),)


RULES: Final[Mapping[str, Rule]] = dict.fromkeys(LAYERS, unary)
