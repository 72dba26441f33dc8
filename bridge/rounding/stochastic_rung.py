"""What rounding did to a layer in repeated runs: the yardstick for layers without a rule.

The layer was run several times in its own type, each time with every argument and weight moved by
at most one unit in the last place, and once in float64. Each run's statistic is its largest
|y - exact| / scale over the elements, where ``scale`` is the root mean square of the runs'
deviations at each element. A result whose own statistic is no larger than the largest of the runs
is what rounding does. Beyond that, the logarithms of the runs' statistics are taken as a sample of
a normal distribution, and Student's t says how likely a further run is to come out as large: below
:data:`CHANCE` the result is called different, otherwise nothing is said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.compare.result import Verdict, Worst
from bridge.rounding.elementwise import WORST
from bridge.rounding.rules.rounding import FORMATS

#: How unlikely rounding must be as the reason before a result is called different.
CHANCE: Final = 1e-9


@dataclass(frozen=True)
class Finding:
    """What the spread says of a result; ``ratio`` is its statistic over the runs' largest."""

    verdict: Verdict
    why: str
    ratio: float
    error: float
    beyond: int
    worst: tuple[Worst, ...]


@dataclass(frozen=True)
class Spread:
    """The float64 result, the scale of the runs' deviations from it, and each run's statistic.

    ``exact`` and ``scale`` have the shape of the output, or of its first rows.
    """

    exact: F64
    scale: F64
    statistics: tuple[float, ...]

    def judge(self, y: AnyArray) -> Finding:
        """Judge the output of the layer on the unmoved arguments."""
        fmt = FORMATS[y.dtype.name]
        y = y[: len(self.exact)] if self.exact.ndim else y
        most, runs = max(self.statistics, default=0.0), len(self.statistics)
        with np.errstate(all="ignore"):
            error = np.abs(y.astype(np.float64) - self.exact)
            ratio = np.where(error == 0.0, 0.0, error / self.scale)
            alike = (np.isnan(y) & np.isnan(self.exact)) | (y.astype(np.float64) == self.exact)
        ratio = np.where(alike, 0.0, np.where(np.isnan(ratio), np.inf, ratio))
        largest = float(ratio.max(initial=0.0))
        order = np.argsort(-ratio.ravel(), kind="stable")[:WORST]
        unit = fmt.ulp(self.exact.ravel()[order])
        worst = tuple(
            Worst(
                index=tuple(int(part) for part in np.unravel_index(place, y.shape)),
                a=float(y.ravel()[place]),
                b=float(self.exact.ravel()[place]),
                ulp=float(np.nan_to_num(error.ravel()[place] / step, nan=np.inf)),
            )
            for place, step in zip(order.tolist(), unit.tolist(), strict=True)
        )
        finite = error[np.isfinite(error)]

        def finding(verdict: Verdict, why: str) -> Finding:
            return Finding(
                verdict,
                why,
                largest / most if most > 0.0 else float(largest > 0.0),
                float(finite.max(initial=0.0)),
                int((ratio > most).sum()),
                worst,
            )

        if largest <= most:
            return finding("within-rounding", f"no further from float64 than {runs} perturbed runs")
        chance = tail(largest, self.statistics)
        if chance < CHANCE:
            much = f"{largest / most:.3g} times" if most > 0.0 and math.isfinite(largest) else "far"
            return finding(
                "different",
                f"{much} as far from float64 as any of {runs} perturbed runs; rounding does that "
                f"with a probability below {CHANCE:g}",
            )
        return finding(
            "abstained",
            f"further from float64 than {runs} perturbed runs, but not so far that it cannot be "
            f"rounding (probability {chance:.1g})",
        )


def tail(largest: float, statistics: tuple[float, ...]) -> float:
    """Bound the probability that a further run has a statistic of at least ``largest``.

    The logarithms are taken as normal, so that a further one, standardised by the mean and the
    deviation of the sample, follows Student's t. Its tail is bounded by
    C (1 / t) (v / (v - 1)) (1 + t^2 / v)^(-(v - 1) / 2), which follows from x >= t under the
    integral. 1 is returned where a sample says nothing.
    """
    logs = [math.log(each) for each in statistics if 0.0 < each < math.inf]
    degrees = len(logs) - 1
    if degrees < 7 or len(logs) < len(statistics):
        return 1.0
    if math.isinf(largest):
        return 0.0
    mean = math.fsum(logs) / len(logs)
    deviation = math.sqrt(math.fsum((each - mean) ** 2 for each in logs) / degrees)
    away = math.log(largest) - mean
    if deviation == 0.0:
        return 1.0
    t = away / (deviation * math.sqrt(1.0 + 1.0 / len(logs)))
    if t <= 1.0:
        return 1.0
    log_c = (
        math.lgamma((degrees + 1) / 2)
        - math.lgamma(degrees / 2)
        - 0.5 * math.log(degrees * math.pi)
    )
    log_tail = (
        log_c
        - math.log(t)
        + math.log(degrees / (degrees - 1))
        - 0.5 * (degrees - 1) * math.log1p(t * t / degrees)
    )
    return min(1.0, math.exp(log_tail))
