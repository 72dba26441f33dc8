"""Whether points that no few straight pieces reach lie on a curve, and on which kind of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from bridge._typing import F64
from bridge.explain.responses.grid import Grid
from bridge.explain.responses.pieces import SUPPORT

#: A joint of two straight pieces bends two triples of neighbours at most, so three triples in a
#: row that all bend are more than one joint makes.
_RUN: Final = 3


@dataclass(frozen=True)
class Curve:
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


def curve_of(grid: Grid) -> Curve:
    """Return what is known of the curve on which a grid's points may lie."""
    bent = _bends(grid)
    told = [each for each in bent if each]
    direction = 1 if _rises(grid, 1) else -1 if _rises(grid, -1) else 0
    return Curve(
        bends=len(told),
        turns=sum(one != other for one, other in pairwise(told)),
        run=_longest(bent),
        direction=direction,
        saturates=direction != 0 and _saturates(grid, direction),
    )


def _bends(grid: Grid) -> list[int]:
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


def _rises(grid: Grid, direction: int) -> bool:
    """Say whether a function that never falls (never rises: -1) passes through all intervals."""
    ends = [(each.low, each.high) if direction > 0 else (-each.high, -each.low) for each in grid.at]
    reached = ends[0][0]
    for low, high in ends:
        reached = max(reached, low)
        if reached > high:
            return False
    return True


def _saturates(grid: Grid, direction: int) -> bool:
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
