"""Vectors divided by their Euclidean lengths: x / |x|, kept from dividing by zero in two ways.

``tf_keras`` returns x rsqrt(max(q, 1e-12)) for the sum of squares q, Keras 3 x min(rsqrt(q), cap).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.rounding.rules.averaging import check_terms
from bridge.rounding.rules.geometry import axes
from bridge.rounding.rules.layer import Evaluation, Layer, Rule, UnsupportedError, single
from bridge.rounding.rules.roots import check_measured, relative_error
from bridge.rounding.rules.rounding import FLOAT32, TINY, UNIT, float32

#: The smallest sum of squares by which ``tf_keras`` divides.
_LEAST: Final = float32(1e-12)


@dataclass(frozen=True)
class Unit:
    """Vectors, and how far a float32 computation of them may be off; not at all if unknown."""

    value: F64
    derive: Callable[[], F64] | None = None

    def error(self) -> F64:
        """Return the bound of the error, element by element."""
        return np.zeros(self.value.shape) if self.derive is None else self.derive()


def unit_length(layer: Layer, x: F64, along: tuple[int, ...], capped: float) -> Unit:
    """Divide the vectors of ``x`` along some axes by their lengths.

    ``capped`` is the smallest length by which Keras 3 divides.

    Raises:
        UnsupportedError: the layer does not compute in float32 on a CPU, or which Keras it is from
            is not known.
    """
    check_measured(layer)
    if layer.arithmetic().name != FLOAT32.name:
        raise UnsupportedError("lengths have a rule for float32 alone")
    if layer.generation == 0:
        raise UnsupportedError("short vectors differ between Keras 2 and 3, and which it was is "
                               "not recorded")  # fmt: skip
    terms = math.prod(x.shape[axis] for axis in along)
    check_terms(terms)
    cap = float32(1.0 / capped)

    def root(squares: F64, factor: float) -> F64:
        with np.errstate(all="ignore"):
            if layer.generation == 2:
                return np.asarray(factor / np.sqrt(np.maximum(squares, _LEAST)))
            return np.asarray(np.minimum(factor / np.sqrt(np.maximum(squares, 0.0)), cap))

    with np.errstate(all="ignore"):
        squares = np.sum(x * x, axis=along, keepdims=True)
        scale = root(squares, 1.0)
        value = x * scale

    def derive() -> F64:
        with np.errstate(all="ignore"):
            off = FLOAT32.gamma(terms + 3) * squares + 3.0 * terms * TINY
            most = root(np.where(squares - off < TINY, 0.0, squares - off), 1.0 + relative_error())
            least = root(squares + off, 1.0 - relative_error())
            step = np.maximum(most - scale, scale - least)
            small = FLOAT32.subnormal(x)
            lost = TINY + (0.0 if small is None else small * most)
            bound = np.abs(x) * (step + (UNIT + 2.0**-48) * most) + lost
            known = np.isfinite(bound) & (squares + off < FLOAT32.overflow)
            return np.where(known, bound, np.inf)

    return Unit(value, derive)


def unit_normalization(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate UnitNormalization."""
    x = single(inputs)
    found = unit_length(layer, x, axes(layer, x.ndim), capped=1e-12)
    return (Evaluation(found.value, found.derive),)


RULES: Final[Mapping[str, Rule]] = {"UnitNormalization": unit_normalization}
