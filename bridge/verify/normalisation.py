"""Normalisation, exactly: (x - m) gamma / sqrt(v + epsilon) + beta.

m and v are weights, or moments of the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from flint import arb

from bridge._typing import AnyArray, Mask
from bridge.rounding.rules.layer import Layer
from bridge.rounding.rules.normalising import Normalisation, read_normalisation
from bridge.verify.exact_arithmetic import (
    Balls,
    Ints,
    balls,
    dots,
    dyadic,
    every,
    points,
    row_sums,
    taken,
)
from bridge.verify.exact_values import CHUNK, ExactLayer, Values

#: How many elements of groups are taken at once.
_MOST_TERMS: Final = 2**21


def normalised(layer: Layer, inputs: Sequence[AnyArray]) -> ExactLayer:
    """BatchNormalization, LayerNormalization, GroupNormalization and RMSNormalization."""
    read = read_normalisation(layer, inputs)
    return Normalised(read, None if read.learnt is not None else Moments(read))


@dataclass(frozen=True)
class Normalised:
    """Elements of the input, normalised by what was learnt or by moments of the input."""

    read: Normalisation
    moments: Moments | None

    @property
    def chunk(self) -> int:
        """For how many elements in a row to ask at once."""
        if self.moments is None:
            return CHUNK
        return max(1, min(CHUNK, _MOST_TERMS // max(self.moments.size, 1)))

    def at(self, places: Ints) -> Values:
        """Return the values at flat places."""
        read = self.read
        x = taken(read.x, places)
        mean, variance, defined = self._statistics(places)
        defined = defined & np.isfinite(x)
        exact = [
            (a - m) / (v + arb(read.epsilon)).sqrt()
            for a, m, v in zip(points(x), mean, variance, strict=True)
        ]
        if read.gamma is not None:
            gamma = self._weight(read.gamma, places)
            defined &= np.isfinite(gamma)
            exact = [y * g for y, g in zip(exact, points(gamma), strict=True)]
        if read.beta is not None:
            beta = self._weight(read.beta, places)
            defined &= np.isfinite(beta)
            exact = [y + b for y, b in zip(exact, points(beta), strict=True)]
        return Values(exact, defined)

    def _statistics(self, places: Ints) -> tuple[Balls, Balls, Mask]:
        if self.moments is not None:
            return self.moments.of(places)
        assert self.read.learnt is not None
        mean, variance = (self._weight(each, places) for each in self.read.learnt)
        return points(mean), points(variance), np.isfinite(mean) & np.isfinite(variance)

    def _weight(self, weight: AnyArray, places: Ints) -> AnyArray:
        return taken(np.broadcast_to(weight, self.read.x.shape), places)


@dataclass(frozen=True)
class Moments:
    """What groups of elements are normalised by; what was computed is kept for the next chunk."""

    read: Normalisation
    _made: dict[int, tuple[arb, arb, bool]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The number of elements of a group."""
        return int(np.prod([self.read.x.shape[axis] for axis in self.read.over]))

    def of(self, places: Ints) -> tuple[Balls, Balls, Mask]:
        """Return what is subtracted from the elements at places, and what stands under the root."""
        shape, over = self.read.x.shape, self.read.over
        coordinates = list(np.unravel_index(places, shape))
        for axis in over:
            coordinates[axis] = np.zeros(places.size, np.int64)
        # A group goes by the place of its first element.
        which = np.ravel_multi_index(tuple(coordinates), shape)
        if len(self._made) > CHUNK:
            self._made.clear()
        new = [each for each in np.unique(which).tolist() if each not in self._made]
        if new:
            self._make(np.array(new, np.int64))
        mean, variance, finite = zip(*(self._made[each] for each in which.tolist()), strict=True)
        return list(mean), list(variance), np.array(finite, np.bool_)

    def _make(self, first: Ints) -> None:
        n, x = self.size, self.read.x
        places = np.arange(x.size, dtype=np.int64).reshape(x.shape)
        along = tuple(slice(None) if axis in self.read.over else 0 for axis in range(x.ndim))
        terms = x.reshape(-1)[first[:, None] + places[along].reshape(-1)[None, :]]
        finite = every(np.isfinite(terms))
        numbers = dyadic(np.where(finite[:, None], terms, 0.0))
        mean = [total / n for total in balls(row_sums(numbers))]
        squares = [total / n for total in balls(dots(numbers, numbers))]
        variance = squares
        if self.read.deviations:
            variance = [s - m * m for s, m in zip(squares, mean, strict=True)]
        if not self.read.centred:
            mean = [arb(0)] * len(mean)
        made = zip(mean, variance, finite.tolist(), strict=True)
        self._made.update(zip(first.tolist(), made, strict=True))
