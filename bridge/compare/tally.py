"""What is known about two arrays after some of their chunks: counts, maxima, the worst elements.

Of what is known nothing depends on how the arrays were cut or on the order of the chunks: counts
and maxima do not by their nature, and the worst elements are the first in an order that is total.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule.numbers import gaps, is_nan, words
from bridge.compare.result import Difference, Worst

#: An element that differs: -|a - b|, -ULPs, flat index, a, b. The smallest are the worst.
Seen = tuple[float, float, int, float, float]


@dataclass
class Tally:
    """What is known; ``wanted`` is the length of the list of the worst elements."""

    wanted: int
    same_bits: bool = True
    points: int = 0
    different: int = 0
    max_abs: float = 0.0
    max_rel: float = 0.0
    max_ulp: float = 0.0
    nan: int = 0
    inf: int = 0
    nan_in_both: int = 0
    #: In their order.
    worst: list[Seen] = field(default_factory=list)

    def add(self, x: AnyArray, y: AnyArray, start: int) -> int:
        """Take in one chunk of each array, whose first element has the flat index ``start``.

        Returns how many elements had to be looked at: those whose bits differ.
        """
        self.points += x.size
        nan_in_x = int(np.count_nonzero(is_nan(x)))
        if x.dtype == y.dtype:
            unlike = np.flatnonzero(words(x) != words(y))
            if unlike.size == 0:
                self.nan_in_both += nan_in_x
                return 0
            places = unlike + start
            x, y = x[unlike], y[unlike]
        else:
            places = np.arange(start, start + x.size)
        self.same_bits = False
        nan_x, nan_y = is_nan(x), is_nan(y)
        self.nan_in_both += nan_in_x - int(np.count_nonzero(nan_x & ~nan_y))
        self._unlike(x, y, places, nan_x, nan_y)
        return x.size

    def join(self, other: Tally) -> None:
        """Take in what is known about other chunks."""
        self.same_bits = self.same_bits and other.same_bits
        self.points += other.points
        self.different += other.different
        self.max_abs = max(self.max_abs, other.max_abs)
        self.max_rel = max(self.max_rel, other.max_rel)
        self.max_ulp = max(self.max_ulp, other.max_ulp)
        self.nan += other.nan
        self.inf += other.inf
        self.nan_in_both += other.nan_in_both
        self._note(other.worst)

    def _unlike(
        self, x: AnyArray, y: AnyArray, places: AnyArray, nan_x: AnyArray, nan_y: AnyArray
    ) -> None:
        nan = nan_x ^ nan_y
        infinite = ~(nan_x | nan_y) & (_is_inf(x) | _is_inf(y))
        # Infinities differ unless both are there with the same sign.
        inf = infinite.copy()
        inf[infinite] = x[infinite].astype(np.float64) != y[infinite].astype(np.float64)
        self.nan += int(np.count_nonzero(nan))
        self.inf += int(np.count_nonzero(inf))
        self.different += int(np.count_nonzero(nan)) + int(np.count_nonzero(inf))
        self._note(
            [
                (-np.inf, -np.inf, int(places[at]), float(x[at]), float(y[at]))
                for at in np.flatnonzero(nan | inf)[: max(self.wanted, 0)].tolist()
            ]
        )
        finite = np.flatnonzero(~(nan_x | nan_y | infinite))
        if finite.size:
            self._finite(x[finite], y[finite], places[finite])

    def _finite(self, x: AnyArray, y: AnyArray, places: AnyArray) -> None:
        gap, magnitude, ulp = gaps(x, y)
        apart = int(np.count_nonzero(gap))
        self.different += apart
        if apart == 0:
            return
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            relative = np.where(gap > 0.0, gap / magnitude, 0.0)
        self.max_abs = max(self.max_abs, float(gap.max()))
        self.max_rel = max(self.max_rel, float(relative.max()))
        self.max_ulp = max(self.max_ulp, float(ulp.max()))
        if self.wanted <= 0:
            return
        floor = -self.worst[-1][0] if len(self.worst) >= self.wanted else 0.0
        listed = np.flatnonzero((gap > 0.0) & (gap >= floor))
        if listed.size > self.wanted:
            # All that tie with the last place stay, so that ties are settled by ULPs and index.
            last = np.partition(gap[listed], listed.size - self.wanted)[listed.size - self.wanted]
            listed = listed[gap[listed] >= last]
            order = np.lexsort((places[listed], -ulp[listed], -gap[listed]))
            listed = listed[order[: self.wanted]]
        self._note(
            [
                (-float(gap[at]), -float(ulp[at]), int(places[at]), float(x[at]), float(y[at]))
                for at in listed.tolist()
            ]
        )

    def _note(self, seen: list[Seen]) -> None:
        self.worst = sorted([*self.worst, *seen], key=lambda one: one[:3])[: max(self.wanted, 0)]

    def result(self, shape: tuple[int, ...]) -> Difference:
        """Return what is known of arrays of ``shape`` as data."""
        return Difference(
            points=self.points,
            same_bits=self.same_bits,
            different=self.different,
            max_abs=self.max_abs,
            max_rel=self.max_rel,
            max_ulp=self.max_ulp,
            nan=self.nan,
            inf=self.inf,
            nan_in_both=self.nan_in_both,
            worst=tuple(
                Worst(index=_index(place, shape), a=x, b=y, ulp=-ulp)
                for _, ulp, place, x, y in self.worst
            ),
        )


def _is_inf(values: AnyArray) -> AnyArray:
    if values.dtype.kind in "biu":
        return np.zeros(values.shape, np.bool_)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.isinf(values))


def _index(place: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(part) for part in np.unravel_index(place, shape)) if shape else ()
