"""Layers that apply an activation to each element of their input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bridge.compare.rules.activate import apply_activation
from bridge.compare.rules.activations import LAYERS
from bridge.compare.rules.layer import (
    AnyArray,
    Evaluation,
    Layer,
    UnsupportedError,
    class_name,
    single,
)
from bridge.compare.rules.registry import Rule
from bridge.compare.rules.rounding import FLOAT32


def unary(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate the layer; its input is known exactly."""
    x = single(inputs)
    spec = layer.config.get("activation")
    name = class_name(layer.cls)
    if name == "Activation" and (spec is None or spec == "linear"):
        return (Evaluation(x),)
    fmt = layer.arithmetic()
    if name == "Activation":
        return (apply_activation(spec, layer.generation, x, fmt=fmt),)
    if fmt is not FLOAT32:
        raise UnsupportedError(f"its kernel was not measured in {fmt.name}")
    return (LAYERS[name or ""](layer.config, layer.generation).evaluate(x),)


RULES: Final[Mapping[str, Rule]] = dict.fromkeys(LAYERS, unary)
