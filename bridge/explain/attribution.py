"""Why R's run and what its text means part, and whose cause that is."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bridge._text import capitalised
from bridge.capsule import Call, Capsule
from bridge.capsule.values import (
    ArrayValue,
    Items,
    Method,
    Opaque,
    Pairs,
    Scalar,
    Symbol,
    Value,
)
from bridge.compare.printed_numbers import numbers_by_line, parted_lines
from bridge.compare.result import RunPair, compare_errors
from bridge.explain.conclusion import ran_through, short
from bridge.explain.result import CauseEvidence
from bridge.facts.r import NA_INTEGER
from bridge.translate.spelling import spell
from bridge.translate.wrappers import wrappers
from bridge.translate.writing import ORDER

# Arguments that R's run gave Python otherwise than the script's text says.
#
# R's calls and those of the intent are set side by side, line by line: an argument whose fraction
# is gone, one that never arrived, one that nobody wrote, an index that is one less.

_CALLED: Final = re.compile(r"^\s*(?:[\w.]+:::?)?([\w.]+)\(")
#: Beyond this, calls of one thing are paired in order.
_MOST_PAIRED: Final = 40
_COUNTED: Final = re.compile(r"(axis|axes|dim|index|position|indices)")


@dataclass(frozen=True)
class Change:
    """One argument that R's run gave Python otherwise than the text says."""

    line: int | None
    target: str
    argument: str
    kind: str
    cause: str
    written: str
    arrived: str
    #: The call of the intent, by its number, and what R gave there (None: nothing).
    call: int = 0
    value: Value | None = None

    @property
    def undoable(self) -> bool:
        """Say whether the intent can be run with what R gave."""
        return self.value is None or _is_plain(self.value)

    @property
    def headline(self) -> str:
        """The change in a few words, without its line."""
        words = {
            "truncated": f"the fraction of {self.argument} is cut off",
            "dropped": f"{self.argument} never reaches Python",
            "defaulted": f"the R package sends {self.argument} = {self.arrived} of its own",
            "shifted": f"{self.argument} = {self.written} is counted from 1 in R",
            "reordered": f"the elements of {self.argument} arrive in another order",
            "missing": f"missing values of {self.argument} arrive as {NA_INTEGER}",
            "typed": f"{self.argument} = {self.written} arrives as another type",
            "converted": f"{self.argument} = {self.written} arrives as {self.arrived}",
        }
        return words[self.kind]

    @property
    def sentence(self) -> str:
        """The change in words, with its line and what Python got."""
        at = f"line {self.line}: " if self.line else ""
        words = {
            "truncated": f"the text gives {self.argument} = {self.written}, and Python got "
            f"{self.argument}={self.arrived}: the fraction was cut off",
            "dropped": f"the text gives {self.argument} = {self.written}, which never reached "
            "Python",
            "defaulted": f"the text gives no {self.argument}, and the R package sends "
            f"{self.argument}={self.arrived}",
            "shifted": f"the text gives {self.argument} = {self.written}, and Python got "
            f"{self.argument}={self.arrived}: R counts from 1",
            "reordered": f"the elements of {self.argument} arrived in another order",
            "missing": f"{self.argument} has missing integers (NA), and Python got "
            f"{NA_INTEGER} for each",
            "typed": f"the text gives {self.argument} = {self.written}, and Python got "
            f"{self.argument}={self.arrived}: equal numbers of another type",
            "converted": f"the text gives {self.argument} = {self.written}, and Python got "
            f"{self.argument}={self.arrived}",
        }
        return f"{at}{self.target}: {words[self.kind]}"


def changes_between(r: Capsule, meant: Capsule) -> list[Change]:
    """Return the arguments that R's calls have otherwise than the intent's, in R's order."""
    mine, theirs = _by_place(r), _by_place(meant)
    ended = meant.manifest.status != "ok" or r.manifest.status != "ok"
    changes: list[Change] = []
    for name, by_line in mine.items():
        others = theirs.get(name, {})
        same = {n: len(calls) for n, calls in by_line.items()} == {
            n: len(calls) for n, calls in others.items()
        }
        if same:
            sides = [(calls, others[n]) for n, calls in by_line.items()]
        else:
            # A pipe of several lines is one line of Python: in the order of the text.
            flat = [[call for n in sorted(side) for call in side[n]] for side in (by_line, others)]
            if len(flat[0]) != len(flat[1]) and not ended:
                continue
            sides = [(flat[0], flat[1])]
        for calls, meant_calls in sides:
            for call, meant_call in _alike(calls, meant_calls):
                changes += _of_call(r, call, meant, meant_call)
    return changes


