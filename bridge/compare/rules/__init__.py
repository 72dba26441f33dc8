"""Rules: for a layer and its inputs, what it should return and how far float32 may be from it.

A rule evaluates the layer in float64 and derives a componentwise bound that holds for every
correct float32 implementation, in any order of summation. There is one module for each family; to
add one, write its ``RULES`` and name the module in ``_FAMILIES``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from bridge.compare.rules import dense, moving, rescaling, softmax, unary
from bridge.compare.rules.layer import (
    AnyArray,
    Evaluation,
    Layer,
    UnsupportedError,
    class_name,
    generation_of,
    layer_of,
)
from bridge.compare.rules.registry import Rule
from bridge.compare.rules.rounding import to_float32

__all__ = [
    "RULES",
    "Evaluation",
    "Layer",
    "Rule",
    "UnsupportedError",
    "class_name",
    "evaluate",
    "generation_of",
    "layer_of",
]

_FAMILIES: Final = (dense, moving, rescaling, softmax, unary)

#: The rules by the name of the layer's class.
RULES: Final[dict[str, Rule]] = {
    name: rule for family in _FAMILIES for name, rule in family.RULES.items()
}


def evaluate(
    layer: Layer, inputs: Sequence[AnyArray], *, received: bool = True
) -> tuple[Evaluation, ...]:
    """Evaluate a layer on its inputs, one evaluation for each output.

    ``received`` says that the inputs are what the layer was really given: they are cast to float32
    first, as Keras casts them (R has only doubles; the layer computes with the float32 next to
    each). A chain of float64 evaluations passes False.

    Raises:
        UnsupportedError: no rule covers the layer; the message is a sentence that says why.
    """
    name = class_name(layer.cls)
    if name is None:
        raise UnsupportedError(f"{layer.cls} is not a layer of Keras")
    rule = RULES.get(name)
    if rule is None:
        raise UnsupportedError(f"there is no rule for {name}")
    if not inputs:
        raise UnsupportedError("its inputs were not recorded")
    if name not in moving.RULES:
        inputs = [_number(x, received) for x in inputs]
    try:
        return rule(layer, inputs)
    except ValueError as error:
        raise UnsupportedError(
            f"its rule cannot be applied to what was recorded: {error}"
        ) from None


def _number(x: AnyArray, received: bool) -> AnyArray:
    cast = received or x.dtype.kind in "biu"
    return to_float32(x).astype(np.float64) if cast else x.astype(np.float64)
