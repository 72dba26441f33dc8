"""The shape of one output over one input: which functions are within the bound of every point."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from bridge._typing import F64
from bridge.explain.responses.piecewise_linear import (
    SUPPORT,
    ContradictoryError,
    Pieces,
    SampleGrid,
    Uncertain,
    grid_of,
    pieces_of,
)
from bridge.explain.result import ResponseShape, ShapeKind

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
    told = [each for each in bent if each]
    direction = 1 if _rises(grid, 1) else -1 if _rises(grid, -1) else 0
    return ResponseCurve(
        bends=len(told),
        turns=sum(one != other for one, other in pairwise(told)),
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
    for each in bent:
        current = current + 1 if each else 0
        longest = max(longest, current)
    return longest


def _rises(grid: SampleGrid, direction: int) -> bool:
    """Say whether a function that never falls (never rises: -1) passes through all intervals."""
    ends = [(each.low, each.high) if direction > 0 else (-each.high, -each.low) for each in grid.at]
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
    for each in (xs, ys, bounds):
        digest.update(np.ascontiguousarray(each).tobytes())
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
    told = f"slope {_number(slopes[0])}"
    for slope, joint in zip(slopes[1:], joints, strict=True):
        if joint.jump:
            told += (
                f" up to x = {_number(joint.low)}, then a jump, and from x = {_number(joint.high)} "
                f"slope {_number(slope)}"
            )
            continue
        told += f" up to x = {_number(joint.x)}"
        if round(joint.low / span, 4) != round(joint.high / span, 4):
            told += f" (between {_number(joint.low)} and {_number(joint.high)})"
        told += f", then slope {_number(slope)}"
    if len(slopes) == 2 and not joints[0].jump:
        return "hinge", f"A hinge: {told}"
    if len(slopes) <= _SPELLED:
        return "piecewise-linear", f"{len(slopes)} straight pieces: {told}"
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
