"""What a self-test found, counted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.explain.result import CauseEvidence, SelftestScore
from bridge.faults.catalogue import FAULTS, is_cause_of

#: Causes that say that nothing is wrong, or that it is not known what.
_NO_CAUSE: Final = frozenset({"", "not-known"})
_SURE: Final = frozenset({"proven", "likely"})


@dataclass(frozen=True)
class Trial:
    """One fault that was put in and changed what was computed, and what was said of it.

    ``place`` is the layer that had it, "" where it was the input; ``truth`` the right cause.
    ``found`` is None where nothing was noticed; ``places`` are what was named as wrong.
    """

    kind: str
    generation: int
    model: str
    place: str
    truth: str
    ways: tuple[str, ...] = ()
    found: CauseEvidence | None = None
    localised: bool = False
    said: str = ""
    named: int = 0
    cls: str = ""

    @property
    def executions(self) -> int:
        """How often the model was run: with the fault, and under every lever that was pulled."""
        return 1 + (len(self.found.levers) if self.found is not None else 0)

    @property
    def detected(self) -> bool:
        """Say whether the run was found to be wrong."""
        return self.found is not None

    @property
    def attributed(self) -> bool:
        """Say whether the right cause was named."""
        return self.found is not None and is_cause_of(self.truth, self.found.cause)

    @property
    def abstained(self) -> bool:
        """Say whether it was noticed, and no cause was named."""
        return self.found is not None and self.found.cause in _NO_CAUSE

    @property
    def confidently_wrong(self) -> bool:
        """Say whether another cause was named as likely or proven."""
        return (
            self.found is not None
            and not self.attributed
            and not self.abstained
            and self.found.confidence in _SURE
        )

    def line(self) -> str:
        """Say in one line what went wrong with it; empty if nothing did."""
        where = (
            f"{self.kind} in {self.place or 'the input'} of {self.model} (Keras {self.generation}"
        )
        where += f", shows in {'/'.join(self.ways)})" if self.ways else ")"
        if self.confidently_wrong and self.found is not None:
            return f"{where}: {self.found.cause} was named, {self.truth} is right"
        if not self.detected:
            return f"{where}: not noticed{f' ({self.said})' if self.said else ''}"
        if not self.localised:
            return f"{where}: the place was not named ({self.said})"
        if not self.attributed and self.found is not None:
            named = "no cause was" if self.abstained else f"{self.found.cause} was possibly"
            return f"{where}: {named} named, {self.truth} is right"
        return ""

    @property
    def badness(self) -> int:
        """How bad what went wrong is; 0 if nothing did."""
        if self.confidently_wrong:
            return 4
        if not self.detected:
            return 3
        if not self.localised:
            return 2
        return 0 if self.attributed else 1


@dataclass(frozen=True)
class Benign:
    """A run without a fault; ``alarm`` says what was taken for one, "" if nothing was."""

    generation: int
    model: str
    lever: str
    alarm: str = ""


@dataclass(frozen=True)
class Selftest:
    """A self-test: its trials, runs without a fault, how many faults changed no bit, the time."""

    trials: tuple[Trial, ...]
    benign: tuple[Benign, ...]
    redrawn: int
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def score(self) -> SelftestScore:
        """The score."""
        trials = self.trials
        return SelftestScore(
            injected=len(trials),
            detected=sum(each.detected for each in trials),
            localised=sum(each.localised for each in trials),
            attributed=sum(each.attributed for each in trials),
            abstained=sum(each.abstained for each in trials),
            confidently_wrong=sum(each.confidently_wrong for each in trials),
            false_alarms=sum(bool(each.alarm) for each in self.benign),
            seconds=round(self.seconds, 1),
            benign=len(self.benign),
        )

    @property
    def passed(self) -> bool:
        """Say whether nothing was said that is not so."""
        score = self.score
        return score.injected > 0 and not score.confidently_wrong and not score.false_alarms

    def as_json(self) -> str:
        """Return the score as JSON: its eight numbers, and nothing else."""
        return json.dumps(self.score.model_dump(exclude={"benign", "date"}), indent=1)

    def lines(self) -> Iterable[str]:
        """Yield the sentence, the table by kind of fault, and what went wrong, the worst first."""
        yield self.sentence
        yield ""
        yield from _table(self.trials)
        worst = sorted(self.trials, key=lambda each: -each.badness)
        wrong = [each.line() for each in worst if each.badness]
        alarms = [
            f"{each.model} (Keras {each.generation}, {each.lever}): a false alarm: {each.alarm}"
            for each in self.benign
            if each.alarm
        ]
        if alarms or wrong:
            yield ""
            yield from (*alarms, *wrong)
        yield from self.notes

    @property
    def sentence(self) -> str:
        """The result in words."""
        score = self.score
        if not score.injected:
            return "No fault could be put in that changed anything."
        return (
            f"Of {score.injected} faults, {score.detected} were noticed, the place of "
            f"{score.localised} and the cause of {score.attributed} were named right; "
            f"{score.abstained} were left open, {score.confidently_wrong} were blamed on something "
            f"else. {score.benign} runs without a fault gave {_alarms(score.false_alarms)} "
            f"({self.redrawn} further faults changed no bit; {score.seconds:.0f} s)."
        )


def _alarms(count: int) -> str:
    return {0: "no false alarm", 1: "1 false alarm"}.get(count, f"{count} false alarms")


def _table(trials: Sequence[Trial]) -> Iterable[str]:
    head = ("fault", "put in", "noticed", "placed", "cause right", "left open", "wrong")
    rows: list[tuple[str, tuple[int, ...]]] = []
    for kind in FAULTS:
        of = [each for each in trials if each.kind == kind]
        if of:
            asked = (
                [each.detected for each in of],
                [each.localised for each in of],
                [each.attributed for each in of],
                [each.abstained for each in of],
                [each.confidently_wrong for each in of],
            )
            rows.append((kind, (len(of), *map(sum, asked))))
    if not rows:
        return
    width = max(len(kind) for kind, _ in rows)
    yield "  ".join((head[0].ljust(width), *head[1:]))
    for kind, counts in rows:
        numbers = (str(x).rjust(len(name)) for x, name in zip(counts, head[1:], strict=True))
        yield "  ".join((kind.ljust(width), *numbers))
