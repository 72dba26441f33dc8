"""Why R's run and what its text means part, and whose cause that is."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge._text import capitalised
from bridge.capsule import Call, Capsule
from bridge.capsule.values import Symbol, Value
from bridge.compare.errors import compare_errors
from bridge.compare.result import RunPair
from bridge.explain.conclusion import ran_through, short
from bridge.explain.intent_diff.argument_diff import Change, changes_between, leaf
from bridge.explain.result import CauseEvidence
from bridge.translate.spell import spell
from bridge.translate.writing import ORDER

_NUMBER: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|NaN|Inf|-Inf")
#: What stands between values and ends no number: "a 8; b 4".
_BETWEEN: Final = re.compile(r"[;,:]+(?=\s|$)")
#: The number in a name that Keras makes up: it counts what was made before, "dense_2".
_MADE_UP: Final = re.compile(r"(?<=[a-z\d])_\d+\b")
_HEADING: Final = re.compile(r"\[\d*,\d*\]|\[\d+\]|\[\[\d+\]\]|^\s*,\s,.*$", re.MULTILINE)


def parted_lines(r: Capsule, other: Capsule) -> frozenset[int]:
    """Return the lines of the script that print something else in the other run."""
    mine, theirs = numbers_by_line(r), numbers_by_line(other)
    words, their_words = _words_by_line(r), _words_by_line(other)
    found = set()
    for line in {**mine, **words}:
        one, two = mine.get(line, []), theirs.get(line, [])
        # What R prints beside a value, as names of columns, the other does not.
        both_say = bool(words.get(line)) and bool(their_words.get(line))
        unlike = two and not _prints_all(one, two)
        if unlike or (both_say and words[line] != their_words[line]):
            found.add(line)
    return frozenset(found)


def printed_alike(r: Capsule, other: Capsule) -> int:
    """Return how many numbers both runs print alike, 0 if any line parts or one did not end."""
    if not ran_through(r, other) or parted_lines(r, other):
        return 0
    mine, theirs = numbers_by_line(r), numbers_by_line(other)
    return sum(len(theirs[line]) for line in mine if line in theirs)


def _prints_all(texts: Sequence[str], values: Sequence[str]) -> bool:
    """Say whether R's print may be of all the values, in order: rows and columns have labels."""
    if len(texts) == len(values):
        return all(_prints_as(text, value) for text, value in zip(texts, values, strict=True))
    left = iter(texts)
    return all(any(_prints_as(text, value) for text in left) for value in values)


def numbers_by_line(run: Capsule) -> dict[int, list[str]]:
    """Return the numbers that a run printed, as text, by the line that printed them."""
    found: dict[int, list[str]] = defaultdict(list)
    for each in run.manifest.output:
        if each.stream == "stdout" and each.line is not None:
            text = _HEADING.sub(" ", each.text) if run.manifest.runner == "r" else each.text
            # R prints texts in quotes.
            words = _BETWEEN.sub(" ", text.replace('"', " ")).split()
            found[each.line] += [word for word in words if _NUMBER.fullmatch(word)]
    return found


def _words_by_line(run: Capsule) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for each in run.manifest.output:
        if each.stream == "stdout" and each.line is not None:
            text = _BETWEEN.sub(" ", _HEADING.sub(" ", each.text).replace('"', " "))
            words = [word for word in text.split() if not _NUMBER.fullmatch(word)]
            found[each.line] += [_MADE_UP.sub("", word) for word in words]
    return found


def _prints_as(text: str, value: str) -> bool:
    """Say whether ``text`` may be R's print of ``value``: they agree in the digits that are there.

    Half a unit of the last digit, and what writing both as doubles may add to that.
    """
    x, y = float(text.replace("Inf", "inf")), float(value.replace("Inf", "inf"))
    if x == y or (math.isnan(x) and math.isnan(y)):
        return True
    if not (math.isfinite(x) and math.isfinite(y)):
        return False
    mantissa, _, power = text.lower().partition("e")
    digits = len(mantissa.partition(".")[2])
    half = 0.5 * 10.0 ** (-digits + int(power or 0))
    return abs(x - y) <= half + math.ulp(x) + math.ulp(y)


# Why R's run and what its text means part, and whose doing that is.

_MOST: Final = 12
#: What R does that a reader of the text does not expect, by the kind of a reading.
_READ: Final = {
    "closure": "Functions made in a loop all use its last value",
    "copied": "R changes a copy, and Python never sees it",
    "fields": "Keras does not see the layers in fields of an R6 object",
    "named": "Keras sorts a list of inputs by its names",
    "null": "c() drops NULL, and the shape loses a dimension",
}
AGREE: Final = frozenset({"same-bits", "within-rounding", "same-error"})


