"""Softmax: p_i = exp(z_i - m) / sum_j exp(z_j - m), where m is the largest z of the row.

m cancels, so only differences count. The argument of the exponential is off by at most
d_i = e_i + u (|z_i - m| + e_i + max e), where e is the error of z and the second part is the
rounding of the difference; exp then errs by the factor exp(d_i) (1 + r), and by t where it
underflows, with (r, t) as measured for the exponential inside TensorFlow's softmax. The n terms of
the sum are positive, so summing costs a factor within gamma_{n-1}, and dividing (or multiplying by
the reciprocal) two roundings; gamma_{n+4} covers both and the float64 evaluation. Putting every
error to its end at once gives the largest and the smallest quotient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from bridge.compare.rules.erfc import F64
from bridge.compare.rules.layer import AnyArray, Evaluation, Layer, UnsupportedError, single
from bridge.compare.rules.models import ErrorModel, model_of
from bridge.compare.rules.registry import Rule
from bridge.compare.rules.rounding import FLOAT32, MOST_TERMS, TINY, UNIT, Format, gamma

#: Under this name the second part of softmax(0, z) was measured. It is exp(z) / (1 + exp(z)), so
#: its error is the exponential's, a sum's and a quotient's: the first is at most the whole and
#: three roundings.
_MEASURED: Final = "softmax_pair"


def softmax(
    z: F64, axis: int, error: Callable[[], F64] | None = None, fmt: Format = FLOAT32
) -> Evaluation:
    """Evaluate softmax along ``axis`` of ``z``, which is known up to ``error()``.

    Raises:
        UnsupportedError: there is no measurement, or the row is too long for a bound.
    """
    model = model_of(_MEASURED) if fmt is FLOAT32 else None
    if model is None:
        raise UnsupportedError("the kernels of softmax were never measured")
    if z.ndim == 0 or not -z.ndim <= axis < z.ndim:
        raise UnsupportedError(f"its input of shape {z.shape} has no axis {axis}")
    if z.shape[axis] + 4 > MOST_TERMS:
        raise UnsupportedError(f"rows of {z.shape[axis]} are too long for a bound in float32")
    with np.errstate(all="ignore"):
        below = z - z.max(axis=axis, keepdims=True, initial=-np.inf)
        parts = np.exp(below)
        value = parts / parts.sum(axis=axis, keepdims=True)

    def derive() -> F64:
        return _bound(below, parts, value, axis, error() if error is not None else None, model)

    return Evaluation(value, derive, model.missed, "softmax")


def _bound(
    below: F64, parts: F64, value: F64, axis: int, error: F64 | None, model: ErrorModel
) -> F64:
    relative, lost = model.relative
    relative += gamma(3)
    growth = gamma(below.shape[axis] + 4)
    with np.errstate(all="ignore"):
        off = np.zeros_like(below) if error is None else error
        off = off + UNIT * (np.abs(below) + off + off.max(axis=axis, keepdims=True, initial=0.0))
        most = parts * np.exp(off) * (1.0 + relative) + lost
        least = np.maximum(parts * np.exp(-off) * (1.0 - relative) - lost, 0.0)
        above = (1.0 + growth) * most / least.sum(axis=axis, keepdims=True)
        under = (1.0 - growth) * least / most.sum(axis=axis, keepdims=True)
        bound = np.maximum(above - value, value - under) + TINY
        return np.where(np.isfinite(value) & np.isfinite(bound), bound, np.inf)


def layer(this: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate a Softmax layer."""
    fmt = this.arithmetic()
    x = single(inputs)
    axis = this.config.get("axis", -1)
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise UnsupportedError("its axis is not one integer")
    return (softmax(x, axis, fmt=fmt),)


RULES: Final[Mapping[str, Rule]] = {"Softmax": layer}
