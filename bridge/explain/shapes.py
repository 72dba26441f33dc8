"""The shape of one output over one input: which functions are within the bound of every point."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from bridge._typing import F64
from bridge.errors import BridgeError
from bridge.explain.result import ResponseShape, ShapeKind

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
        for start, end in zip(at, (*at[1:], *at[:1]), strict=True):
            a, b = value(*start), value(*end)
            if a == 0:
                found.append(start)
            elif (a < 0) != (b < 0) and b != 0:
                part = a / (a - b)
                s, c = (p + part * (q - p) for p, q in zip(start, end, strict=True))
                found.append((s, c))
        if not found:
            raise ValueError("no line of these is like that")
        return found


def lines_through(intervals: Iterable[Interval]) -> Lines | None:
    """Return the lines through all of ``intervals``, None if there is none."""
    found = Lines()
    for interval in intervals:
        if not found.add(interval):
            return None
    return found


def segments(intervals: Sequence[Interval]) -> list[int]:
    """Cut ``intervals``, sorted by x, into as few stretches as lines can pass through.

    Returns the number of intervals in each stretch. Each is as long as it can be, from the left;
    no other way of cutting needs fewer.
    """
    counts: list[int] = []
    current, count = Lines(), 0
    for interval in intervals:
        if not current.add(interval):
            counts.append(count)
            current, count = Lines(), 0
            current.add(interval)
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
    for interval in intervals:
        if not current.add(interval):
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
    left_values, right_values = left.values(x), right.values(x)
    low, high = max(left_values[0], right_values[0]), min(left_values[1], right_values[1])
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


def _between(left: Interval, right: Interval) -> tuple[Vertex, ...]:
    """Return the lines through two intervals, by those through their ends."""
    if left.x > right.x:
        left, right = right, left
    w = right.x - left.x
    ends = ((left.low, right.low), (left.high, right.low), (left.high, right.high),
            (left.low, right.high))  # fmt: skip
    return _distinct([_lowest(b - a, a * w - (b - a) * left.x, w) for a, b in ends])


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
                a * start + b * end for start, end in zip(corner, corners[after], strict=True)
            )
            kept.append(_lowest(p, q, w))
    return _distinct(kept)


def _lowest(p: int, q: int, w: int) -> Vertex:
    divisor = math.gcd(p, q, w)
    return p // divisor, q // divisor, w // divisor


def _distinct(corners: Sequence[Vertex]) -> tuple[Vertex, ...]:
    return tuple(dict.fromkeys(corners))


# Points of one number over one number, as intervals of integers in which the exact values lie.

#: Beyond so many different inputs, evenly thinned ones are looked at: exact numbers take time.
MOST_POINTS: Final = 4096


class ContradictoryError(BridgeError):
    """One input has several outputs; the message is a sentence that says which."""


@dataclass(frozen=True)
class SampleGrid:
    """Points sorted by x, each x once, with the interval of its exact y; ``thinned`` of how many.

    ``at`` are the same points as integers: x by ``x_unit`` and y by ``y_unit``.
    """

    x: F64
    low: F64
    high: F64
    at: tuple[Interval, ...]
    x_unit: Fraction
    y_unit: Fraction
    thinned: int = 0

    def __len__(self) -> int:
        return len(self.at)

    def slope(self, slope: Fraction) -> Fraction:
        """Return a slope between integers as one between numbers."""
        return slope * self.y_unit / self.x_unit


def grid_of(x: F64, y: F64, bound: F64) -> SampleGrid:
    """Return points as a grid; all numbers are finite.

    Raises:
        ContradictoryError: two outputs of one input differ by more than their bounds.
    """
    order = np.argsort(x, kind="stable")
    x, y, bound = x[order], y[order], bound[order]
    # Adding 0 makes -0 of the same input as 0.
    different, starts = np.unique(x + 0.0, return_index=True)
    xs, x_unit = _integers(different)
    both, y_unit = _integers(np.concatenate((y, bound)))
    ys, bounds = both[: len(y)], both[len(y) :]
    stops = [*starts[1:].tolist(), len(x)]
    kept = range(len(different))
    if len(different) > MOST_POINTS:
        kept_at = np.linspace(0, len(different) - 1, MOST_POINTS).round().astype(int)
        kept = kept_at.tolist()
    at: list[Interval] = []
    for number, (start, stop) in enumerate(zip(starts.tolist(), stops, strict=True)):
        low = max(ys[place] - bounds[place] for place in range(start, stop))
        high = min(ys[place] + bounds[place] for place in range(start, stop))
        if low > high:
            least, most = y[start:stop].min(), y[start:stop].max()
            raise ContradictoryError(
                f"The output is not a function of this input alone: at x = {different[number]:.6g} "
                f"it is {least:.9g} and {most:.9g}."
            )
        at.append(Interval(xs[number], low, high))
    chosen = tuple(at[number] for number in kept)
    return SampleGrid(
        x=different[list(kept)],
        low=np.array([float(interval.low * y_unit) for interval in chosen]),
        high=np.array([float(interval.high * y_unit) for interval in chosen]),
        at=chosen,
        x_unit=x_unit,
        y_unit=y_unit,
        thinned=len(different) if len(chosen) < len(different) else 0,
    )


def _integers(numbers: Iterable[float]) -> tuple[list[int], Fraction]:
    """Return finite numbers as integers, and the unit in which they are."""
    ratios = [float(number).as_integer_ratio() for number in numbers]
    # Every denominator is a power of two, so the largest is a multiple of all.
    unit = max((below for _, below in ratios), default=1)
    return [above * (unit // below) for above, below in ratios], Fraction(1, unit)


# Straight pieces through points: as few as there can be, and where they meet.

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


def pieces_of(grid: SampleGrid) -> Pieces | Uncertain:
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
    lines = [_simple(grid, start, stop) for start, stop in zip(starts, stops, strict=True)]
    return Pieces(
        tuple(slope for slope, _ in lines),
        tuple(intercept for _, intercept in lines),
        tuple(
            _joint(grid, starts[number], stops[number + 1], ahead, back, number)
            for number in range(len(counts) - 1)
        ),
        tuple(float(grid.x[stop - 1]) for stop in stops),
    )


def _uncertain(grid: SampleGrid, counts: Sequence[int], number: int) -> Uncertain:
    start = sum(counts[:number])
    low, high = max(start - 1, 0), min(start + counts[number], len(grid) - 1)
    return Uncertain(len(counts), float(grid.x[low]), float(grid.x[high]))


def _joint(
    grid: SampleGrid, start: int, stop: int, ahead: Sequence[int], back: Sequence[int], number: int
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


def _simple(grid: SampleGrid, start: int, stop: int) -> tuple[float, float]:
    """Return the slope and intercept of the line with the fewest digits through a stretch."""
    lines = lines_through(grid.at[start:stop])
    if lines is None:
        raise AssertionError("a stretch was cut though no line passes through it")
    ratio = grid.y_unit / grid.x_unit
    low, high = lines.slopes()
    slope = simplest(low * ratio, high * ratio)
    low, high = lines.with_slope(slope / ratio)
    return float(slope), float(simplest(low * grid.y_unit, high * grid.y_unit))


def _hinge(grid: SampleGrid, met: tuple[Fraction, Fraction]) -> Pieces:
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


def _meeting(grid: SampleGrid, x: Fraction) -> tuple[Fraction, Fraction, Lines, Lines] | None:
    """Return a place, the value there, and the lines of both sides, if they can meet there."""
    inside = [interval for interval in grid.at if interval.x <= x]
    left, right = lines_through(inside), lines_through(grid.at[len(inside) :])
    if left is None or right is None or not left.corners or not right.corners:
        return None
    both = common(left, right, x)
    if both is None:
        return None
    value = simplest(both[0] * grid.y_unit, both[1] * grid.y_unit) / grid.y_unit
    return x, value, left, right


#: A joint of two straight pieces bends two triples of neighbours at most, so three triples in a
#: row that all bend are more than one joint makes.
_RUN: Final = 3


@dataclass(frozen=True)
class ResponseCurve:
    """What is known of a curve: its bends, and whether it rises (1) or falls (-1) all the way.

    ``run`` is the longest row of neighbouring triples that all bend; ``bends`` counts those that
    bend, ``turns`` how often they bend the other way than the one before.
    """

    bends: int
    turns: int
    run: int
    direction: int
    saturates: bool

    @property
    def curved(self) -> bool:
        """Say whether it is a curve: bends in a row, and not to and fro as those of noise are."""
        return self.run >= _RUN and 2 * self.turns < self.bends


def curve_of(grid: SampleGrid) -> ResponseCurve:
    """Return what is known of the curve on which a grid's points may lie."""
    bent = _bends(grid)
    directions = [direction for direction in bent if direction]
    direction = 1 if _rises(grid, 1) else -1 if _rises(grid, -1) else 0
    return ResponseCurve(
        bends=len(directions),
        turns=sum(before != after for before, after in pairwise(directions)),
        run=_longest(bent),
        direction=direction,
        saturates=direction != 0 and _saturates(grid, direction),
    )


