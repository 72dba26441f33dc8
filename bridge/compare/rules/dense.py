"""Dense: y = f(x W + b).

With n products and the bias, every product passes through at most n + 1 roundings whatever the
order of the sum, fused or not (Higham, section 3.1), so the float32 sum lies within
gamma_{n+1} (|x||W| + |b|) of the true one. gamma_{n+2} is used: the one more unit of 2^-24 is more
than everything that the float64 evaluation itself rounds, (n + 2) 2^-53 of the same sum.

Flushing to zero adds what subnormal arguments lose as they are read, and TINY for each of the n
products and n additions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from bridge.compare.rules.activations import activation_of
from bridge.compare.rules.erfc import F64
from bridge.compare.rules.layer import AnyArray, Evaluation, Layer, UnsupportedError, single
from bridge.compare.rules.registry import Rule
from bridge.compare.rules.rounding import MOST_TERMS, OVERFLOW, TINY, gamma, subnormal
from bridge.compare.rules.softmax import softmax


def dense(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate a Dense layer on its input, whose last axis has as many elements as W rows."""
    layer.in_float32()
    kernel, bias = _weights(layer)
    x = single(inputs)
    if x.ndim == 0 or x.shape[-1] != kernel.shape[0]:
        raise UnsupportedError(f"its input of shape {x.shape} does not fit {kernel.shape[0]} rows")
    if kernel.shape[0] + 2 > MOST_TERMS:
        raise UnsupportedError(f"{kernel.shape[0]} products are too many for a bound in float32")
    with np.errstate(all="ignore"):
        z = x @ kernel + bias

    def error() -> F64:
        return sum_error(x, kernel, bias)

    spec = layer.config.get("activation")
    if spec == "softmax":
        return (softmax(z, axis=-1, error=error),)
    return (activation_of(spec, layer.generation).evaluate(z, error),)


def sum_error(x: F64, kernel: F64, bias: F64) -> F64:
    """Bound the error of x W + b in float32; infinite where a partial sum may overflow."""
    n = kernel.shape[0]
    growth = gamma(n + 2)
    with np.errstate(all="ignore"):
        size_x, size_w = np.abs(x), np.abs(kernel)
        total = size_x @ size_w + np.abs(bias)
        lost = np.full(total.shape, 2.0 * n * TINY)
        small_x, small_w, small_b = subnormal(x), subnormal(kernel), subnormal(bias)
        if small_x is not None:
            lost += small_x @ size_w
        if small_w is not None:
            lost += size_x @ small_w
        if small_b is not None:
            lost += small_b
        error = growth * total + (1.0 + growth) * lost
        return np.where(total + error < OVERFLOW, error, np.inf)


def _weights(layer: Layer) -> tuple[F64, F64]:
    names = set(layer.weights)
    if not {"kernel"} <= names <= {"kernel", "bias"}:
        raise UnsupportedError(f"it has other weights than a kernel and a bias: {sorted(names)}")
    for weight in layer.weights.values():
        if weight.dtype != np.float32:
            raise UnsupportedError(f"its weights are {weight.dtype.name}, not float32")
    kernel = layer.weights["kernel"].astype(np.float64)
    bias = layer.weights.get("bias")
    shift = np.zeros(kernel.shape[-1:]) if bias is None else bias.astype(np.float64)
    if kernel.ndim != 2 or shift.shape != kernel.shape[1:]:
        raise UnsupportedError(f"its weights have shapes {kernel.shape} and {shift.shape}")
    return kernel, shift


RULES: Final[Mapping[str, Rule]] = {"Dense": dense}