@dataclass(frozen=True)
class Undo:
    """What a run of the intent takes as R has it: places of the text, and arguments of calls.

    ``arguments`` are the number of the intent's call, the argument (its name, or its place from 1)
    and what R gave there, None for nothing.
    """

    as_r: frozenset[tuple[str, int]] = frozenset()
    arguments: tuple[tuple[int, str, Value | None], ...] = ()

    def __or__(self, other: Undo) -> Undo:
        """Return both together."""
        more = tuple(each for each in other.arguments if each not in self.arguments)
        return Undo(self.as_r | other.as_r, self.arguments + more)


@dataclass(frozen=True)
class Suspect:
    """Something that may be why R and the intent part; ``undo`` is None where it cannot be tried.

    ``weak`` is what only counts when it is proven: a type that is another, an order. ``typed`` are
    equal numbers of another type: they explain what was refused, and no number. ``boundary`` is
    what only the way into Python does to a number: no reading of the text can have made it.
    """

    cause: str
    headline: str
    sentence: str
    where: str
    undo: Undo | None
    line: int = 0
    weak: bool = False
    typed: bool = False
    boundary: bool = False


@dataclass(frozen=True)
class Parted:
    """Where two runs part: at probes or errors, and at printed lines."""

    results: bool
    lines: frozenset[int] = field(default_factory=frozenset)

    def __bool__(self) -> bool:
        """Say whether there is anything to explain."""
        return self.results or bool(self.lines)

    def is_gone(self, now: Parted) -> bool:
        """Say whether a run no longer parts where it did, and nowhere else instead."""
        if now.results or now.lines - self.lines:
            return False
        return self.results or bool(self.lines - now.lines)


def parted(r: Capsule, meant: Capsule, pair: RunPair) -> Parted:
    """Return where R's run and the intent part."""
    undecided = pair.verdict == "abstained" and (
        any(probe.verdict != "same-bits" for probe in pair.probes)
        or not compare_errors(r.manifest, meant.manifest)[0]
    )
    results = pair.verdict in ("different", "failed") or undecided
    return Parted(results, parted_lines(r, meant))


def suspects(r: Capsule, meant: Capsule) -> list[Suspect]:
    """Return what may be why R and the intent part, in the order of the text."""
    found: dict[tuple[object, ...], list[Change]] = {}
    for each in changes_between(r, meant):
        found.setdefault((each.line, each.target, each.argument, each.kind), []).append(each)
    made = [_of_changes(each) for each in found.values()]
    for reading in dict.fromkeys(meant.manifest.readings):
        where, undo = f"line {reading.line}", Undo(frozenset({reading.place}))
        sentence = f"Line {reading.line}: {reading.what}."
        headline = _READ.get(reading.kind, reading.what)
        made.append(Suspect(reading.cause, headline, sentence, where, undo, reading.line))
    made.sort(key=lambda each: each.line)
    if _order_of_making(r, meant):
        headline = "R makes the layers in another order than they are written"
        sentence = f"{headline}, so that the same seed gives other weights."
        undo = Undo(frozenset({ORDER}))
        made.append(Suspect("r-semantics", headline, sentence, "", undo, weak=True))
    # First what was asked for otherwise, then the order, then types: so they are tried.
    return sorted(made, key=lambda each: (each.weak, each.typed, each.line))


def _of_changes(same: Sequence[Change]) -> Suspect:
    first = same[0]
    undo = None
    if all(each.undoable for each in same):
        undo = Undo(arguments=tuple((each.call, each.argument, each.value) for each in same))
    sentence = f"{capitalised(first.sentence)}."
    where = f"{first.target}({first.argument}={first.arrived or '...'})"
    typed = first.kind == "typed"
    boundary = first.kind in ("truncated", "missing")
    line = first.line or 0
    return Suspect(first.cause, first.headline, sentence, where, undo, line, typed, typed, boundary)


def intent_notes(runs: dict[str, Capsule]) -> tuple[str, ...]:
    """Return what the report says of the intent: its gaps, and what R answered for it."""
    intent = runs.get("intent")
    if intent is None:
        return ()
    notes = [f"Not translated from the text: {gap}." for gap in intent.manifest.gaps]
    answered = intent.manifest.answered
    if answered:
        notes.insert(_MOST, f"Not translated, and taken from R's own run: {'; '.join(answered)}.")
    return tuple(notes[: _MOST + 1])


