"""Layers that apply an activation to each element of their input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bridge._typing import AnyArray
from bridge.rounding.rules.activate import apply_activation
from bridge.rounding.rules.activations import LAYERS
from bridge.rounding.rules.families import prelu
from bridge.rounding.rules.layer import (
    Evaluation,
    Layer,
    Rule,
    UnsupportedError,
    class_name,
    single,
)


def unary(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate the layer; its input is known exactly."""
    x = single(inputs)
    spec = layer.config.get("activation")
    name = class_name(layer.cls) or ""
    if name == "Activation" and (spec is None or spec == "linear"):
        return (Evaluation(x),)
    fmt = layer.arithmetic()
    if name == "Activation":
        return (apply_activation(spec, layer.generation, x, fmt=fmt),)
    return (LAYERS[name](layer.config, layer.generation, fmt).evaluate(x),)


def parametric(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate a PReLU layer: its weight ``alpha`` has one slope for each element of a sample.

    Raises:
        UnsupportedError: the slopes do not fit the input.
    """
    x = single(inputs)
    slopes = layer.numbers("alpha")["alpha"]
    fits = slopes.ndim == x.ndim - 1 and all(
        own in (1, size) for own, size in zip(slopes.shape, x.shape[1:], strict=True)
    )
    if not fits:
        raise UnsupportedError(
            f"its input of shape {x.shape} does not fit slopes of shape {slopes.shape}"
        )
    return (prelu(slopes, layer.arithmetic()).evaluate(x),)


RULES: Final[Mapping[str, Rule]] = {**dict.fromkeys(LAYERS, unary), "PReLU": parametric}
