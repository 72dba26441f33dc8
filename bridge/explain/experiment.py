"""An experiment: what is run again, what is changed in it, what is expected, what came out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from bridge.capsule import Array, Capsule, Probe

# Trainings made again from several starts: with one thing changed, and as they were.
#
# That a change makes a training better is said where each training with it ends below each without:
# the interval is that of the starts, and nobody sets it.

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
        worst = max(_number(end) for end in self.changed)
        return worst < min(_number(end) for end in self.as_recorded)

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
        known = [_number(end) for end in self.as_recorded]
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
    low, high = (f"{end:.4g}" if math.isfinite(end) else "no number" for end in ends)
    return low if low == high else f"{low} to {high}"


def _after(probe: Probe) -> float:
    """Return the loss after a training."""
    return probe.curves["after"][0]


def _number(loss: float) -> float:
    """Return a loss that can be compared: one that is no number is beyond all others."""
    return loss if math.isfinite(loss) else math.inf


#: What is run again: a training, a prediction, an evaluation; or the calls on the other Keras.
Kind = Literal["fit again", "predict again", "evaluate again", "other Keras"]
#: What is changed; the table below says what of, and by what.
Change = Literal[
    "twice",
    "other rows",
    "row order",
    "model(x)",
    "training",
    "saved",
    "cloned",
    "mask",
    "start",
    "end",
    "left alone",
    "learning rate",
    "batch size",
    "loss",
    "scale",
    "epochs",
    "penalty",
    "generation",
]


@dataclass(frozen=True)
class _About:
    """A change in words, what is expected of it, and what it costs beside the others."""

    words: str
    expected: str
    cost: int


_ABOUT: Final[Mapping[Change, _About]] = {
    "twice": _About("the same prediction made twice", "the same bits", 1),
    "other rows": _About("the rows beside a row exchanged", "the same bits for that row", 1),
    "row order": _About("the rows in reverse order", "the same numbers, in reverse order", 1),
    "model(x)": _About("model(x) in place of predict(x)", "the same within rounding", 1),
    "training": _About("training = TRUE", "the same, but for layers of two modes", 1),
    "saved": _About("saved and loaded", "the same bits", 2),
    "cloned": _About("cloned, with the weights set", "the same bits", 2),
    "mask": _About("no mask", "other numbers, where steps are masked", 2),
    "start": _About("the loss before the training", "what chance gives", 2),
    "end": _About("the loss after the training, on its rows", "that of the curve's end", 2),
    "left alone": _About("predict, evaluate and a call", "the same weights as before", 2),
    "learning rate": _About("the learning rate times {}", "no lower loss", 4),
    "batch size": _About("batches of {} rows", "no lower loss", 5),
    "loss": _About("the loss {}", "no lower loss", 5),
    "penalty": _About("no penalty and no constraint on weights", "no lower loss without it", 5),
    "scale": _About("{} scaled", "no lower loss", 4),
    "epochs": _About("{} times the epochs", "no lower loss", 8),
    "generation": _About("the other Keras, with the same weights", "the same within rounding", 9),
}


@dataclass(frozen=True)
class Experiment:
    """Something run again with one thing changed; its outcome is a capsule.

    Args:
        kind: what is run again.
        probe: the index of the recorded moment that it starts from.
        change: what is changed.
        by: a factor, or the new value.
    """

    kind: Kind
    probe: int
    change: Change
    by: float | str | None = None

    @property
    def changed(self) -> str:
        """What is changed, in words."""
        by = f"{self.by:g}" if isinstance(self.by, float | int) else str(self.by)
        return _ABOUT[self.change].words.format(by)

    @property
    def expected(self) -> str:
        """What comes out, in words, where nothing is the matter."""
        return _ABOUT[self.change].expected

    @property
    def cost(self) -> float:
        """What it costs beside others: the cheapest is made first."""
        factor = self.by if isinstance(self.by, float | int) and self.change == "epochs" else 1
        return _ABOUT[self.change].cost * factor

    def data(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"kind": self.kind, "probe": self.probe, "change": self.change, "by": self.by}


@dataclass(frozen=True)
class ExperimentOutcome:
    """What became of an experiment: a capsule, or why there is none.

    ``seconds`` are those that it used of the processor.
    """

    experiment: Experiment
    capsule: Capsule | None
    why: str = ""
    seconds: float = 0.0


def outcomes(results: Sequence[ExperimentOutcome]) -> dict[Experiment, Capsule]:
    """Return what came out, of what was made."""
    return {result.experiment: result.capsule for result in results if result.capsule is not None}


def changed_and_not(capsule: Capsule) -> tuple[Probe | None, Probe | None]:
    """Return the probe with the change and the one without, None for what is not there."""
    found = {bool(probe.settings.get("changed")): probe for probe in capsule.manifest.probes}
    return found.get(True), found.get(False)


def outcome_of(result: ExperimentOutcome) -> str:
    """Return in words what came out of an experiment, or why it was not made."""
    if result.capsule is None:
        return f"not made: {result.why}"
    found = trials(result.capsule)
    if found is not None:
        changed, recorded = spelled(found.interval), spelled(found.interval_as_recorded)
        return f"loss {changed}; as recorded {recorded} ({len(found.changed)} starts)"
    changed_probe, bare = changed_and_not(result.capsule)
    if result.experiment.kind == "evaluate again" and result.experiment.change != "left alone":
        shown = (spelled((loss, loss)) for p in (changed_probe, bare) if p for loss in _losses(p))
        return f"loss {'; without the change '.join(shown)}"
    gaps = [_gap(result.capsule, a, b) for a, b in _pairs(changed_probe, bare)]
    worst = max(gaps, default=0.0)
    return "the same bits" if not worst else f"up to {worst:.3g} apart"


def _losses(probe: Probe) -> tuple[float, ...]:
    return probe.curves.get("after", ())


def _pairs(left: Probe | None, right: Probe | None) -> Iterator[tuple[Array, Array]]:
    if left is not None and right is not None:
        yield from zip(left.outputs, right.outputs, strict=False)


def _gap(capsule: Capsule, left: Array, right: Array) -> float:
    """Return how far two arrays are apart, 0 where they have the same bits."""
    a, b = capsule.array(left), capsule.array(right)
    if a.shape != b.shape:
        return math.inf
    if a.tobytes() == b.tobytes():
        return 0.0
    with np.errstate(all="ignore"):
        gap = float(np.max(np.abs(a.astype(np.float64) - b.astype(np.float64)), initial=0.0))
    return gap if gap > 0 else math.inf