def _alike(mine: list[Call], theirs: list[Call]) -> Iterator[tuple[Call, Call]]:
    """Pair calls of one thing: each with the one that is given most of the same, in order."""
    if len(mine) > _MOST_PAIRED or len(mine) != len(theirs):
        yield from zip(mine, theirs, strict=False)
        return
    left = list(theirs)
    for call in mine:
        wanted = {key: spell(value) for key, value in call.kwargs.items()}

        def shared(candidate: Call, wanted: dict[str, str] = wanted) -> int:
            found = candidate.kwargs
            return sum(key in found and spell(found[key]) == text for key, text in wanted.items())

        best = max(left, key=shared)
        left.remove(best)
        yield call, best


def _by_place(run: Capsule) -> dict[str, dict[int, list[Call]]]:
    """Return the calls by what they call, and by their line."""
    found: dict[str, dict[int, list[Call]]] = defaultdict(lambda: defaultdict(list))
    for call in run.manifest.calls:
        if call.kind == "call" and call.parent is None and not call.internal:
            found[leaf(call.target)][call.line or 0].append(call)
    return found


def leaf(target: Value) -> str:
    """Return the last part of what is called."""
    if isinstance(target, Symbol):
        return (target.public or target.path).rpartition(".")[2].rpartition(":")[2]
    return target.name if isinstance(target, Method) else ""


def _of_call(r: Capsule, call: Call, meant: Capsule, meant_call: Call) -> Iterator[Change]:
    name = spell(call.target) if isinstance(call.target, Symbol) else leaf(call.target)
    mine = {**{str(n): v for n, v in enumerate(call.args, start=1)}, **call.kwargs}
    theirs = {**{str(n): v for n, v in enumerate(meant_call.args, start=1)}, **meant_call.kwargs}
    if len(call.args) != len(meant_call.args):
        # One gives by place what the other names: only what both name can be compared.
        shared = set(call.kwargs) & set(meant_call.kwargs)
        mine = {key: value for key, value in mine.items() if key in shared}
        theirs = {key: value for key, value in theirs.items() if key in shared}
    for key in dict.fromkeys([*theirs, *mine]):
        if key in _ADDED:
            continue
        has, wanted = mine.get(key), theirs.get(key)
        reading = _read(r, has, meant, wanted, key, call)
        if reading is not None:
            kind, cause = reading
            yield Change(
                call.line,
                name,
                key,
                kind,
                cause,
                spell(wanted) if wanted is not None else "",
                spell(has) if has is not None else "",
                meant_call.id,
                has,
            )


