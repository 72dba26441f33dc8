"""All straight lines that pass within given bounds of given points, without rounding.

Floating-point numbers are whole numbers of a power of two, so the points and their bounds become
integers, and every question ("is there a line?", "what may its slope be?") is answered exactly.
The lines ``y = s x + c`` that pass between ``low`` and ``high`` at every x are a convex polygon in
the plane of (s, c); each further point cuts two half-planes off it (the dual of O'Rourke, "An
on-line algorithm for fitting straight lines between data ranges", 1981).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

#: A line by integers: its slope is P / W and its intercept Q / W, where W > 0.
Vertex = tuple[int, int, int]
_At = tuple[Fraction, Fraction]


@dataclass(frozen=True)
class Interval:
    """An x and the ends of the interval in which the exact y lies, all of them integers."""

    x: int
    low: int
    high: int


@dataclass
class Lines:
    """The lines that pass through every interval added so far.

    ``corners`` are the corners of their polygon; empty while there are fewer than two intervals.
    """

    first: Interval | None = None
    corners: tuple[Vertex, ...] = field(default=())

    def add(self, at: Interval) -> bool:
        """Leave only the lines through ``at``; return False, with no change, if there is none.

        Every interval needs an x of its own.
        """
        if self.first is None:
            self.first = at
        elif not self.corners:
            self.corners = _between(self.first, at)
        else:
            left = _cut(_cut(self.corners, at.x, at.low, 1), at.x, at.high, -1)
            if not left:
                return False
            self.corners = left
        return True

    def slopes(self) -> tuple[Fraction, Fraction]:
        """Return the least and the greatest slope; there must be two intervals at least."""
        found = [Fraction(p, w) for p, _, w in self.corners]
        return min(found), max(found)

    def values(self, x: Fraction) -> tuple[Fraction, Fraction]:
        """Return the least and the greatest value at ``x``."""
        found = [(p * x + q) / w for p, q, w in self.corners]
        return min(found), max(found)

    def with_slope(self, slope: Fraction) -> tuple[Fraction, Fraction]:
        """Return the least and the greatest intercept of the lines with this slope."""
        found = [at[1] for at in self._along(lambda s, _: s - slope)]
        return min(found), max(found)

    def slopes_through(self, x: Fraction, y: Fraction) -> tuple[Fraction, Fraction]:
        """Return the least and the greatest slope of the lines through a point."""
        found = [at[0] for at in self._along(lambda s, c: s * x + c - y)]
        return min(found), max(found)

    def _along(self, value: Callable[[Fraction, Fraction], Fraction]) -> list[_At]:
        """Return where the polygon's edges meet the line on which ``value`` is zero.

        Raises:
            ValueError: they do not.
        """
        at = [(Fraction(p, w), Fraction(q, w)) for p, q, w in self.corners]
        found: list[_At] = []
        for one, other in zip(at, (*at[1:], *at[:1]), strict=True):
            a, b = value(*one), value(*other)
            if a == 0:
                found.append(one)
            elif (a < 0) != (b < 0) and b != 0:
                part = a / (a - b)
                s, c = (p + part * (q - p) for p, q in zip(one, other, strict=True))
                found.append((s, c))
        if not found:
            raise ValueError("no line of these is like that")
        return found


def lines_through(intervals: Iterable[Interval]) -> Lines | None:
    """Return the lines through all of ``intervals``, None if there is none."""
    found = Lines()
    for each in intervals:
        if not found.add(each):
            return None
    return found


def segments(intervals: Sequence[Interval]) -> list[int]:
    """Cut ``intervals``, sorted by x, into as few stretches as lines can pass through.

    Returns the number of intervals in each stretch. Each is as long as it can be, from the left;
    no other way of cutting needs fewer.
    """
    counts: list[int] = []
    current, count = Lines(), 0
    for each in intervals:
        if not current.add(each):
            counts.append(count)
            current, count = Lines(), 0
            current.add(each)
        count += 1
    return [*counts, count] if count else counts


def breaks(intervals: Sequence[Interval]) -> tuple[Fraction, Fraction] | None:
    """Return between which x a line through ``intervals`` may break into another, without a jump.

    ``intervals`` are sorted by x. Two intervals at least are on each side of the break. None is
    returned where no two lines that meet pass through all of them.
    """
    count = len(intervals)
    left, right = _prefixes(intervals), _prefixes(intervals[::-1])
    # A break behind the first m intervals: m of them on its left, the others on its right.
    splits = range(max(count - len(right), 2), min(len(left), count - 2) + 1)

    def met(split: int) -> list[Fraction]:
        ends = intervals[split - 1].x, intervals[split].x
        return _meet(left[split - 1], right[count - split - 1], *ends)

    first = next((found for found in map(met, splits) if found), None)
    if first is None:
        return None
    last = next(found for found in map(met, reversed(splits)) if found)
    return min(first), max(last)


def _prefixes(intervals: Sequence[Interval]) -> list[Lines]:
    """Return the lines through the first, the first two, ... intervals, while there are any."""
    found: list[Lines] = []
    current = Lines()
    for each in intervals:
        if not current.add(each):
            break
        found.append(Lines(current.first, current.corners))
    return found


def _meet(left: Lines, right: Lines, start: int, stop: int) -> list[Fraction]:
    """Return x from ``start`` to ``stop`` at which a left and a right line can meet.

    The least and the greatest such x are among them. What lines reach at x is bounded by lines
    through corners, so whether two of them meet can only change where two such lines cross.
    """
    places = {Fraction(start), Fraction(stop)}
    for p, q, w in left.corners:
        for s, t, v in right.corners:
            apart = p * v - s * w
            if apart:
                x = Fraction(t * w - q * v, apart)
                if start < x < stop:
                    places.add(x)
    return [x for x in places if common(left, right, x) is not None]


def common(left: Lines, right: Lines, x: Fraction) -> tuple[Fraction, Fraction] | None:
    """Return the least and greatest value at ``x`` that lines of both can have, if there is any."""
    one, other = left.values(x), right.values(x)
    low, high = max(one[0], other[0]), min(one[1], other[1])
    return (low, high) if low <= high else None


def simplest(low: Fraction, high: Fraction) -> Fraction:
    """Return the number from ``low`` to ``high`` with the fewest decimal digits; 0 if it may be."""
    if low <= 0 <= high:
        return Fraction(0)
    if high < 0:
        return -simplest(-high, -low)
    middle = (low + high) / 2
    place = math.floor(math.log10(high.numerator) - math.log10(high.denominator))
    unit = Fraction(10) ** place
    for _ in range(18):
        near = max(math.ceil(low / unit), min(round(middle / unit), math.floor(high / unit)))
        if low <= near * unit <= high:
            return near * unit
        unit /= 10
    return middle


def _between(one: Interval, other: Interval) -> tuple[Vertex, ...]:
    """Return the lines through two intervals, by those through their ends."""
    if one.x > other.x:
        one, other = other, one
    w = other.x - one.x
    ends = ((one.low, other.low), (one.high, other.low), (one.high, other.high),
            (one.low, other.high))  # fmt: skip
    return _distinct([_lowest(b - a, a * w - (b - a) * one.x, w) for a, b in ends])


def _cut(corners: tuple[Vertex, ...], x: int, y: int, side: int) -> tuple[Vertex, ...]:
    """Return what is left of a polygon of lines: those at or above y at x (at or below: -1)."""
    values = [side * (p * x + q - y * w) for p, q, w in corners]
    if all(value >= 0 for value in values):
        return corners
    kept: list[Vertex] = []
    for number, (corner, value) in enumerate(zip(corners, values, strict=True)):
        if value >= 0:
            kept.append(corner)
        after = (number + 1) % len(corners)
        if (value > 0 and values[after] < 0) or (value < 0 and values[after] > 0):
            a, b = abs(values[after]), abs(value)
            p, q, w = (
                a * one + b * other for one, other in zip(corner, corners[after], strict=True)
            )
            kept.append(_lowest(p, q, w))
    return _distinct(kept)


def _lowest(p: int, q: int, w: int) -> Vertex:
    divisor = math.gcd(p, q, w)
    return p // divisor, q // divisor, w // divisor


def _distinct(corners: Sequence[Vertex]) -> tuple[Vertex, ...]:
    return tuple(dict.fromkeys(corners))