def _bends(grid: SampleGrid) -> list[int]:
    """Return how every triple of neighbours bends for certain: up (1), down (-1), or not (0)."""
    found = []
    for a, b, c in zip(grid.at, grid.at[1:], grid.at[2:], strict=False):
        left, right = b.x - a.x, c.x - b.x
        if a.low * right + c.low * left > b.high * (left + right):
            found.append(1)
        elif a.high * right + c.high * left < b.low * (left + right):
            found.append(-1)
        else:
            found.append(0)
    return found


def _longest(bent: list[int]) -> int:
    longest = current = 0
    for direction in bent:
        current = current + 1 if direction else 0
        longest = max(longest, current)
    return longest


def _rises(grid: SampleGrid, direction: int) -> bool:
    """Say whether a function that never falls (never rises: -1) passes through all intervals."""
    ends = [
        (interval.low, interval.high) if direction > 0 else (-interval.high, -interval.low)
        for interval in grid.at
    ]
    reached = ends[0][0]
    for low, high in ends:
        reached = max(reached, low)
        if reached > high:
            return False
    return True


def _saturates(grid: SampleGrid, direction: int) -> bool:
    """Say whether a monotone curve is steepest inside and flattens towards both ends.

    It does where the steps outwards from the steepest one can all be ever smaller ones, and where
    what would still follow beyond both ends, if slopes shrink on as they do, is less than what is
    on the grid. So more than half of the whole rise was seen.
    """
    x = grid.x
    low, high = (grid.low, grid.high) if direction > 0 else (-grid.high, -grid.low)
    widths = np.diff(x)
    least, most = (low[1:] - high[:-1]) / widths, (high[1:] - low[:-1]) / widths
    steepest = int(np.argmax(least))
    for outwards in (slice(steepest, None), slice(steepest, None, -1)):
        smallest = np.minimum.accumulate(most[outwards])
        if np.any(least[outwards] > smallest):
            return False
    right = _beyond(x, low, high, steepest)
    left = _beyond(-x[::-1], -high[::-1], -low[::-1], len(widths) - 1 - steepest)
    return right + left < float(low[-1] - high[0])