def proven(
    suspect: Suspect, others: Sequence[Suspect], r: Capsule, meant: Capsule, at: Parted
) -> CauseEvidence:
    """Conclude on what was undone and took the difference away; ``others`` were undone with it."""
    lines = tuple(each.sentence for each in (suspect, *others))
    gone = "with this taken as R has it, the Python of the text gives what R gives"
    sentence = suspect.sentence
    shown = frozenset({suspect.line})
    if not at.results:
        line = min(at.lines)
        shown |= {line}
        one, other = (numbers_by_line(run).get(line, []) for run in (r, meant))
        if one and other:
            sentence = (
                f"Line {line}: R prints {' '.join(one[:6])} where Python has "
                f"{' '.join(f'{float(text):.7g}' for text in other[:6])}. {sentence}"
            )
    return CauseEvidence(
        cause=suspect.cause,
        headline=suspect.headline,
        confidence="proven",
        sentence=sentence,
        source="intent",
        lines=tuple(sorted(shown - {0})),
        where=suspect.where,
        evidence_for=(*lines[:_MOST], gone),
        verdict=None if at.results else "different",
    )


def unproven(
    r: Capsule, meant: Capsule, at: Parted, told: Sequence[Suspect], found: CauseEvidence | None
) -> CauseEvidence | None:
    """Conclude where nothing could be proven: from what cannot be tried, or not at all."""
    lines = tuple(each.sentence for each in told[:_MOST])
    errors = only_in_r(r, meant)
    if errors:
        lines += (f"R meets {errors[0]}; the intended Python does not",)
    strong = [each for each in told if not each.weak]
    if at.results and len(strong) == 1 and strong[0].undo is None and ran_through(r, meant):
        only = strong[0]
        if found is None or found.cause in ("none", "not-known", "user-script", only.cause):
            return CauseEvidence(
                cause=only.cause,
                headline=only.headline,
                confidence="likely",
                sentence=only.sentence,
                source="intent",
                lines=(only.line,) if only.line else (),
                where=only.where,
                evidence_for=lines,
            )
    if not at.results or not lines:
        return found
    if found is None:
        return CauseEvidence(
            cause="not-known",
            confidence="",
            sentence="Why R and the Python of its text part is not known.",
            source="intent",
            unexplained=lines,
        )
    return found.model_copy(update={"evidence_for": (*found.evidence_for, *lines)})


def only_in_r(r: Capsule, meant: Capsule) -> list[str]:
    """Return the errors that R's run met and the intent did not meet."""
    mine = [*r.manifest.caught, *([r.manifest.error] if r.manifest.error else [])]
    theirs = [*meant.manifest.caught, *([meant.manifest.error] if meant.manifest.error else [])]
    if len(theirs) >= len(mine):
        return []
    return [f"{each.cls}: {short(each, 160)}" for each in mine]


def undecided(pair: RunPair) -> RunPair:
    """Return the pair of R and an intent that parts for no reason that is known.

    The text was translated by a machine: what nothing explains may as well be its doing.
    """
    why = "the Python of the text gives something else, and nothing that was found explains it"
    seen = f" ({pair.detail})" if pair.detail else ""
    return pair.model_copy(
        update={
            "verdict": "abstained",
            "first_divergence": None,
            "detail": f"{why}{seen}",
            "probes": tuple(
                each.model_copy(
                    update={
                        "verdict": "abstained",
                        "rung": "abstained",
                        "detail": each.detail or why,
                        "stages": tuple(
                            stage.model_copy(update={"same": None})
                            if stage.same is False
                            else stage
                            for stage in each.stages
                        ),
                    }
                )
                if each.verdict in ("different", "failed")
                else each
                for each in pair.probes
            ),
        }
    )


def undo_of(told: Iterable[Suspect]) -> Undo:
    """Return all that can be undone together."""
    made = Undo()
    for each in told:
        if each.undo is not None:
            made |= each.undo
    return made


def _order_of_making(r: Capsule, meant: Capsule) -> bool:
    """Say whether both runs make the same layers, in another order."""
    one, other = (
        [
            leaf(call.target) + _identity(call)
            for call in run.manifest.calls
            if call.kind == "call"
            and call.parent is None
            and isinstance(call.target, Symbol)
            and ".layers." in (call.target.public or call.target.path.replace(":", "."))
            and "Input" not in leaf(call.target)
        ]
        for run in (r, meant)
    )
    return one != other and sorted(one) == sorted(other)


def _identity(call: Call) -> str:
    return ",".join(
        f"{key}={spell(call.kwargs[key])}"
        for key in ("units", "filters", "name", "rate")
        if key in call.kwargs
    )
