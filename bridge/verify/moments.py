"""Means and variances of groups of elements, exactly, and how far kernels may be off.

A mean is a sum in any order, divided, and off by no more than d. The mean of the squares of x - m'
for an m' that is d away from the exact mean is v + d^2, off by n + 6 roundings of positive terms.
Some kernels make v as mean(x^2) - m^2; there the errors of both stay while they cancel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from flint import arb

from bridge.verify.activations import gamma
from bridge.verify.exact import (
    F64,
    UPWARDS,
    Balls,
    Dyadic,
    Ints,
    Mask,
    balls,
    dots,
    dyadic,
    every,
    largest,
    lower,
    row_sums,
    sum_of,
    upper,
)
from bridge.verify.kinds import FLOAT32
from bridge.verify.stages import CHUNK
from bridge.verify.sums import any_order, mean_error

_U: Final = FLOAT32.u
_TINY: Final = FLOAT32.tiny


@dataclass(frozen=True)
class Statistics:
    """What each element is normalised by, exactly and with what kernels may be off by.

    ``under`` is v + epsilon, ``under_off`` its error, ``more`` how much larger it may be besides;
    ``terms`` is the number of elements that they are made of.
    """

    mean: Balls
    under: Balls
    mean_off: F64
    under_off: F64
    finite: Mask
    more: float = 0.0
    terms: int = 1


@dataclass(frozen=True)
class Groups:
    """Which group of elements each place belongs to, and the places of each group."""

    of: Ints
    places: Ints


@dataclass(frozen=True)
class Moments:
    """The moments of groups of elements; those that were made are kept for the next chunk."""

    x: F64
    groups: Groups
    epsilon: float
    root_mean_square: bool
    centred: bool
    squares: bool
    _made: dict[int, tuple[arb, arb, float, float, bool]] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """The number of elements of a group."""
        return int(self.groups.places.shape[1])

    def of(self, places: Ints) -> Statistics:
        """Return the statistics of the groups that places belong to."""
        which = self.groups.of.reshape(-1)[places]
        new = [each for each in np.unique(which).tolist() if each not in self._made]
        if len(self._made) > CHUNK:
            self._made.clear()
            new = np.unique(which).tolist()
        if new:
            self._make(new)
        found = [self._made[each] for each in which.tolist()]
        mean, under, off, under_off, finite = zip(*found, strict=True)
        return Statistics(
            list(mean),
            list(under),
            np.array(off),
            np.array(under_off),
            np.array(finite, np.bool_),
            terms=self.n,
        )

    def _make(self, groups: list[int]) -> None:
        n = self.n
        terms = self.x[self.groups.places[groups]]
        finite = every(np.isfinite(terms))
        terms = np.where(finite[:, None], terms, 0.0)
        numbers = dyadic(terms)
        total = balls(row_sums(numbers))
        squares = [s / n for s in balls(dots(numbers, numbers))]
        mean = [s / n for s in total]
        variance = [s - m * m for s, m in zip(squares, mean, strict=True)]
        with np.errstate(all="ignore"):
            off = self._mean_error(terms, numbers, total)
            spread = gamma(n + 4, FLOAT32) * largest(squares) + 4.0 * _TINY
            if not self.root_mean_square:
                spread = self._variance_error(terms, mean, variance, off, spread)
            under = [v + arb(self.epsilon)
                     for v in (squares if self.root_mean_square else variance)]  # fmt: skip
            spread = UPWARDS * (spread + _U * (largest(under) + spread) + 2.0 * _TINY)
        if not self.centred:
            mean, off = [arb(0)] * len(groups), np.zeros(len(groups))
        made = zip(mean, under, off.tolist(), spread.tolist(), finite.tolist(), strict=True)
        self._made.update(zip(groups, made, strict=True))

    def _mean_error(self, terms: F64, numbers: Dyadic, total: Balls) -> F64:
        n, size = self.n, largest(balls(row_sums(numbers.magnitudes)))
        lost = sum_of(small(np.abs(terms))) + (n - 1) * _TINY
        added = any_order(size, largest(total), n - 1, FLOAT32, rounded=False, lost=lost)
        return mean_error(added, size, float(n), n, FLOAT32)

    def _variance_error(
        self, terms: F64, mean: Balls, variance: Balls, off: F64, squares: F64
    ) -> F64:
        middle = np.maximum(np.abs(lower(mean)), np.abs(upper(mean)))
        deviation = np.abs(terms - lower(mean)[:, None]).max(axis=1, initial=0.0)
        deviation = UPWARDS * deviation + 2.0**-50 * middle
        whole = largest(variance) + off * off
        lost = _TINY * (4.0 + 4.0 * (deviation + off))
        found = gamma(self.n + 6, FLOAT32) * whole + off * off + lost
        if self.squares:
            second = 2.0 * middle * off + off * off
            size = middle * middle + second
            rounded = 2.0 * _U * (size + largest(variance) + squares + second)
            found = np.maximum(found, squares + second + rounded + 4.0 * _TINY)
        return np.asarray(UPWARDS * found)


def small(size: F64) -> F64:
    """Return magnitudes below the normal numbers of float32, and 0 for others."""
    return np.where(size < _TINY, size, 0.0)


def grouped(shape: tuple[int, ...], axes: tuple[int, ...]) -> Groups:
    """Group elements that differ only along some axes."""
    places = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    moved = np.moveaxis(places, axes, range(len(shape) - len(axes), len(shape)))
    n = math.prod(shape[axis] for axis in axes)
    members = moved.reshape(-1, max(n, 1))
    of = np.empty(places.size, np.int64)
    of[members] = np.arange(len(members))[:, None]
    return Groups(of, members)
