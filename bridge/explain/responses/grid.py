"""Points of one number over one number, as intervals of integers in which the exact values lie."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

from bridge._typing import F64
from bridge.errors import BridgeError
from bridge.explain.responses.lines import Interval

#: Beyond so many different inputs, evenly thinned ones are looked at: exact numbers take time.
MOST_POINTS: Final = 4096


class ContradictoryError(BridgeError):
    """One input has several outputs; the message is a sentence that says which."""


@dataclass(frozen=True)
class Grid:
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


def grid_of(x: F64, y: F64, bound: F64) -> Grid:
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
    return Grid(
        x=different[list(kept)],
        low=np.array([float(each.low * y_unit) for each in chosen]),
        high=np.array([float(each.high * y_unit) for each in chosen]),
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
