"""Activations with constants: errors that follow from the operations that the kernels do.

The constants are numbers of the type in which the layer computes, as Keras casts them. ``tiny`` is
what flushing to zero loses, of the argument as it is read and of a result; where a function jumps
within that of zero, it may land on either side.
"""

from __future__ import annotations

import math

import numpy as np

from bridge._typing import F64
from bridge.rounding.rules import forms
from bridge.rounding.rules.activation import Activation, KernelError, measured
from bridge.rounding.rules.layer import UnsupportedError
from bridge.rounding.rules.rounding import FLOAT32, Format


def leaky_relu(slope: float, fmt: Format = FLOAT32) -> Activation:
    """Return max(z, 0) + slope min(z, 0): one product, rounded once, below zero.

    A fused kernel holds the slope as float32 in every type, others in the type itself.
    """
    whole = FLOAT32.held(slope)
    gap = abs(whole - fmt.held(slope))

    def error(low_z: F64, _high_z: F64, low: F64, high: F64) -> F64:
        off = gap * np.maximum(-low_z, 0.0)
        rounded = 0.5 * fmt.ulp(_largest(low, high) + off)
        return np.where(low_z < 0.0, off + rounded, 0.0) + max(1.0, abs(whole)) * fmt.tiny

    return Activation(forms.leaky_relu(whole), error, fmt=fmt)


def prelu(slopes: F64, fmt: Format = FLOAT32) -> Activation:
    """Return max(z, 0) + slope min(z, 0) with slopes that fit each sample; they are weights."""
    lost = np.maximum(1.0, np.abs(slopes)) * fmt.tiny

    def error(low_z: F64, _high_z: F64, low: F64, high: F64) -> F64:
        rounded: F64 = np.where(low_z < 0.0, 0.5 * fmt.ulp(_largest(low, high)), 0.0)
        return rounded + lost

    return Activation(forms.prelu(slopes), error, fmt=fmt)


def elu(alpha: float, fmt: Format = FLOAT32) -> Activation:
    """Return the exponential linear unit: the kernel's, and one product if alpha is not 1."""
    alpha = fmt.held(alpha)
    unit = measured("elu", fmt)
    if alpha == 1.0:
        return unit

    def error(low_z: F64, high_z: F64, low: F64, high: F64) -> F64:
        kernel = _kernel(unit, low_z, high_z)
        rounded = 0.5 * fmt.ulp(_largest(low, high) + abs(alpha) * kernel)
        return np.maximum(kernel, abs(alpha) * kernel + rounded + fmt.tiny)

    return Activation(forms.elu(alpha), error, missed=unit.missed, fmt=fmt)


def celu(alpha: float, fmt: Format = FLOAT32) -> Activation:
    """Return max(z, 0) + alpha expm1(min(z, 0) / alpha).

    With q = z / alpha, |q exp(q)| <= |expm1(q)|, so the rounding of the quotient (of a product
    with the reciprocal) changes expm1(q) by the same factor at most. The error of expm1 itself is
    that of celu with alpha = 1.

    Raises:
        UnsupportedError: alpha is not positive.
    """
    alpha = fmt.held(alpha)
    unit = measured("celu", fmt)
    if alpha == 1.0:
        return unit
    if not alpha > 0.0:
        raise UnsupportedError(f"its alpha is {alpha}, not positive")
    growth = fmt.gamma(4)

    def error(low_z: F64, high_z: F64, low: F64, high: F64) -> F64:
        size = _largest(low, high) / alpha
        first = np.minimum(low_z, 0.0) * ((1.0 + growth) / alpha)
        last = np.minimum(high_z, 0.0) * ((1.0 - growth) / alpha)
        inner = _kernel(unit, first, last)
        inner = inner + growth * size + fmt.tiny
        rounded = 0.5 * fmt.ulp(alpha * (size + inner))
        return np.where(low_z < 0.0, alpha * inner + rounded, 0.0) + fmt.tiny

    return Activation(forms.celu(alpha), error, missed=unit.missed, fmt=fmt)


