"""Trainings made again from several starts: with one thing changed, and as they were.

That a change makes a training better is said where each training with it ends below each without:
the interval is that of the starts, and nobody sets it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from bridge.capsule import Capsule, Probe

#: Starts with the change, and without: the recorded one, and so many with other seeds less one.
STARTS: Final = 3


@dataclass(frozen=True)
class Trials:
    """Losses after trainings, on the rows that were trained; the recorded start comes first."""

    as_recorded: tuple[float, ...]
    changed: tuple[float, ...]

    @property
    def better(self) -> bool:
        """Whether every training with the change ended below every one without."""
        if min(len(self.as_recorded), len(self.changed)) < STARTS:
            return False
        worst = max(_number(each) for each in self.changed)
        return worst < min(_number(each) for each in self.as_recorded)

    @property
    def most(self) -> bool:
        """Whether it is better, and takes away most of what was left of the loss."""
        return self.better and 2 * max(self.changed) < self.interval_as_recorded[0]

    @property
    def interval(self) -> tuple[float, float]:
        """The least and greatest loss with the change."""
        return min(self.changed), max(self.changed)

    @property
    def interval_as_recorded(self) -> tuple[float, float]:
        """The least and greatest loss without it."""
        known = [_number(each) for each in self.as_recorded]
        return min(known), max(known)


def trials(capsule: Capsule | None) -> Trials | None:
    """Return the trials of an experiment, None where there are none."""
    if capsule is None:
        return None
    probes = [probe for probe in capsule.manifest.probes if probe.kind == "fit"]
    recorded = tuple(_after(probe) for probe in probes if not probe.settings.get("changed"))
    changed = tuple(_after(probe) for probe in probes if probe.settings.get("changed"))
    return Trials(recorded, changed) if recorded and changed else None


def spelled(ends: tuple[float, float]) -> str:
    """Return an interval of losses in words."""
    low, high = (f"{each:.4g}" if math.isfinite(each) else "no number" for each in ends)
    return low if low == high else f"{low} to {high}"


def _after(probe: Probe) -> float:
    """Return the loss after a training."""
    return probe.curves["after"][0]


def _number(loss: float) -> float:
    """Return a loss that can be compared: one that is no number is beyond all others."""
    return loss if math.isfinite(loss) else math.inf
