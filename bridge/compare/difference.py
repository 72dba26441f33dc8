"""How two arrays differ, element by element, in one pass and in constant memory.

Both arrays are read in chunks, in C order whatever their layout, so arrays larger than memory
(``numpy.memmap``) can be compared. A chunk whose bits agree costs a comparison of integers; only
the elements that differ are looked at further.

>>> difference(np.float32([1, 2]), np.float32([1, 2.0000002])).max_ulp
1.0
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bridge.compare.numbers import AnyArray, float_type, gaps, is_nan, words
from bridge.compare.result import Difference, Worst

#: Elements of a chunk: small enough for the processor's cache, large enough to hide Python.
CHUNK: Final = 1 << 17

Progress = Callable[[int, int], None]


def difference(
    a: AnyArray,
    b: AnyArray,
    worst: int = 5,
    *,
    chunk: int = CHUNK,
    progress: Progress | None = None,
) -> Difference:
    """Compare two arrays of one shape.

    Arrays of different types are compared by value; they never have the same bits. -0.0 and 0.0
    have the same value (``different`` 0, 0 ULP) but not the same bits, and so have two NaN of
    different payload. ``worst`` elements are listed, those that are not finite on one side first,
    then by |a - b|; equal ones by ULPs and then by index. ``progress`` is told the elements done
    and their total after each chunk.

    Raises:
        ValueError: the shapes differ.
        TypeError: an array holds no real numbers.
    """
    a, b = np.asanyarray(a), np.asanyarray(b)
    if a.shape != b.shape:
        raise ValueError(f"arrays of shape {a.shape} and {b.shape} cannot be compared by element")
    for array in (a, b):
        float_type(array.dtype)
    tally = _Tally(wanted=worst, same_bits=a.dtype == b.dtype)
    parts = zip(_chunks(a, chunk), _chunks(b, chunk), strict=True)
    for start, (x, y) in zip(range(0, a.size, chunk), parts, strict=True):
        tally.add(x, y, start)
        if progress is not None:
            progress(min(start + chunk, a.size), a.size)
    return tally.result(a.shape)


def _chunks(array: AnyArray, size: int) -> Iterator[AnyArray]:
    flat = array.reshape(-1) if array.flags.c_contiguous else array.flat
    for start in range(0, array.size, size):
        yield np.asarray(flat[start : start + size])


@dataclass
class _Tally:
    """What is known after some chunks."""

    wanted: int
    same_bits: bool
    points: int = 0
    different: int = 0
    max_abs: float = 0.0
    max_rel: float = 0.0
    max_ulp: float = 0.0
    nan: int = 0
    inf: int = 0
    nan_in_both: int = 0
    #: (-|a - b|, -ULPs, flat index, a, b): the smallest are the worst.
    worst: list[tuple[float, float, int, float, float]] = field(default_factory=list)

    def add(self, x: AnyArray, y: AnyArray, start: int) -> None:
        """Take in one chunk of each array, whose first element has the flat index ``start``."""
        self.points += x.size
        if x.dtype == y.dtype:
            self.nan_in_both += int(np.count_nonzero(is_nan(x) & is_nan(y)))
            unlike = np.flatnonzero(words(x) != words(y))
            if unlike.size == 0:
                return
            self.same_bits = False
            places = unlike + start
            x, y = x[unlike], y[unlike]
        else:
            self.nan_in_both += int(np.count_nonzero(is_nan(x) & is_nan(y)))
            places = np.arange(start, start + x.size)
        self._unlike(x, y, places)

    def _unlike(self, x: AnyArray, y: AnyArray, places: AnyArray) -> None:
        nan_x, nan_y = is_nan(x), is_nan(y)
        nan = nan_x ^ nan_y
        infinite = ~(nan_x | nan_y) & (_is_inf(x) | _is_inf(y))
        # Infinities differ unless both are there with the same sign.
        inf = infinite.copy()
        inf[infinite] = x[infinite].astype(np.float64) != y[infinite].astype(np.float64)
        self.nan += int(np.count_nonzero(nan))
        self.inf += int(np.count_nonzero(inf))
        self.different += int(np.count_nonzero(nan)) + int(np.count_nonzero(inf))
        for place in np.flatnonzero(nan | inf)[: self.wanted].tolist():
            self._note(np.inf, np.inf, int(places[place]), float(x[place]), float(y[place]))
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
        for place in listed.tolist():
            self._note(
                float(gap[place]), float(ulp[place]), int(places[place]),
                float(x[place]), float(y[place]),
            )  # fmt: skip

    def _note(self, gap: float, ulp: float, place: int, x: float, y: float) -> None:
        self.worst.append((-gap, -ulp, place, x, y))
        self.worst.sort(key=lambda one: one[:3])
        del self.worst[self.wanted :]

    def result(self, shape: tuple[int, ...]) -> Difference:
        """Return what was found as data."""
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
    return np.asarray(np.isinf(values))


def _index(place: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(part) for part in np.unravel_index(place, shape)) if shape else ()
