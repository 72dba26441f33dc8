"""What became of an ensemble: who learned, out of how many, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from bridge._typing import F64, AnyArray


@dataclass(frozen=True)
class Share:
    """How many of how many, with Wilson's score interval.

    The interval is made for shares near 0 and 1 and for few trials (Wilson 1927; Brown, Cai and
    DasGupta 2001): it never leaves 0..1, and is not a point where all or none succeeded.
    """

    successes: int
    trials: int
    confidence: float = 0.95

    @property
    def value(self) -> float:
        """The share, NaN of no trials."""
        return self.successes / self.trials if self.trials else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval, 0 to 1 of no trials."""
        if not self.trials:
            return 0.0, 1.0
        z = NormalDist().inv_cdf((1 + self.confidence) / 2)
        n, p = self.trials, self.value
        centre = p + z * z / (2 * n)
        reach = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        scale = 1 + z * z / n
        # At the ends rounding must not shut out the share itself.
        low = 0.0 if self.successes == 0 else max(0.0, (centre - reach) / scale)
        high = 1.0 if self.successes == n else min(1.0, (centre + reach) / scale)
        return low, high

    def holds(self, claimed: float) -> bool:
        """Say whether the interval holds a claimed share."""
        low, high = self.interval
        return low <= claimed <= high

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.1%} ({low:.1%} to {high:.1%}) of {self.trials:,}"


def share(which: AnyArray, among: AnyArray | None = None) -> Share:
    """Count where ``which`` is true, of all or of those where ``among`` is."""
    chosen = which if among is None else which[among]
    return Share(int(np.sum(chosen)), len(chosen))


def one_bend_floor(x: AnyArray, y: AnyArray) -> float:
    """Return a loss below which no function comes that is level on one side of a bend.

    Such a function is what a net makes whose units all have died on one side: level up to some
    point, and from there a straight line (or the other way round). For every split of the points
    the best level and the best line are fitted by least squares, without asking that they meet;
    the least mean squared error of all splits is the floor. A net below it has learned more than
    one side.

    Args:
        x: points, at least three different ones.
        y: targets.
    """
    order = np.argsort(x, kind="stable")
    return min(
        _level_then_line(x[order], y[order]), _level_then_line(-x[order][::-1], y[order][::-1])
    )


def _level_then_line(x: AnyArray, y: AnyArray) -> float:
    x, y = x.astype(np.float64), y.astype(np.float64)
    n = len(x)
    best = math.inf
    for split in range(n + 1):
        left, right = y[:split], slice(split, n)
        error = float(np.sum((left - left.mean()) ** 2)) if split else 0.0
        if n - split > 2:
            dx, dy = x[right] - x[right].mean(), y[right] - y[right].mean()
            spread = float(dx @ dx)
            slope = float(dx @ dy) / spread if spread else 0.0
            error += float(np.sum((dy - slope * dx) ** 2))
        best = min(best, error / n)
    return best


@dataclass(frozen=True, eq=False)
class Units:
    """Each unit's place and sign; arrays of shape (nets, units)."""

    kernel: AnyArray
    bias: AnyArray
    out: AnyArray

    @property
    def right(self) -> AnyArray:
        """Units that are active to the right of their bend."""
        right: AnyArray = self.kernel > 0
        return right

    @property
    def mixed(self) -> AnyArray:
        """Nets with units of both directions, shape (nets,)."""
        both: AnyArray = self.right.any(axis=1) & ~self.right.all(axis=1)
        return both


def units_of(weights: AnyArray) -> Units:
    """Take apart the numbers of nets, shape (nets, 3 * units + 1)."""
    units = (weights.shape[1] - 1) // 3
    kernel, bias, out = (weights[:, k * units : (k + 1) * units] for k in range(3))
    return Units(kernel, bias, out)


def predict(weights: AnyArray, x: AnyArray, leak: float = 0.0) -> F64:
    """Return what nets make of points, shape (nets, points), computed in float64."""
    units = units_of(weights.astype(np.float64))
    made = np.repeat(weights[:, -1:].astype(np.float64), len(x), axis=1)
    for j in range(units.kernel.shape[1]):
        a = units.kernel[:, j, None] * x + units.bias[:, j, None]
        made += units.out[:, j, None] * np.where(a > 0, a, leak * a)
    return made


def sides_learned(
    weights: AnyArray, x: AnyArray, y: AnyArray, leak: float = 0.0
) -> tuple[AnyArray, AnyArray]:
    """Say which nets are better left of zero, and right of it, than the best level line there.

    Returns:
        Two arrays of bool, shape (nets,).
    """
    error = (predict(weights, x, leak) - y) ** 2
    sides = []
    for side in (x < 0, x > 0):
        level = float(np.var(y[side].astype(np.float64)))
        sides.append(error[:, side].mean(axis=1) < level)
    return sides[0], sides[1]