def _beyond(x: F64, low: F64, high: F64, steepest: int) -> float:
    """Return how far a rising curve can still rise beyond its last point; infinite if not known.

    The way from the steepest step to the end is cut into quarters. If the slope shrinks from the
    third to the last one by no smaller a factor than before (as it does in tanh and sigmoid, and
    does not in asinh, which has no end), it is taken to shrink on like that.
    """
    if np.max(low[-SUPPORT:]) <= np.min(high[-SUPPORT:]):
        return 0.0
    way = x[-1] - x[steepest + 1]
    places = np.searchsorted(x, [x[-1] - way * part for part in (0.75, 0.5, 0.25, 0.0)])
    if not np.all(np.diff(places) > 0):
        return math.inf
    width = np.diff(x[places])
    least = (low[places[1:]] - high[places[:-1]]) / width
    most = (high[places[1:]] - low[places[:-1]]) / width
    if most[2] <= 0:
        return 0.0
    if least[1] <= most[2] or least[0] * least[2] > most[1] ** 2:
        return math.inf
    shrinking = math.log(least[1] / most[2]) * 2 / float(width[1] + width[2])
    return float(most[2]) * math.exp(-shrinking * float(width[2]) / 2) / shrinking


# The shape of one output over one input: which functions are within the bound of every point.

