"""Rules: for a layer and its inputs, what it should return and how far float32 may be from it.

A rule evaluates the layer in float64 and derives a componentwise bound that holds for every
correct float32 implementation, in any order of summation. There is one module for each family; to
add a layer, write its rule into its family's ``RULES`` and its row into ``bridge.facts.layers``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from pydantic import JsonValue

from bridge._typing import F64, AnyArray
from bridge.facts.layers import LAYERS, class_name
from bridge.rounding.rules import (
    activations,
    merging,
    moving,
    normalising,
    products,
    recurrent,
    windows,
    wrappers,
)
from bridge.rounding.rules.activations import added_by, apply_activation
from bridge.rounding.rules.layer import (
    Evaluation,
    Layer,
    ObservedRule,
    Rule,
    UnsupportedError,
    layer_of,
)
from bridge.rounding.rules.merging import rescaled
from bridge.rounding.rules.rounding import FLOAT32, FORMATS

__all__ = [
    "OBSERVED",
    "RULES",
    "Evaluation",
    "Layer",
    "Rule",
    "UnsupportedError",
    "cast_inputs",
    "evaluate",
    "evaluate_chain",
    "follow",
    "layer_of",
]

_FAMILIES: Final = (
    products,
    merging,
    moving,
    normalising,
    windows,
    recurrent,
    activations,
    wrappers,
)

#: The rules by the name of the layer's class.
RULES: Final[dict[str, Rule]] = {
    name: rule for family in _FAMILIES for name, rule in family.RULES.items()
}

#: Rules that need what the layer returned as well: a recurrent layer's own last state.
OBSERVED: Final[dict[str, ObservedRule]] = {
    name: rule for family in _FAMILIES for name, rule in getattr(family, "OBSERVED", {}).items()
}


def evaluate(
    layer: Layer,
    inputs: Sequence[AnyArray],
    *,
    received: bool = True,
    outputs: Sequence[AnyArray] | None = None,
) -> tuple[Evaluation, ...]:
    """Evaluate a layer on its inputs, one evaluation for each output.

    ``received`` says that the inputs are what the layer was really given: they are cast first to
    the type in which it computes, as Keras casts them (R has only doubles; the layer computes with
    the float32 next to each). A chain of float64 evaluations passes False. With ``outputs``, what
    the layer returned, a recurrent layer is judged step by step, each on the state that it had.

    Raises:
        UnsupportedError: no rule covers the layer; the message is a sentence that says why.
    """
    name = class_name(layer.cls)
    if name is None:
        raise UnsupportedError(f"{layer.cls} is not a layer of Keras")
    rule = RULES.get(name)
    if rule is None:
        raise UnsupportedError(f"there is no rule for {name}")
    if layer.masked and not LAYERS[name].steps_alike:
        raise UnsupportedError("it was given a mask, and its rule does not know masks")
    if not inputs:
        raise UnsupportedError("its inputs were not recorded")
    given, inputs = inputs, cast_inputs(layer, inputs, received=received)
    try:
        if outputs is not None and name in OBSERVED:
            return OBSERVED[name](layer, inputs, outputs)
        found = rule(layer, inputs)
        cast = any(x.dtype != y.dtype for x, y in zip(given, inputs, strict=True))
        return tuple(map(_flushing, found)) if cast and LAYERS[name].given != "numbers" else found
    except ValueError as error:
        raise UnsupportedError(
            f"its rule cannot be applied to what was recorded: {error}"
        ) from None


def cast_inputs(
    layer: Layer, inputs: Sequence[AnyArray], *, received: bool = True
) -> list[AnyArray]:
    """Return the inputs as a layer that has a rule computes with them, or hands them on.

    ``received`` is as for :func:`evaluate`.
    """
    facts = LAYERS[class_name(layer.cls) or ""]
    if facts.given == "numbers":
        wide = layer.generation == 3 and facts.wide
        return [_number(x, layer, received, wide) for x in inputs]
    if received and facts.given == "elements":
        return [_element(x, layer) for x in inputs]
    return list(inputs)


def evaluate_chain(
    layers: Sequence[Layer],
    inputs: Sequence[AnyArray],
    *,
    received: bool = True,
    outputs: Sequence[AnyArray] | None = None,
) -> tuple[Evaluation, ...]:
    """Evaluate a layer and those that were executed in one with it.

    Raises:
        UnsupportedError: no rule covers one of them.
    """
    first, *then = layers
    if not then:
        return evaluate(first, inputs, received=received, outputs=outputs)
    found = evaluate(replace(first, offset=offset_of(then)), inputs, received=received)
    return tuple(follow(then, evaluation) for evaluation in found)


# Layers that were executed in one: a graph optimiser may fuse a layer with those after it.
#
# What the first one made was never seen, so its error is carried through the others. That is done
# for layers that apply an activation, for those that rescale, and for those that do nothing at
# inference; and for operations that round nothing, after others that round nothing.


def follow(layers: Sequence[Layer], first: Evaluation) -> Evaluation:
    """Carry the evaluation of a layer through the layers after it.

    Raises:
        UnsupportedError: one of them is of a kind that errors are not carried through.
    """
    found = first
    for layer in layers:
        found = _after(layer, found)
    return found


def offset_of(layers: Sequence[Layer]) -> float:
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
    if name in moving.RULES and before.derive is None:
        (after,) = moving.RULES[name](layer, [before.value])
        return after
    fmt = layer.arithmetic()
    value = before.value.astype(np.float64)
    if name == "Rescaling":
        after = rescaled(layer, value, lambda: before.bound)
        return replace(after, missed=before.missed, sampled=before.sampled, doubt=before.doubt)
    if name in LAYERS and LAYERS[name].silent and not layer.training:
        return before
    if name in activations.RULES:
        spec = _spec(layer, name)
        after = apply_activation(spec, layer.generation, value, lambda: before.bound, fmt)
        sampled = " and ".join(part for part in (before.sampled, after.sampled) if part)
        return replace(after, missed=before.missed * after.missed, sampled=sampled)
    raise UnsupportedError(f"it was executed in one with {layer.name!r}, a {name}, through which "
                           "no error is carried")  # fmt: skip


# What a layer computes with.


def _number(x: AnyArray, layer: Layer, received: bool, wide: bool) -> F64:
    """Cast to the type in which the layer computes; ``wide``: which is float32 at least."""
    fmt = FORMATS.get(layer.compute_dtype)
    if fmt is None or not (received or x.dtype.kind in "biu"):
        return x.astype(np.float64)
    return (FLOAT32 if wide else fmt).cast(x)


def _element(x: AnyArray, layer: Layer) -> AnyArray:
    """Cast floating-point numbers as Keras casts them before a layer moves them about."""
    fmt = FORMATS.get(layer.compute_dtype)
    if fmt is None or x.dtype.name not in (*FORMATS, "float64"):
        return x
    with np.errstate(over="ignore"):
        return x.astype(fmt.dtype)


def _flushing(found: Evaluation) -> Evaluation:
    """Allow for a cast before elements were moved: it may have flushed subnormal ones to zero."""
    if found.derive is not None or found.value.dtype.kind in "biu":
        return found
    small = FLOAT32.subnormal(found.value.astype(np.float64))
    return found if small is None else Evaluation(found.value, lambda: small)