def relu(slope: float, threshold: float, most: float | None, fmt: Format = FLOAT32) -> Activation:
    """Return the rectifier with a slope below ``threshold`` and a largest value.

    Below the threshold it is slope (z - threshold): a difference and a product, both rounded.

    Raises:
        UnsupportedError: the largest value is negative.
    """
    if threshold == 0.0 and most is None:
        return measured("relu", fmt) if slope == 0.0 else leaky_relu(slope, fmt)
    if most is not None and most < 0.0:
        raise UnsupportedError("its max_value is negative")
    slope, threshold = fmt.held(slope), fmt.held(threshold)
    growth, lost = fmt.gamma(2), (2.0 + abs(slope)) * fmt.tiny

    def error(low_z: F64, _high_z: F64, low: F64, high: F64) -> F64:
        return np.where(low_z <= threshold, growth * _largest(low, high), 0.0) + lost

    form = forms.relu(slope, threshold, None if most is None else fmt.held(most))
    return Activation(form, error, fmt=fmt)


def squareplus(b: float, fmt: Format = FLOAT32) -> Activation:
    """Return (z + sqrt(z^2 + b)) / 2.

    The square and the sum are rounded, which the root halves, and so is the root (two units, for
    it may be made of an approximation); then the last sum, which cancels for negative z. Where the
    square overflows nothing is claimed.

    Raises:
        UnsupportedError: b is negative.
    """
    b = fmt.held(b)
    if b < 0.0:
        raise UnsupportedError(f"its b is {b}, a negative number")
    growth = fmt.gamma(4)
    # What flushing takes from the square: sqrt(s + t) - sqrt(s) is at most sqrt(t), or t / sqrt(s).
    lost = min(math.sqrt(2.0 * fmt.tiny), 2.0 * fmt.tiny / math.sqrt(b) if b else math.inf)

    def error(low_z: F64, high_z: F64, low: F64, high: F64) -> F64:
        widest = _largest(low_z, high_z)
        square = (widest * widest + b) * (1.0 + growth)
        root = growth * np.sqrt(square) + lost
        found = root + fmt.unit * (_largest(low, high) + root) + 2.0 * fmt.tiny
        return np.where(square < fmt.overflow, found, np.inf)

    return Activation(forms.squareplus(b), error, fmt=fmt)


def threshold(least: float, default: float, fmt: Format = FLOAT32) -> Activation:
    """Return z above ``least`` and ``default`` up to it: nothing is rounded."""
    least, default = fmt.held(least), fmt.held(default)
    return Activation(
        forms.threshold(least, default), _chosen(least, abs(least - default), fmt), 0.0, fmt=fmt
    )


def hard_shrink(least: float, fmt: Format = FLOAT32) -> Activation:
    """Return z where |z| > ``least`` and zero elsewhere: nothing is rounded."""
    least = fmt.held(least)
    return Activation(forms.hard_shrink(least), _chosen(least, abs(least), fmt), 0.0, fmt=fmt)


def soft_shrink(least: float, fmt: Format = FLOAT32) -> Activation:
    """Return z moved by ``least`` towards zero: one difference.

    Raises:
        UnsupportedError: ``least`` is negative, so that two of its conditions hold at once.
    """
    least = fmt.held(least)
    if least < 0.0:
        raise UnsupportedError(f"its threshold is {least}, a negative number")

    def error(_low_z: F64, _high_z: F64, low: F64, high: F64) -> F64:
        return 0.5 * fmt.ulp(_largest(low, high)) + 2.0 * fmt.tiny

    return Activation(forms.soft_shrink(least), error, fmt=fmt)


def _chosen(least: float, jump: float, fmt: Format) -> KernelError:
    """Return the error of a choice at ``least``, between two values that are ``jump`` apart."""

    def error(low_z: F64, high_z: F64, _low: F64, _high: F64) -> F64:
        near = (low_z < fmt.tiny) & (high_z > -fmt.tiny) & (abs(least) < fmt.tiny)
        return np.where(near, jump, 0.0) + fmt.tiny

    return error


def _kernel(unit: Activation, low_z: F64, high_z: F64) -> F64:
    """Return the error of a measured kernel that never falls, over an interval of arguments."""
    low, high = unit.form(low_z), unit.form(high_z)
    found = np.zeros_like(low)
    for error in (unit.kernel_error, unit.unrounded):
        if error is not None:
            found = np.maximum(found, error(low_z, high_z, low, high))
    return found


def _largest(low: F64, high: F64) -> F64:
    return np.maximum(np.abs(low), np.abs(high))
