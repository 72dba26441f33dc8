"""Means and variances as kernels compute them, and how far they may be from the exact ones.

The mean is a sum in any order, divided by n or multiplied by a reciprocal. The variance is computed
in one of two ways:

From deviations: mean((x - m)^2) with the computed mean m. With d = m - mean(x), the exact sum is
n (V + d^2), for the deviations from the exact mean add up to zero. Each difference, square and
addition, and the division, is rounded once: n + 5 roundings of positive terms in all, so that the
error is at most gamma_{n+5} (V + d^2) + d^2, whatever cancels in x - m.

From squares: mean(x^2) - mean(x)^2, which XLA makes of ``FusedBatchNormV3`` in training (measured:
with a mean of 1000 standard deviations, a third of the result is wrong). Here the error of both
parts stays, while they cancel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bridge._typing import F64
from bridge.rounding.rules.averaging import check_terms, mean_error
from bridge.rounding.rules.rounding import FLOAT32, TINY, UNIT


@dataclass(frozen=True)
class Moments:
    """Mean and variance along some axes, which are kept with the length one."""

    x: F64
    axes: Sequence[int]

    @property
    def n(self) -> int:
        """The number of elements of each mean."""
        return math.prod(self.x.shape[axis] for axis in self.axes)

    def check(self) -> None:
        """Refuse too many elements.

        Raises:
            UnsupportedError: no bound can be given for so many.
        """
        check_terms(self.n)

    def average(self, terms: F64) -> F64:
        """Return the means of an array of the shape of ``x``."""
        with np.errstate(all="ignore"):
            return np.asarray(terms.mean(axis=tuple(self.axes), keepdims=True))

    def mean(self) -> F64:
        """Return the means."""
        return self.average(self.x)

    def variance(self, mean: F64) -> F64:
        """Return the mean squares of the deviations from ``mean``."""
        with np.errstate(all="ignore"):
            away = self.x - mean
            return self.average(away * away)

    def mean_error(self, mean: F64) -> F64:
        """Bound the error of a float32 mean."""
        count = np.array(float(self.n))
        small = FLOAT32.subnormal(self.x)
        lost = np.zeros_like(mean) if small is None else self.average(small) * count
        with np.errstate(all="ignore"):
            size = self.average(np.abs(self.x)) * count
            return mean_error(size, lost, mean * count, count, self.n, FLOAT32)

    def variance_error(self, variance: F64, off: F64, largest: F64) -> F64:
        """Bound the error of a variance from deviations.

        ``off`` bounds how far the mean may be off, ``largest`` the magnitude of a deviation.
        """
        with np.errstate(all="ignore"):
            whole = variance + off * off
            lost = TINY * (4.0 + 4.0 * (largest + off))
            return np.asarray(FLOAT32.gamma(self.n + 6) * whole + off * off + lost)

    def variance_error_from_squares(self, mean: F64, variance: F64, off: F64) -> F64:
        """Bound the error of mean(x^2) - mean(x)^2."""
        with np.errstate(all="ignore"):
            squares = self.mean_square()
            first = self.mean_square_error(squares)
            second = 2.0 * np.abs(mean) * off + off * off
            size = mean * mean + second
            rounded = 2.0 * UNIT * (size + variance + first + second)
            return np.asarray(first + second + rounded + 4.0 * TINY)

    def mean_square(self) -> F64:
        """Return the means of the squares."""
        with np.errstate(all="ignore"):
            return self.average(self.x * self.x)

    def mean_square_error(self, squares: F64) -> F64:
        """Bound the error of a mean of squares."""
        with np.errstate(all="ignore"):
            return FLOAT32.gamma(self.n + 4) * squares + 4.0 * TINY
