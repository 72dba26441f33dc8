"""Straight pieces through points: as few as there can be, and where they meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Final

import numpy as np

from bridge._typing import F64
from bridge.explain.responses.grid import Grid
from bridge.explain.responses.lines import Lines, breaks, common, lines_through, segments, simplest

#: Any two points are on a line; a third one tells whether there is a line.
SUPPORT: Final = 3


@dataclass(frozen=True)
class Joint:
    """Where two pieces meet: at ``x``, and somewhere between ``low`` and ``high`` for certain.

    With ``jump`` they do not meet, and one ends at ``low`` where the other starts at ``high``.
    """

    x: float
    low: float
    high: float
    jump: bool = False


@dataclass(frozen=True)
class Pieces:
    """Straight pieces from left to right, with one joint between two of them."""

    slopes: tuple[float, ...]
    intercepts: tuple[float, ...]
    joints: tuple[Joint, ...]
    #: The largest x of each piece.
    ends: tuple[float, ...]

    def at(self, x: F64) -> F64:
        """Return the pieces' values at every x."""
        which = np.searchsorted(np.array(self.ends[:-1]), x)
        found: F64 = np.array(self.slopes)[which] * x + np.array(self.intercepts)[which]
        return found


@dataclass(frozen=True)
class Uncertain:
    """There are bends, and too few points at some of them to tell straight pieces from a curve.

    ``pieces`` is how many straight pieces are needed at least; ``low`` and ``high`` are the ends of
    the first stretch of x that has too few points.
    """

    pieces: int
    low: float
    high: float


def pieces_of(grid: Grid) -> Pieces | Uncertain:
    """Return the fewest straight pieces through a grid, if each of them rests on three points.

    A point at a joint supports both pieces.
    """
    ahead = segments(grid.at)
    back = segments(grid.at[::-1])[::-1]
    for number, both in enumerate(zip(ahead, back, strict=True)):
        if max(both) < SUPPORT:
            return _uncertain(grid, ahead, number)
    counts = ahead if min(ahead) > 1 else back
    if min(counts) < 2:
        return _uncertain(grid, counts, counts.index(1))
    if len(counts) == 1:
        slope, intercept = _simple(grid, 0, len(grid))
        return Pieces((slope,), (intercept,), (), (float(grid.x[-1]),))
    stops = list(accumulate(counts))
    starts = [0, *stops[:-1]]
    met = breaks(grid.at) if len(counts) == 2 else None
    if met is not None:
        return _hinge(grid, met)
    made = [_simple(grid, start, stop) for start, stop in zip(starts, stops, strict=True)]
    return Pieces(
        tuple(slope for slope, _ in made),
        tuple(intercept for _, intercept in made),
        tuple(
            _joint(grid, starts[number], stops[number + 1], ahead, back, number)
            for number in range(len(counts) - 1)
        ),
        tuple(float(grid.x[stop - 1]) for stop in stops),
    )


def _uncertain(grid: Grid, counts: Sequence[int], number: int) -> Uncertain:
    start = sum(counts[:number])
    low, high = max(start - 1, 0), min(start + counts[number], len(grid) - 1)
    return Uncertain(len(counts), float(grid.x[low]), float(grid.x[high]))


def _joint(
    grid: Grid, start: int, stop: int, ahead: Sequence[int], back: Sequence[int], number: int
) -> Joint:
    """Return where one piece meets the next; both together have the points start to stop."""
    met = breaks(grid.at[start:stop])
    if met is not None:
        low, high = (float(x * grid.x_unit) for x in met)
        return Joint(float(simplest(met[0] * grid.x_unit, met[1] * grid.x_unit)), low, high)
    last = sum(ahead[: number + 1])
    first = min(sum(back[: number + 1]), last)
    low, high = float(grid.x[first - 1]), float(grid.x[last])
    return Joint(low / 2 + high / 2, low, high, jump=True)


def _simple(grid: Grid, start: int, stop: int) -> tuple[float, float]:
    """Return the slope and intercept of the line with the fewest digits through a stretch."""
    lines = lines_through(grid.at[start:stop])
    if lines is None:
        raise AssertionError("a stretch was cut though no line passes through it")
    ratio = grid.y_unit / grid.x_unit
    low, high = lines.slopes()
    slope = simplest(low * ratio, high * ratio)
    low, high = lines.with_slope(slope / ratio)
    return float(slope), float(simplest(low * grid.y_unit, high * grid.y_unit))


def _hinge(grid: Grid, met: tuple[Fraction, Fraction]) -> Pieces:
    """Return two pieces that meet, somewhere between the ends of ``met``."""
    x = simplest(met[0] * grid.x_unit, met[1] * grid.x_unit) / grid.x_unit
    found = _meeting(grid, x) or _meeting(grid, met[0])
    if found is None:
        raise AssertionError("lines were said to meet where they do not")
    place, value, left, right = found
    ratio = grid.y_unit / grid.x_unit
    slopes = []
    for side in (left, right):
        low, high = side.slopes_through(place, value)
        slopes.append(simplest(low * ratio, high * ratio))
    at, y = place * grid.x_unit, value * grid.y_unit
    ends = [float(end * grid.x_unit) for end in met]
    return Pieces(
        tuple(float(slope) for slope in slopes),
        tuple(float(y - slope * at) for slope in slopes),
        (Joint(float(at), ends[0], ends[1]),),
        (float(at), float(grid.x[-1])),
    )


def _meeting(grid: Grid, x: Fraction) -> tuple[Fraction, Fraction, Lines, Lines] | None:
    """Return a place, the value there, and the lines of both sides, if they can meet there."""
    inside = [each for each in grid.at if each.x <= x]
    left, right = lines_through(inside), lines_through(grid.at[len(inside) :])
    if left is None or right is None or not left.corners or not right.corners:
        return None
    both = common(left, right, x)
    if both is None:
        return None
    value = simplest(both[0] * grid.y_unit, both[1] * grid.y_unit) / grid.y_unit
    return x, value, left, right