#: Beyond so many pieces they are counted and not listed, and beyond so many not spelled out.
MOST_LISTED: Final = 32
_SPELLED: Final = 4


def shape_of(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    bound: npt.ArrayLike = 0.0,
    *,
    probe: str = "",
    output: str = "",
) -> ResponseShape:
    """Return the shape of ``y`` over ``x``: n points in any order, where an x may come again.

    ``bound`` says how far each y may be from its exact value (n numbers, or one for all). Where it
    is zero only bits count: a line is a line then if every point is on it exactly. Where it is
    infinite nothing is known of the point, and it is left out. For an output of a model, the bound
    has to hold from the model's input to its output (:mod:`.error_propagation`), not for the
    last layer alone: rounding before the last layer bends an exact line as well.

    Raises:
        ValueError: the arrays do not have one axis and the same length, or a bound is negative.
    """
    xs, ys = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if xs.ndim != 1 or xs.shape != ys.shape:
        raise ValueError(f"x and y have shapes {xs.shape} and {ys.shape}; give n numbers each")
    bounds = np.broadcast_to(np.asarray(bound, np.float64), ys.shape)
    if not np.all(bounds >= 0):
        raise ValueError("a bound is negative or no number; give how far y may be from exact")
    known = np.isfinite(bounds)
    xs, ys, bounds = xs[known], ys[known], bounds[known]
    open_ = _Open(probe, output, len(xs))
    odd = int(np.sum(~(np.isfinite(xs) & np.isfinite(ys))))
    if odd:
        return open_.unknown(f"{odd:,} of {len(xs):,} points are not finite numbers.", odd)
    different = len(np.unique(xs))
    if different < SUPPORT:
        there = "is 1" if different == 1 else f"are {different}"
        unbounded = int(np.sum(~known))
        why = f" ({unbounded:,} have no bound and are left out)" if unbounded else ""
        return open_.unknown(
            f"{SUPPORT} different inputs at least tell a line from a bend; there {there}{why}."
        )
    # Models of one script often make the same curve, and it is asked for more than once.
    digest = hashlib.sha256()
    for array in (xs, ys, bounds):
        digest.update(np.ascontiguousarray(array).tobytes())
    key = digest.digest()
    if key not in _told:
        if len(_told) >= _MOST_TOLD:
            _told.clear()
        _told[key] = _fitted(xs, ys, bounds, replace(open_, probe="", output=""))
    return _told[key].model_copy(update={"probe": probe, "output": output})


#: Shapes of points that were fitted before in this process, by their bits.
_told: Final[dict[bytes, ResponseShape]] = {}
_MOST_TOLD: Final = 1024


def _fitted(xs: F64, ys: F64, bounds: F64, open_: _Open) -> ResponseShape:
    try:
        grid = grid_of(xs, ys, bounds)
    except ContradictoryError as error:
        return open_.unknown(str(error))
    within = " within its rounding bound" if bounds.any() else ", bit for bit"
    if grid.thinned:
        within += f" (of {grid.thinned:,} different inputs, {len(grid):,} were looked at)"
    pieces = pieces_of(grid)
    if isinstance(pieces, Uncertain):
        return open_.curved(grid, pieces, curve_of(grid))
    residual = float(np.max(np.abs(ys - pieces.at(xs)))) if not grid.thinned else 0.0
    return open_.straight(pieces, within, residual, float(grid.x[-1] - grid.x[0]))


