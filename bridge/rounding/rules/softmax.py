"""Softmax, p_i = exp(z_i - m) / sum_j exp(z_j - m) with m the largest z of the row, and its log.

m cancels, so only differences count. The argument of the exponential is off by at most
d_i = e_i + u (|z_i - m| + e_i + max e), where e is the error of z and the second part is the
rounding of the difference; exp then errs by the factor exp(d_i) (1 + r), and by t where it
underflows, with (r, t) as measured for the exponential inside TensorFlow's softmax. The n terms of
the sum are positive, so summing costs a factor within gamma_{n-1}, and dividing (or multiplying by
the reciprocal) two roundings; gamma_{n+4} covers both and the float64 evaluation. Putting every
error to its end at once gives the largest and the smallest quotient.

The logarithm is z_i - m - log(sum): the sum lies between the same ends, the logarithm errs as
measured, and both differences are rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.rounding.rules.activation_models import ErrorModel, model_of
from bridge.rounding.rules.layer import Evaluation, Layer, Rule, UnsupportedError, single
from bridge.rounding.rules.rounding import FLOAT32, MOST_TERMS, Format

#: Under this name the second part of softmax(0, z) was measured. It is exp(z) / (1 + exp(z)), so
#: its error is the exponential's, a sum's and a quotient's: the first is at most the whole and
#: three roundings.
_EXPONENTIAL: Final = "softmax_pair"
_LOGARITHM: Final = "log"
#: Longer sums in a short type leave nothing to claim.
_MOST_GROWTH: Final = 0.5


@dataclass(frozen=True)
class _Ends:
    """The largest and the smallest that every exponential of a row, and the row's sum, may be."""

    off: F64
    most: F64
    least: F64
    growth: float
    axis: int

    @property
    def most_sum(self) -> F64:
        total: F64 = self.most.sum(axis=self.axis, keepdims=True)
        return total

    @property
    def least_sum(self) -> F64:
        total: F64 = self.least.sum(axis=self.axis, keepdims=True)
        return total


def softmax(
    z: F64, axis: int, error: Callable[[], F64] | None = None, fmt: Format = FLOAT32
) -> Evaluation:
    """Evaluate softmax along ``axis`` of ``z``, which is known up to ``error()``.

    Raises:
        UnsupportedError: there is no measurement, or the row is too long for a bound.
    """
    model = _model(_EXPONENTIAL, z, axis, fmt)
    with np.errstate(all="ignore"):
        below = z - z.max(axis=axis, keepdims=True, initial=-np.inf)
        parts = np.exp(below)
        value = parts / parts.sum(axis=axis, keepdims=True)

    def derive() -> F64:
        with np.errstate(all="ignore"):
            ends = _ends(below, axis, None if error is None else error(), model, fmt)
            above = (1.0 + ends.growth) * ends.most / ends.least_sum
            under = (1.0 - ends.growth) * ends.least / ends.most_sum
            return _claimed(value, np.maximum(above - value, value - under) + fmt.tiny)

    return Evaluation(value, derive, model.missed, "softmax")


def log_softmax(
    z: F64, axis: int, error: Callable[[], F64] | None = None, fmt: Format = FLOAT32
) -> Evaluation:
    """Evaluate the logarithm of softmax along ``axis`` of ``z``, which is known up to ``error()``.

    Raises:
        UnsupportedError: there is no measurement, or the row is too long for a bound.
    """
    model, logarithm = (_model(name, z, axis, fmt) for name in (_EXPONENTIAL, _LOGARITHM))
    with np.errstate(all="ignore"):
        below = z - z.max(axis=axis, keepdims=True, initial=-np.inf)
        total = np.exp(below).sum(axis=axis, keepdims=True)
        value = below - np.log(total)

    def derive() -> F64:
        with np.errstate(all="ignore"):
            ends = _ends(below, axis, None if error is None else error(), model, fmt)
            high = np.log((1.0 + ends.growth) * ends.most_sum)
            low = np.log((1.0 - ends.growth) * ends.least_sum)
            log = np.log(total)
            off = np.maximum(high - log, log - low) + logarithm.error(low, high)
            # What the maximum is off by cancels, but it is in the size of what is rounded.
            carried = ends.off + off
            size = np.abs(value) + carried + ends.off.max(axis=axis, keepdims=True, initial=0.0)
            return _claimed(value, carried + fmt.gamma(2) * size + 2.0 * fmt.tiny)

    return Evaluation(value, derive, max(model.missed, logarithm.missed), "log_softmax")


def _model(name: str, z: F64, axis: int, fmt: Format) -> ErrorModel:
    model = model_of(name, fmt.name, fmt.kernels)
    if model is None:
        raise UnsupportedError(f"the kernels of softmax were never measured in {fmt.name}")
    if z.ndim == 0 or not -z.ndim <= axis < z.ndim:
        raise UnsupportedError(f"its input of shape {z.shape} has no axis {axis}")
    terms = z.shape[axis] + 4
    if terms > MOST_TERMS or terms * fmt.unit > _MOST_GROWTH:
        raise UnsupportedError(f"rows of {z.shape[axis]} are too long for a bound in {fmt.name}")
    return model


def _ends(below: F64, axis: int, error: F64 | None, model: ErrorModel, fmt: Format) -> _Ends:
    relative, lost = model.relative
    relative += fmt.gamma(3)
    off = np.zeros_like(below) if error is None else error
    widest = off.max(axis=axis, keepdims=True, initial=0.0)
    off = off + fmt.unit * (np.abs(below) + off + widest)
    parts = np.exp(below)
    # The row was shifted by a maximum that may be off: what underflows is so in its scale.
    lost = lost * np.exp(widest)
    most = parts * np.exp(off) * (1.0 + relative) + lost
    least = np.maximum(parts * np.exp(-off) * (1.0 - relative) - lost, 0.0)
    return _Ends(off, most, least, fmt.gamma(below.shape[axis] + 4), axis)


def _claimed(value: F64, bound: F64) -> F64:
    """Return the bound; infinite where there is no number to claim it of."""
    return np.where(np.isfinite(value) & np.isfinite(bound), bound, np.inf)


def layer(this: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate a Softmax layer."""
    return (softmax(single(inputs), axis_of(this), fmt=this.arithmetic()),)


def axis_of(this: Layer) -> int:
    """Return the axis of a Softmax layer's rows.

    Raises:
        UnsupportedError: it is not one integer.
    """
    axis = this.config.get("axis", -1)
    if isinstance(axis, list) and len(axis) == 1:
        axis = axis[0]
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise UnsupportedError("its axis is not one integer")
    return axis


RULES: Final[Mapping[str, Rule]] = {"Softmax": layer}
