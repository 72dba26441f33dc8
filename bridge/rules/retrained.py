"""Trainings that rules want made again, with one thing changed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.capsule.values import ObjectValue, Scalar
from bridge.explain.experiment import Change, Experiment, Trials, spelled, trials
from bridge.facts.keras import RATES
from bridge.rules.models import Training, best_constant, trainings
from bridge.rules.run import Run, maker_of
from bridge.translate.script_text import Cut

#: Rows of a batch where a script does not say otherwise.
_ROWS: Final = 32
#: Where to look: fewer steps than this are few. It decides nothing.
FEW: Final = 50
#: Models whose trainings are looked at.
_MODELS: Final = 2


@dataclass(frozen=True)
class TrainingBaseline:
    """A training, and the loss of the best answer that is the same for every row."""

    training: Training
    chance: float

    @property
    def end(self) -> float:
        """The loss of the last epoch; infinite where it is no number."""
        last = self.training.curve[-1]
        return last if math.isfinite(last) else math.inf

    @property
    def left(self) -> float:
        """What is left of the loss at the end, of what that one answer leaves."""
        return self.end / self.chance

    @property
    def rows_at_once(self) -> int:
        """How many rows were trained in one step."""
        given = self.training.probe.settings.get("batch_size")
        return given if isinstance(given, int) and given > 0 else _ROWS

    @property
    def steps(self) -> int:
        """How many steps were made in all."""
        return len(self.training.curve) * math.ceil(self.training.rows / self.rows_at_once)

    @property
    def is_short(self) -> bool:
        """Whether it has few steps, or one an epoch, and its loss still falls."""
        curve = self.training.curve
        short = self.steps < FEW or self.rows_at_once >= self.training.rows
        return short and curve[-1] <= min(curve[: max(1, len(curve) // 2)])


def judged(run: Run) -> Iterator[TrainingBaseline]:
    """Yield trainings of which it is known what a constant answer leaves: each model's last.

    A training that another one goes on from was not left as it is. Of many models the first few
    tell what can be told.
    """
    last = {training.state.id: training for training in trainings(run)}
    for training in list(last.values())[:_MODELS]:
        if training.y is None or not training.curve or not training.rows:
            continue
        chance = best_constant(training.used.loss, training.y[: training.rows])
        if chance is not None and chance > 0:
            yield TrainingBaseline(training, chance)


def retrained(
    run: Run, training: Training, change: Change, by: float | str | None = None
) -> Trials | None:
    """Return how a training ends with one thing changed; None, and it is wanted, if not known."""
    return trials(run.outcome(Experiment("fit again", training.probe.index, change, by)))


def loss_at_start(run: Run, training: Training) -> float | None:
    """Return the loss before a training, on its rows; None, and it is wanted, if not known."""
    capsule = run.outcome(Experiment("evaluate again", training.probe.index, "start"))
    probes = capsule.manifest.probes if capsule is not None else ()
    return probes[0].curves["after"][0] if probes else None


def rows_of(found: Trials, changed: str, chance: float) -> Sequence[tuple[str, str]]:
    """Return the evidence of trials: as recorded, changed, and what a constant answer gives."""
    count = len(found.changed)
    return (
        (f"as it is, {count} starts", f"loss {spelled(found.interval_as_recorded)}"),
        (f"{changed}, {count} starts", f"loss {spelled(found.interval)}"),
        ("the best single answer for all rows", f"loss {chance:.4g}"),
    )


def set_rate(run: Run, training: Training, times: float) -> Cut | None:
    """Return the edit that multiplies the learning rate, None where it is not known."""
    compiled = training.state.compiled if isinstance(training.state.compiled, dict) else {}
    optimizer = compiled.get("optimizer")
    config = optimizer.get("config") if isinstance(optimizer, dict) else None
    rate = config.get("learning_rate") if isinstance(config, dict) else None
    call = training.used.call
    given = call.kwargs.get("optimizer") if call is not None else None
    if isinstance(given, Scalar):
        rate = RATES.get(given.v.lower())
    if not isinstance(rate, float) or call is None:
        return None
    value = f"{rate * times:.6g}"
    if isinstance(given, Scalar):
        name = f"optimizer_{given.v.lower()}"
        return run.set_argument(call, "optimizer", f"{name}(learning_rate = {value})", given.v)
    maker = maker_of(run.capsule, given.id) if isinstance(given, ObjectValue) else None
    return run.set_number(maker, "learning_rate", value) or run.set_argument(
        maker, "learning_rate", value
    )
