"""Comparing two runs: where they first part, and whether it matters.

Every probe is walked through the stages in which a difference can first appear: configuration,
weights, input, each layer, prediction, training curve. Models that are not the same are
``different`` even where their predictions agree: then the two runs did not ask for the same thing.
Where they are the same, equal bits are ``same-bits``; other bits are judged by the ladder, each
run's layers on the inputs that they received.

How runs end: both with the same errors is ``same-error``; an error that only one of them met is
``different``, because one did what the other could not; a run that was stopped from outside (time,
memory, a signal) or never started is ``failed``, whatever the other did.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

import numpy as np

from bridge.capsule import Call, Capsule, Manifest, Probe
from bridge.capsule.values import ArrayValue, Items, Pairs, Scalar, Value
from bridge.compare.alignment import align, label_of
from bridge.compare.pairs import compare_probes, walk_stages
from bridge.compare.result import (
    SEVERITY,
    Divergence,
    ProbePair,
    RunPair,
    StageResult,
    Verdict,
    compare_errors,
    errors_of,
    spelled_alike,
)
from bridge.rounding.layer_records import Judge
from bridge.trace.call_semantics import is_answer

# What came back to the script: the answers of its calls and of the attributes that it read.
#
# R goes on computing with these, and prints them. Two runs that gave the script the same answers
# have it print the same, whatever it does with them: numbers in texts, names and lengths of lists
# too.

_NUMBER: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class UnlikeAnswer:
    """An answer that differs; ``floats``: only in fractions, which rounding may change."""

    line: int | None
    call: str
    detail: str
    floats: bool

    @property
    def where(self) -> str:
        """The place in the script, and what stands there."""
        return f"line {self.line}: {self.call}" if self.line else self.call


@dataclass(frozen=True)
class Answers:
    """Answers that two runs gave: how many numbers and texts were compared, and what differs."""

    points: int
    unlike: tuple[UnlikeAnswer, ...]


def compare_answers(a: Capsule, b: Capsule) -> Answers:
    """Compare what both runs answered to the same calls.

    Only a replay's calls have the numbers of those that it makes again.
    """
    if {a.manifest.runner, b.manifest.runner} != {"r", "replay"}:
        return Answers(0, ())
    others = {call.id: call for call in b.manifest.calls if call.result is not None}
    points = 0
    unlike: list[UnlikeAnswer] = []
    for call in a.manifest.calls:
        counterpart = others.get(call.id)
        if counterpart is None or not is_answer(call):
            continue
        counter = _Counter(a, b)
        found = next(counter.unlike(call.result, counterpart.result), None)
        points += counter.points
        if found is not None:
            detail, floats = found
            unlike.append(UnlikeAnswer(call.line, _spelled(call), detail, floats))
    return Answers(points, tuple(unlike))


def _spelled(call: Call) -> str:
    return call.r_call or f"${call.name}"


class _Counter:
    """Walks through two values side by side."""

    def __init__(self, a: Capsule, b: Capsule) -> None:
        self._a = a
        self._b = b
        self.points = 0

    def unlike(self, a: Value | None, b: Value | None) -> Iterator[tuple[str, bool]]:
        """Yield what differs, in words, and whether only fractions do."""
        match a, b:
            case Scalar(), Scalar():
                yield from self._scalars(a, b)
            case ArrayValue(), ArrayValue():
                yield from self._arrays(a, b)
            case Items(), Items():
                if len(a.items) != len(b.items):
                    yield f"{len(a.items)} items against {len(b.items)}", False
                for left, right in zip(a.items, b.items, strict=False):
                    yield from self.unlike(left, right)
            case Pairs(), Pairs():
                for pair, other_pair in zip_longest(a.items, b.items):
                    if pair is None or other_pair is None:
                        yield f"{len(a.items)} entries against {len(b.items)}", False
                        return
                    names = [key.v for key, _ in (pair, other_pair) if isinstance(key, Scalar)]
                    if len(names) == 2 and not spelled_alike(*names):
                        yield f"{names[0]!r} against {names[1]!r}", False
                    yield from self.unlike(pair[1], other_pair[1])

    def _scalars(self, a: Scalar, b: Scalar) -> Iterator[tuple[str, bool]]:
        self.points += 1
        if a == b:
            return
        if a.t == b.t == "str":
            yield from _texts(a.v, b.v)
        elif a.t == b.t == "float":
            x, y = float(a.v), float(b.v)
            if x != y and not (math.isnan(x) and math.isnan(y)):
                yield f"{a.v} against {b.v}", True
        else:
            yield f"{a.v or a.t} against {b.v or b.t}", False

    def _arrays(self, a: ArrayValue, b: ArrayValue) -> Iterator[tuple[str, bool]]:
        if (a.dtype, a.shape) != (b.dtype, b.shape):
            yield f"{a.dtype} {a.shape} against {b.dtype} {b.shape}", False
            return
        if a.key is None or b.key is None:
            return
        x, y = np.asarray(self._a.arrays[a.key]), np.asarray(self._b.arrays[b.key])
        self.points += x.size
        left, right = (
            np.frombuffer(item.tobytes(), np.uint8).reshape(item.size, -1) for item in (x, y)
        )
        count = int((left != right).any(axis=1).sum()) if x.size else 0
        if not count:
            return
        yield f"{count} of {x.size} elements differ", x.dtype.kind not in "biu"


def _texts(a: str, b: str) -> Iterator[tuple[str, bool]]:
    """Compare two texts: by their numbers where the words are the same, else not at all.

    Words may hold names that only one of the runs knows.
    """
    if spelled_alike(a, b):
        return
    words = [" ".join(_NUMBER.sub("#", text).split()) for text in (a, b)]
    if words[0] != words[1]:
        return
    for left, right in zip(_NUMBER.findall(a), _NUMBER.findall(b), strict=True):
        if left != right:
            yield f"{left} against {right} in a text", "." in left or "." in right
            return


#: How a run can end without having been stopped from outside.
_ENDED: Final = frozenset({"ok", "error", "quit"})
_STAGES: Final = ("arguments", "config", "weights", "input", "layer", "prediction",
                  "training curve")  # fmt: skip


def compare_runs(
    a: Capsule,
    b: Capsule,
    *,
    judge: Judge | None = None,
    labels: Mapping[int, str] | None = None,
) -> RunPair:
    """Compare two runs, probe by probe.

    Pass the same ``judge`` to several comparisons to have every run judged only once. ``labels``
    names probes by their index in the first run; without it a probe has the name that either run
    gave it, or its kind, number and line.
    """
    judge = judge or Judge()
    names = labels or {}
    pairs: list[ProbePair] = []
    for left, right in align(a, b):
        label = names.get(left.index, "") if left is not None else ""
        label = label or label_of(left, right)
        if left is not None and right is not None:
            pairs.append(compare_probes(a, b, left, right, label, judge))
        else:
            pairs.append(_missing(a, b, left, right, label))
    gaps = (*a.manifest.gaps, *b.manifest.gaps)
    if gaps:
        pairs = [_undecided(pair, gaps) for pair in pairs]
    # Only a replay makes R's own calls, by their numbers.
    again = {a.manifest.runner, b.manifest.runner} <= {"r", "replay"}
    answers = compare_answers(a, b) if again else Answers(0, ())
    return _conclude(a.manifest, b.manifest, tuple(pairs), answers)


def judged_by_layers(a: Capsule, b: Capsule) -> frozenset[int]:
    """Return the probes of ``b`` that only a look at their layers can judge, by index.

    They are of models that are the same, and made other bits of the same shape.
    """
    found = set()
    for left, right in align(a, b):
        if left is None or right is None:
            continue
        walk = walk_stages(a, b, left, right)
        unlike = walk.difference is not None and not walk.difference.same_bits
        if unlike and walk.parted("config", "weights") is None:
            found.add(right.index)
    return frozenset(found)


def not_compared(a: str, b: str) -> RunPair:
    """Return the pair of two runners of which comparing failed us: nothing is decided."""
    return RunPair(
        a=a,
        b=b,
        verdict="abstained",
        first_divergence=None,
        probes=(),
        detail="the comparison itself failed",
    )


def _undecided(pair: ProbePair, gaps: tuple[str, ...]) -> ProbePair:
    """Decide nothing on a probe that parts where a run could not do all that it was asked.

    Where the bits are the same in spite of the gaps, they are the same.
    """
    if pair.verdict not in ("different", "failed"):
        return pair
    return pair.model_copy(
        update={
            "verdict": "abstained",
            "rung": "abstained",
            "detail": f"not everything could be replayed: {gaps[0]}",
            "stages": tuple(
                stage.model_copy(update={"same": None}) if stage.same is False else stage
                for stage in pair.stages
            ),
        }
    )


def _missing(
    a: Capsule, b: Capsule, left: Probe | None, right: Probe | None, label: str
) -> ProbePair:
    """Describe a probe that only one of the runs made."""
    has, lacks = (a, b) if left is not None else (b, a)
    stopped = lacks.manifest.status not in _ENDED
    detail = f"only {has.manifest.runner} has it"
    if stopped:
        detail = f"{detail}: {lacks.manifest.runner} was stopped ({lacks.manifest.status})"
    place = StageResult(stage="arguments", same=False, where=_line(left or right), detail=detail)
    return ProbePair(
        a=a.manifest.runner,
        b=b.manifest.runner,
        probe=label,
        verdict="failed" if stopped else "different",
        rung="bit-equal",
        points=0,
        difference=None,
        stages=(place,),
        alone=True,
        detail=detail,
    )


def _conclude(a: Manifest, b: Manifest, pairs: tuple[ProbePair, ...], answers: Answers) -> RunPair:
    same_end, about_errors = compare_errors(a, b)
    first, alone = next(_divergences(pairs), (None, False))
    verdicts: list[Verdict] = [pair.verdict for pair in pairs]
    detail = next(
        (
            f"{pair.probe}: {pair.detail}"
            for verdict in SEVERITY
            for pair in pairs
            if pair.verdict == verdict and pair.detail
        ),
        "",
    )
    reference = "reference" in (a.runner, b.runner)
    stopped = [run for run in (a, b) if run.status not in _ENDED]
    if stopped:
        verdicts.append("failed")
        detail = f"{stopped[0].runner} was stopped or never ran ({stopped[0].status})"
    elif reference:
        # The reference evaluates what was recorded; it cannot meet an error of the run's own.
        pass
    elif not same_end and (a.gaps or b.gaps):
        verdicts.append("abstained")
        detail = f"{about_errors}; not everything could be replayed: {(*a.gaps, *b.gaps)[0]}"
    elif not same_end:
        verdicts.append("different")
        detail = about_errors
        if first is None:
            place = _error_place(a, b)
            first = Divergence(stage="arguments", where=place, detail=about_errors)
            alone = len(errors_of(a)) != len(errors_of(b))
    elif errors_of(a):
        verdicts = [
            verdict for verdict in verdicts if verdict not in ("same-bits", "within-rounding")
        ]
        verdicts.append("same-error")
        detail = detail or about_errors
    if answers.points and not pairs and not verdicts:
        verdicts.append("same-bits")
    if answers.unlike and not reference:
        # No rule says how far rounding carries to an answer: fractions decide nothing.
        apart = next((answer for answer in answers.unlike if not answer.floats), None)
        unlike = apart or answers.unlike[0]
        decided = apart is not None and not (a.gaps or b.gaps)
        verdicts.append("different" if decided else "abstained")
        detail = detail or f"the answer of {unlike.where} differs: {unlike.detail}"
        if decided and first is None:
            first = Divergence(stage="prediction", where=unlike.where, detail=unlike.detail)
    if not verdicts:
        verdicts, detail = ["abstained"], "there is no probe to compare"
    worst = min(verdicts, key=SEVERITY.index)
    parted = worst in ("different", "failed")
    return RunPair(
        a=a.runner,
        b=b.runner,
        verdict=worst,
        first_divergence=first if parted else None,
        probes=pairs,
        answers=answers.points,
        alone=alone and parted,
        detail=detail,
    )


def _divergences(pairs: tuple[ProbePair, ...]) -> Iterator[tuple[Divergence, bool]]:
    """Yield the places at which probes part, the earliest stage of the earliest probe first.

    With each: whether one run alone got a result there.
    """
    for pair in pairs:
        if pair.verdict not in ("different", "failed"):
            continue
        parted = [stage for stage in pair.stages if stage.same is False]
        for stage in sorted(parted, key=lambda entry: _STAGES.index(entry.stage)):
            detail = f"{pair.probe}: {stage.detail}" if stage.detail else pair.probe
            yield Divergence(stage=stage.stage, where=stage.where, detail=detail), pair.alone


def _error_place(a: Manifest, b: Manifest) -> str:
    errors_a, errors_b = errors_of(a), errors_of(b)
    shared = min(len(errors_a), len(errors_b))
    errors = (*errors_a[shared:], *errors_b[shared:]) or (*errors_a, *errors_b)
    error = errors[0]
    place = f"line {error.line}" if error.line else ""
    return f"{place}: {error.call}".strip(": ") if error.call else place


def _line(probe: Probe | None) -> str:
    return f"line {probe.line}" if probe is not None and probe.line else ""
