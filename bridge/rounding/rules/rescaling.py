"""Layers that move and scale each element by itself: Rescaling and Normalization.

Rescaling is y = x s + t. Normalization is y = (x - m) / max(sqrt(v), e), or, inverted, y = m + x
max(sqrt(v), e), with moments that were found before: e is Keras' epsilon, unless a script sets it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.rounding.rules.layer import Evaluation, Layer, Rule, UnsupportedError, as_number, single
from bridge.rounding.rules.reductions import check_measured, relative_error
from bridge.rounding.rules.rounding import FLOAT32, Format


def rescaling(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate the layer; scale and offset are numbers, or one for each channel."""
    return (rescaled(layer, single(inputs)),)


def rescaled(layer: Layer, x: AnyArray, off: Callable[[], F64] | None = None) -> Evaluation:
    """Evaluate the layer on an input that is known up to what ``off`` returns.

    Raises:
        UnsupportedError: its scale or offset cannot be read, or does not fit.
    """
    fmt = layer.arithmetic()
    scale, offset = constants(layer, "scale", 1.0, fmt), constants(layer, "offset", 0.0, fmt)
    try:
        with np.errstate(all="ignore"):
            value = x * scale + offset
    except ValueError:
        raise UnsupportedError("its scale or offset does not fit its input") from None
    if value.shape != x.shape:
        raise UnsupportedError("its scale or offset has more axes than its input")

    def derive() -> F64:
        with np.errstate(all="ignore"):
            error = np.zeros(()) if off is None else off()
            carried = error * np.abs(scale)
            total = np.abs(x) * np.abs(scale) + carried + np.abs(offset)
            small = fmt.subnormal(x)
            lost = 2.0 * fmt.tiny + (0.0 if small is None else small * np.abs(scale))
            growth = fmt.gamma(3)
            bound = carried + growth * total + (1.0 + growth) * lost
            # One product and one sum: nothing else is there that might overflow.
            reach = np.maximum(np.abs(x) * np.abs(scale) + carried, np.abs(value)) + bound
            return np.where(reach < fmt.overflow, bound, np.inf)

    return Evaluation(value, derive)


def constants(layer: Layer, key: str, default: float, fmt: Format) -> F64:
    """Return one number of the configuration, or one for each channel, as ``fmt`` holds them.

    Raises:
        UnsupportedError: they are not numbers.
    """
    found = layer.config.get(key, default)
    items = found if isinstance(found, list) else [found]
    numbers = [as_number(item) for item in items]
    if any(number is None for number in numbers):
        raise UnsupportedError(f"its {key} is not made of numbers")
    values = fmt.cast(np.array(numbers, np.float64))
    return values if isinstance(found, list) else values[0]


#: ``keras.config.epsilon()``, by which nothing is divided that is less.
_EPSILON: Final = 1e-7


def normalization(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate a Normalization layer, whose moments are its weights or in its configuration."""
    fmt = layer.arithmetic()
    if fmt.name != FLOAT32.name:
        raise UnsupportedError(f"in {fmt.name} it has no rule")
    check_measured(layer)
    x = single(inputs)
    mean, variance = _moments(layer, x, fmt)
    root = np.maximum(np.sqrt(variance), fmt.held(_EPSILON))
    # A root is the processor's, or a reciprocal root that is refined and multiplied once more.
    off = relative_error() + 2.0 * fmt.unit

    def subnormal(values: F64) -> F64:
        small = fmt.subnormal(values)
        return np.zeros(()) if small is None else small

    lost = subnormal(x), subnormal(mean)
    if layer.config.get("invert"):
        with np.errstate(all="ignore"):
            value = mean + x * root

        def derive() -> F64:
            with np.errstate(all="ignore"):
                grown = off + fmt.unit * (1.0 + off)
                product = np.abs(x) * root
                carried = product * grown + lost[0] * root * (1.0 + grown) + fmt.tiny
                rounded = fmt.unit * (np.abs(value) + carried) + fmt.tiny
                bound = carried + rounded + lost[1] + 2.0**-50 * (product + np.abs(mean))
                return np.where(product + np.abs(mean) + bound < fmt.overflow, bound, np.inf)

        return (Evaluation(value, derive),)
    with np.errstate(all="ignore"):
        distance = np.abs(x - mean)
        value = (x - mean) / root

    def derive_quotient() -> F64:
        with np.errstate(all="ignore"):
            # Divided, or multiplied by a rounded reciprocal: three roundings at most.
            grown = (fmt.gamma(3) + off) / (1.0 - off)
            carried = fmt.unit * distance + lost[0] + lost[1] + fmt.tiny
            bound = (carried + grown * (distance + carried)) / root + 2.0 * fmt.tiny
            bound = bound + 2.0**-50 * distance / root
            inside = (np.abs(value) + bound < fmt.overflow) & (distance + carried < fmt.overflow)
            return np.where(inside, bound, np.inf)

    return (Evaluation(value, derive_quotient),)


def _moments(layer: Layer, x: F64, fmt: Format) -> tuple[F64, F64]:
    """Return mean and variance, as arrays that fit the input."""
    axis = layer.config.get("axis", -1)
    axes = [] if axis is None else axis if isinstance(axis, list) else [axis]
    kept = {each % x.ndim for each in axes if isinstance(each, int) and -x.ndim <= each < x.ndim}
    if len(kept) != len(axes):
        raise UnsupportedError(f"its axis {axis!r} does not fit an input of shape {x.shape}")
    shape = tuple(size if place in kept else 1 for place, size in enumerate(x.shape))
    if layer.config.get("mean") is None:
        # Only the layer's own adaptation counts rows.
        weights = {name: each for name, each in layer.weights.items() if name != "count"}
        found = replace(layer, weights=weights).numbers("mean", "variance")
        moments = [found[key].reshape(-1) for key in ("mean", "variance")]
    else:
        given = [layer.config.get(key) for key in ("mean", "variance")]
        try:
            moments = [fmt.cast(np.array(each, np.float64).reshape(-1)) for each in given]
        except (TypeError, ValueError):
            raise UnsupportedError("its mean or variance is not made of numbers") from None
    size = math.prod(shape)
    if any(each.size not in (1, size) for each in moments):
        raise UnsupportedError(f"its moments do not fit an input of shape {x.shape}")
    mean, variance = (np.broadcast_to(each, size).reshape(shape) for each in moments)
    if not (variance >= 0.0).all():
        raise UnsupportedError("its variance is negative or not a number")
    return mean, variance


RULES: Final[Mapping[str, Rule]] = {"Normalization": normalization, "Rescaling": rescaling}