@dataclass(frozen=True)
class _Open:
    """A response whose shape is still to be said."""

    probe: str
    output: str
    points: int

    def _shape(self, kind: ShapeKind, sentence: str) -> ResponseShape:
        return ResponseShape(
            probe=self.probe,
            output=self.output,
            kind=kind,
            sentence=sentence,
            points=self.points,
        )

    def unknown(self, sentence: str, beyond: int = 0) -> ResponseShape:
        shape = self._shape("not-known", f"Not known: {sentence[0].lower()}{sentence[1:]}")
        return shape.model_copy(update={"beyond": beyond})

    def straight(self, pieces: Pieces, within: str, residual: float, span: float) -> ResponseShape:
        kind, said = _straight(pieces, span)
        shape = self._shape(kind, f"{said}; every point is on it{within}.")
        listed = pieces if len(pieces.slopes) <= MOST_LISTED else replace(
            pieces, slopes=(), intercepts=(), joints=()
        )  # fmt: skip
        return shape.model_copy(
            update={
                "pieces": len(pieces.slopes),
                "breakpoints": tuple(joint.x for joint in listed.joints),
                "between": tuple((joint.low, joint.high) for joint in listed.joints),
                "slopes": listed.slopes,
                "intercepts": listed.intercepts,
                "largest_residual": residual,
            }
        )

    def curved(self, grid: SampleGrid, straight: Uncertain, curve: ResponseCurve) -> ResponseShape:
        least, points = straight.pieces, len(grid)
        where = f"x = {straight.low:.6g} and x = {straight.high:.6g}"
        if curve.curved and curve.saturates:
            first, last = (float((grid.low[end] + grid.high[end]) / 2) for end in (0, -1))
            return self._shape(
                "saturating",
                f"Saturating: it goes from {first:.6g} to {last:.6g}, is steepest in between and "
                f"flattens towards both ends ({least} straight pieces at least would be needed "
                f"for {points:,} points).",
            )
        if curve.curved:
            way = {1: "never falling", -1: "never rising", 0: "rising and falling"}
            return self._shape(
                "smooth",
                f"Curved, {way[curve.direction]}: {least} straight pieces at least would be needed "
                f"for {points:,} points, more than the points can show.",
            )
        if 2 * curve.turns >= curve.bends > 1 and curve.run > 2:
            return self.unknown(
                f"It bends to and fro at {curve.bends:,} of {points - 2:,} inner points, like "
                "noise, so the bound is too small for this response or the grid too coarse."
            )
        return self.unknown(
            f"{least} straight pieces at least are needed, and between {where} there are too few "
            f"points to tell a straight piece from a curve; {SUPPORT} on every piece would do."
        )


def _straight(pieces: Pieces, span: float) -> tuple[ShapeKind, str]:
    """Return the kind of a shape of straight pieces, and what is said of it.

    Joints are told to within a ten-thousandth of ``span``.
    """
    slopes, joints = pieces.slopes, pieces.joints
    if len(slopes) == 1 and slopes[0] == 0:
        return "constant", f"Constant: {_number(pieces.intercepts[0])}"
    if len(slopes) == 1:
        return "affine", f"A straight line: y = {line(slopes[0], pieces.intercepts[0])}"
    text = f"slope {_number(slopes[0])}"
    for slope, joint in zip(slopes[1:], joints, strict=True):
        if joint.jump:
            text += (
                f" up to x = {_number(joint.low)}, then a jump, and from x = {_number(joint.high)} "
                f"slope {_number(slope)}"
            )
            continue
        text += f" up to x = {_number(joint.x)}"
        if round(joint.low / span, 4) != round(joint.high / span, 4):
            text += f" (between {_number(joint.low)} and {_number(joint.high)})"
        text += f", then slope {_number(slope)}"
    if len(slopes) == 2 and not joints[0].jump:
        return "hinge", f"A hinge: {text}"
    if len(slopes) <= _SPELLED:
        return "piecewise-linear", f"{len(slopes)} straight pieces: {text}"
    return "piecewise-linear", (
        f"{len(slopes)} straight pieces, with slopes from {_number(min(slopes))} to "
        f"{_number(max(slopes))}"
    )


def line(slope: float, intercept: float) -> str:
    """Return ``2 x + 1`` for a slope of 2 and an intercept of 1."""
    factor = {1.0: "", -1.0: "-"}.get(slope, f"{_number(slope)} ")
    if intercept == 0:
        return f"{factor}x"
    return f"{factor}x {'-' if intercept < 0 else '+'} {_number(abs(intercept))}"


def _number(value: float) -> str:
    return f"{value + 0.0:.6g}"