def _read(
    r: Capsule, has: Value | None, meant: Capsule, wanted: Value | None, key: str, call: Call
) -> tuple[str, str] | None:
    """Return how an argument changed and the cause that this speaks for."""
    if has is None and wanted is None:
        return None
    if wanted is None:
        if has is None or key in call.defaults or _is_nothing(has) or key in _HARMLESS:
            return None
        if key == "batch_size" and _numbers(has) == [32.0]:
            # What Keras takes where it is given none.
            return None
        return ("defaulted", "r-default") if _is_default(call, key, has) else None
    if has is None or (_is_nothing(has) and not _is_nothing(wanted)):
        return None if _is_nothing(wanted) else ("dropped", "r-conversion")
    numbers, wanted_numbers = _numbers(has), _numbers(wanted)
    if numbers is not None and wanted_numbers is not None:
        if numbers == wanted_numbers:
            shapes = isinstance(has, Scalar) != isinstance(wanted, Scalar)
            plain = isinstance(has, (Scalar, Items)) and isinstance(wanted, (Scalar, Items))
            if shapes and not plain:
                return "converted", "r-conversion"
            # Equal numbers: they only count where it is proven that they do.
            return None if has == wanted else ("typed", "r-conversion")
        if len(numbers) == len(wanted_numbers):
            if any(not y.is_integer() for y in wanted_numbers) and all(
                x == math.trunc(y) for x, y in zip(numbers, wanted_numbers, strict=True)
            ):
                return "truncated", "r-conversion"
            if _COUNTED.search(key) and all(
                (x == y - 1 and y > 0) or x == y < 0
                for x, y in zip(numbers, wanted_numbers, strict=True)
            ):
                return "shifted", "r-index-base"
            if len(numbers) > 1 and sorted(numbers) == sorted(wanted_numbers):
                return "reordered", "r-semantics"
        return None
    if isinstance(has, Scalar) and isinstance(wanted, ArrayValue) and wanted.shape == (1,):
        return "typed", "r-conversion"
    if isinstance(has, Pairs) and isinstance(wanted, ArrayValue):
        return "converted", "r-conversion"
    if isinstance(has, Opaque) and not isinstance(wanted, Opaque):
        return "converted", "r-conversion"
    if isinstance(has, Items) and isinstance(wanted, ArrayValue):
        there = meant.arrays.get(wanted.key) if wanted.key is not None else None
        same = there is not None and numbers == [float(number) for number in np.ravel(there)]
        return None if same else ("converted", "r-conversion")
    if (isinstance(has, Items) and isinstance(wanted, Pairs)) or (
        isinstance(has, Pairs) and isinstance(wanted, Items)
    ):
        return "converted", "r-conversion"
    if isinstance(has, Items) and isinstance(wanted, Items):
        if len(has.items) != len(wanted.items):
            return None
        pairs = zip(has.items, wanted.items, strict=True)
        inner = (_read(r, x, meant, y, key, call) for x, y in pairs)
        return next((reading for reading in inner if reading is not None), None)
    if isinstance(has, ArrayValue) and isinstance(wanted, ArrayValue):
        return _arrays(r, has, meant, wanted)
    return None


#: What the translation adds, so that results have names.
_ADDED: Final = frozenset({"return_dict"})
#: What the R packages send beside what was written, without any bearing on a number.
_HARMLESS: Final = frozenset({"verbose", "callbacks", "name", "return_dict"})


def _arrays(
    r: Capsule, has: ArrayValue, meant: Capsule, wanted: ArrayValue
) -> tuple[str, str] | None:
    if has.key is None or wanted.key is None:
        return None
    array, wanted_array = r.arrays.get(has.key), meant.arrays.get(wanted.key)
    if (
        array is None
        or wanted_array is None
        or array.dtype.hasobject
        or wanted_array.dtype.hasobject
    ):
        return None
    if array.shape == wanted_array.shape and np.array_equal(
        array.astype("float32"), wanted_array.astype("float32"), equal_nan=True
    ):
        return None if array.dtype == wanted_array.dtype else ("typed", "r-conversion")
    if (
        array.shape != wanted_array.shape
        or array.dtype.kind not in "iu"
        or wanted_array.dtype.kind != "f"
    ):
        return None
    # Other elements were computed otherwise, by R or by us; only this is the boundary's doing.
    missing = np.isnan(wanted_array)
    lost = array == NA_INTEGER
    same = np.array_equal(array[~missing], wanted_array[~missing])
    return (
        ("missing", "r-conversion") if missing.any() and same and (lost == missing).all() else None
    )


def _is_nothing(value: Value) -> bool:
    return (isinstance(value, Scalar) and value.t == "none") or (
        isinstance(value, (Items, Pairs)) and not value.items
    )


def _numbers(value: Value) -> list[float] | None:
    if isinstance(value, Scalar) and value.t in ("int", "float"):
        try:
            return [float(value.v)]
        except ValueError:
            return None
    if isinstance(value, Items) and value.items:
        parts = [_numbers(item) for item in value.items]
        if any(part is None or len(part) != 1 for part in parts):
            return None
        return [part[0] for part in parts if part]
    return None


def _is_default(call: Call, key: str, has: Value) -> bool:
    """Say whether an argument is what the R package gives by itself, and the text does not name it.

    What the text gives by its place may have been lost in translating: that is no default.
    """
    match = _CALLED.match(call.r_call or "")
    if match is None or "..." in call.r_call or re.search(rf"\b{re.escape(key)}\s*=", call.r_call):
        return False
    for package in ("keras", "keras3"):
        known = wrappers(package).get(match[1])
        text = known.defaults.get(key) if known is not None else None
        if text is None:
            continue
        if text in ("TRUE", "FALSE"):
            return isinstance(has, Scalar) and has.v == text.title()
        if isinstance(has, Scalar) and has.t == "str":
            return text.strip("\"'") == has.v
        try:
            if _numbers(has) == [float(text.removesuffix("L"))]:
                return True
        except ValueError:
            continue
    return False


def _is_plain(value: Value) -> bool:
    """Say whether a value can be had in any process: numbers, words, arrays that were kept."""
    if isinstance(value, Scalar):
        return True
    if isinstance(value, ArrayValue):
        return value.key is not None and value.t != "variable"
    if isinstance(value, Items):
        return all(_is_plain(item) for item in value.items)
    if isinstance(value, Pairs):
        return all(_is_plain(part) for pair in value.items for part in pair)
    return False


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
        more = tuple(argument for argument in other.arguments if argument not in self.arguments)
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
    for change in changes_between(r, meant):
        found.setdefault((change.line, change.target, change.argument, change.kind), []).append(
            change
        )
    suspected = [_of_changes(changes) for changes in found.values()]
    for reading in dict.fromkeys(meant.manifest.readings):
        where, undo = f"line {reading.line}", Undo(frozenset({reading.place}))
        sentence = f"Line {reading.line}: {reading.what}."
        headline = _READ.get(reading.kind, reading.what)
        suspected.append(Suspect(reading.cause, headline, sentence, where, undo, reading.line))
    suspected.sort(key=lambda suspect: suspect.line)
    if _order_of_making(r, meant):
        headline = "R makes the layers in another order than they are written"
        sentence = f"{headline}, so that the same seed gives other weights."
        undo = Undo(frozenset({ORDER}))
        suspected.append(Suspect("r-semantics", headline, sentence, "", undo, weak=True))
    # First what was asked for otherwise, then the order, then types: so they are tried.
    return sorted(suspected, key=lambda suspect: (suspect.weak, suspect.typed, suspect.line))


def _of_changes(same: Sequence[Change]) -> Suspect:
    first = same[0]
    undo = None
    if all(change.undoable for change in same):
        undo = Undo(
            arguments=tuple((change.call, change.argument, change.value) for change in same)
        )
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
    lines = tuple(reason.sentence for reason in (suspect, *others))
    gone = "with this taken as R has it, the Python of the text gives what R gives"
    sentence = suspect.sentence
    shown = frozenset({suspect.line})
    if not at.results:
        line = min(at.lines)
        shown |= {line}
        numbers, meant_numbers = (numbers_by_line(run).get(line, []) for run in (r, meant))
        if numbers and meant_numbers:
            sentence = (
                f"Line {line}: R prints {' '.join(numbers[:6])} where Python has "
                f"{' '.join(f'{float(text):.7g}' for text in meant_numbers[:6])}. {sentence}"
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
    r: Capsule,
    meant: Capsule,
    at: Parted,
    suspected: Sequence[Suspect],
    found: CauseEvidence | None,
) -> CauseEvidence | None:
    """Conclude where nothing could be proven: from what cannot be tried, or not at all."""
    lines = tuple(suspect.sentence for suspect in suspected[:_MOST])
    errors = only_in_r(r, meant)
    if errors:
        lines += (f"R meets {errors[0]}; the intended Python does not",)
    strong = [suspect for suspect in suspected if not suspect.weak]
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
    return [f"{error.cls}: {short(error, 160)}" for error in mine]


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
                probe.model_copy(
                    update={
                        "verdict": "abstained",
                        "rung": "abstained",
                        "detail": probe.detail or why,
                        "stages": tuple(
                            stage.model_copy(update={"same": None})
                            if stage.same is False
                            else stage
                            for stage in probe.stages
                        ),
                    }
                )
                if probe.verdict in ("different", "failed")
                else probe
                for probe in pair.probes
            ),
        }
    )


def undo_of(suspected: Iterable[Suspect]) -> Undo:
    """Return all that can be undone together."""
    undo = Undo()
    for suspect in suspected:
        if suspect.undo is not None:
            undo |= suspect.undo
    return undo


def _order_of_making(r: Capsule, meant: Capsule) -> bool:
    """Say whether both runs make the same layers, in another order."""
    left, right = (
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
    return left != right and sorted(left) == sorted(right)


def _identity(call: Call) -> str:
    return ",".join(
        f"{key}={spell(call.kwargs[key])}"
        for key in ("units", "filters", "name", "rate")
        if key in call.kwargs
    )
