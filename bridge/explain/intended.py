"""What R's run asks for otherwise than the script's text says, and whose doing that is.

R's calls and those of the intent are set side by side, line by line: an argument whose fraction is
gone, one that never arrived, one that nobody wrote, an index that is one less. Where the numbers
part, these say why; where R met an error that the intent did not meet, they say what R made of the
argument. What the intent reads otherwise than R's own rules do (an array that is filled by rows) is
told in its notes. A cause is named only where all that is found speaks for one.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

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
from bridge.compare.result import RunPair
from bridge.explain.finding import short
from bridge.explain.patterns import read_arrays
from bridge.explain.result import Attribution
from bridge.translate.spell import spell
from bridge.translate.writing import Reading, reading_of

_COUNTED: Final = re.compile(r"(axis|axes|dim|index|position|indices)")
_NUMBER: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|NaN|Inf|-Inf")
_HEADING: Final = re.compile(r"\[\d*,\d*\]|\[\d+\]|\[\[\d+\]\]|^\s*,\s,.*$", re.MULTILINE)
_MOST: Final = 12
_AGREE: Final = frozenset({"same-bits", "within-rounding", "same-error"})


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
            "converted": f"the text gives {self.argument} = {self.written}, and Python got "
            f"{self.argument}={self.arrived}",
        }
        return f"{at}{self.target}: {words[self.kind]}"


def intended(
    runs: Mapping[str, Capsule], pairs: Sequence[RunPair], found: Attribution | None
) -> Attribution | None:
    """Say why R's run and the intent part; ``found`` is what was known before.

    What levers or a twin found stays; so does everything where R and the replay of its own calls
    do not agree.
    """
    verdicts = {(pair.a, pair.b): pair for pair in pairs}
    intent = verdicts.get(("r", "intent"))
    if intent is None:
        return found
    # What the text itself asks for is what the intent does: it is not to blame.
    settled = found is not None and found.cause not in ("none", "not-known", "user-script")
    if settled and found is not None and not found.cause.startswith("r-"):
        return found
    replay = verdicts.get(("r", "replay"))
    if replay is not None and replay.verdict in ("different", "failed"):
        return found
    r, meant = runs["r"], runs["intent"]
    changes = changes_between(r, meant)
    if intent.verdict in _AGREE:
        return _printed(r, meant, changes) or found
    if intent.verdict == "abstained":
        telling = [each for each in changes if each.kind in _TELLING]
        if meant.manifest.gaps or not telling:
            return found
        made = _concluded(r, meant, intent, telling, [], found)
        return made and made.model_copy(update={"verdict": "different"})
    if intent.verdict != "different":
        return found
    if any(
        pair.verdict == "different" for key, pair in verdicts.items() if key == ("r", "reference")
    ):
        return found
    readings = readings_of(meant)
    return _concluded(r, meant, intent, changes, readings, found)


def intent_notes(runs: Mapping[str, Capsule]) -> tuple[str, ...]:
    """Return what the report says of the intent: its gaps, and what ended it."""
    intent = runs.get("intent")
    if intent is None:
        return ()
    notes = [f"Not translated from the text: {gap}." for gap in intent.manifest.gaps]
    return tuple(notes[:_MOST])


def readings_of(meant: Capsule) -> list[Reading]:
    """Return what the intent read otherwise than R reads it."""
    found = (reading_of(note) for note in meant.manifest.notes)
    return [each for each in found if each is not None]


def changes_between(r: Capsule, meant: Capsule) -> list[Change]:
    """Return the arguments that R's calls have otherwise than the intent's, in R's order."""
    mine, theirs = _by_place(r), _by_place(meant)
    ended = meant.manifest.status != "ok" or r.manifest.status != "ok"
    changes: list[Change] = []
    for leaf, by_line in mine.items():
        others = theirs.get(leaf, {})
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
            for one, other in zip(calls, meant_calls, strict=False):
                changes += _of_call(r, one, meant, other)
    unique = {(each.line, each.target, each.argument, each.kind): each for each in changes}
    return list(unique.values())


def _by_place(run: Capsule) -> dict[str, dict[int, list[Call]]]:
    """Return the calls by what they call, and by their line."""
    found: dict[str, dict[int, list[Call]]] = defaultdict(lambda: defaultdict(list))
    for call in run.manifest.calls:
        if call.kind == "call" and call.parent is None and not call.internal:
            found[_leaf(call.target)][call.line or 0].append(call)
    return found


def _leaf(target: Value) -> str:
    if isinstance(target, Symbol):
        return (target.public or target.path).rpartition(".")[2].rpartition(":")[2]
    return target.name if isinstance(target, Method) else ""


def _of_call(r: Capsule, one: Call, meant: Capsule, other: Call) -> Iterator[Change]:
    name = spell(one.target) if isinstance(one.target, Symbol) else _leaf(one.target)
    mine = {**{str(n): v for n, v in enumerate(one.args, start=1)}, **one.kwargs}
    theirs = {**{str(n): v for n, v in enumerate(other.args, start=1)}, **other.kwargs}
    if len(one.args) != len(other.args):
        # One gives by place what the other names: only what both name can be compared.
        shared = set(one.kwargs) & set(other.kwargs)
        mine = {key: value for key, value in mine.items() if key in shared}
        theirs = {key: value for key, value in theirs.items() if key in shared}
    for key in dict.fromkeys([*theirs, *mine]):
        has, wanted = mine.get(key), theirs.get(key)
        told = _read(r, has, meant, wanted, key, one)
        if told is not None:
            kind, cause = told
            yield Change(
                one.line,
                name,
                key,
                kind,
                cause,
                spell(wanted) if wanted is not None else "",
                spell(has) if has is not None else "",
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
        return ("defaulted", "r-default") if _writes_no(call, key) else None
    if has is None or (_is_nothing(has) and not _is_nothing(wanted)):
        return None if _is_nothing(wanted) else ("dropped", "r-conversion")
    one, other = _numbers(has), _numbers(wanted)
    if one is not None and other is not None:
        if one == other:
            shapes = isinstance(has, Scalar) != isinstance(wanted, Scalar)
            plain = isinstance(has, (Scalar, Items)) and isinstance(wanted, (Scalar, Items))
            return ("converted", "r-conversion") if shapes and not plain else None
        if len(one) == len(other):
            if any(not y.is_integer() for y in other) and all(
                x == math.trunc(y) for x, y in zip(one, other, strict=True)
            ):
                return "truncated", "r-conversion"
            if _COUNTED.search(key) and all(
                (x == y - 1 and y > 0) or x == y < 0 for x, y in zip(one, other, strict=True)
            ):
                return "shifted", "r-index-base"
            if len(one) > 1 and sorted(one) == sorted(other):
                return "reordered", "r-semantics"
        return None
    if isinstance(has, Opaque) and not isinstance(wanted, Opaque):
        return "converted", "r-conversion"
    if isinstance(has, Items) and isinstance(wanted, ArrayValue):
        there = meant.arrays.get(wanted.key) if wanted.key is not None else None
        same = there is not None and one == [float(each) for each in np.ravel(there)]
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
        return next((each for each in inner if each is not None), None)
    if isinstance(has, ArrayValue) and isinstance(wanted, ArrayValue):
        return _arrays(r, has, meant, wanted)
    return None


#: Changes that change what is asked for, and not only how it is spelled.
_TELLING: Final = frozenset({"truncated", "dropped", "defaulted", "shifted", "reordered"})
#: What the R packages send beside what was written, without any bearing on a number.
_HARMLESS: Final = frozenset({"verbose", "callbacks", "name", "return_dict"})


def _arrays(
    r: Capsule, has: ArrayValue, meant: Capsule, wanted: ArrayValue
) -> tuple[str, str] | None:
    if has.key is None or wanted.key is None:
        return None
    one, other = r.arrays.get(has.key), meant.arrays.get(wanted.key)
    if one is None or other is None or one.dtype.hasobject or other.dtype.hasobject:
        return None
    if one.shape == other.shape and np.array_equal(
        one.astype("float32"), other.astype("float32"), equal_nan=True
    ):
        return None
    found = read_arrays(np.asarray(one), np.asarray(other))
    return ("converted", found.cause) if found.cause and found.sure else None


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
        parts = [_numbers(each) for each in value.items]
        if any(each is None or len(each) != 1 for each in parts):
            return None
        return [each[0] for each in parts if each]
    if isinstance(value, ArrayValue) and value.shape == (1,):
        return None
    return None


def _writes_no(call: Call, key: str) -> bool:
    """Say whether R's own text of a call does not name an argument."""
    return (
        bool(call.r_call)
        and "..." not in call.r_call
        and not re.search(rf"\b{re.escape(key)}\s*=", call.r_call)
    )


def _concluded(
    r: Capsule,
    meant: Capsule,
    pair: RunPair,
    changes: Sequence[Change],
    readings: Sequence[Reading],
    found: Attribution | None,
) -> Attribution | None:
    errors = _only_in_r(r, meant)
    lines = tuple(each.sentence for each in changes[:_MOST])
    lines += tuple(f"line {each.line}: {each.what}" for each in readings[:_MOST])
    if errors:
        refused = errors[0]
        lines = (*lines, f"R meets {refused}; the intended Python does not")
    causes = {each.cause for each in changes}
    numeric = [each for each in changes if each.kind != "defaulted"]
    if numeric:
        causes = {each.cause for each in numeric}
    cause = causes.pop() if len(causes) == 1 else ""
    by_reading = {each.cause for each in readings}
    if not changes or cause in by_reading or not cause:
        cause = by_reading.pop() if len(by_reading) == 1 else cause
    where = ""
    if changes and cause and cause in {each.cause for each in changes}:
        spoken = next(each for each in changes if each.cause == cause)
        sentence = f"{spoken.sentence[0].upper()}{spoken.sentence[1:]}."
        where = f"{spoken.target}({spoken.argument}={spoken.arrived or '...'})"
    elif cause:
        told = next(each for each in readings if each.cause == cause)
        sentence = f"Line {told.line}: {told.what}."
        where = f"line {told.line}"
    elif errors:
        cause = "r-conversion"
        sentence = f"The Python that the text says runs; R meets {errors[0]}."
    elif _order_of_making(r, meant):
        cause = "r-semantics"
        sentence = (
            "The layers of the pipe are made in another order than they are written in, so that "
            "the same seed gives other weights."
        )
    else:
        if found is not None:
            return found.model_copy(update={"evidence_for": (*found.evidence_for, *lines)})
        return None
    if found is not None and found.cause.startswith("r-") and found.cause != cause and not readings:
        return found.model_copy(update={"evidence_for": (*found.evidence_for, *lines)})
    return Attribution(
        cause=cause,
        confidence="likely",
        sentence=sentence,
        where=where or (pair.first_divergence.where if pair.first_divergence else ""),
        evidence_for=lines,
    )


def _only_in_r(r: Capsule, meant: Capsule) -> list[str]:
    """Return the errors that R's run met and the intent did not meet."""
    mine = [*r.manifest.caught, *([r.manifest.error] if r.manifest.error else [])]
    theirs = [*meant.manifest.caught, *([meant.manifest.error] if meant.manifest.error else [])]
    if len(theirs) >= len(mine):
        return []
    return [f"{each.cls}: {short(each, 160)}" for each in mine]


def _order_of_making(r: Capsule, meant: Capsule) -> bool:
    """Say whether both runs make the same layers, in another order."""
    one, other = (
        [
            _leaf(call.target) + _identity(call)
            for call in run.manifest.calls
            if call.kind == "call"
            and call.parent is None
            and isinstance(call.target, Symbol)
            and ".layers." in (call.target.public or call.target.path.replace(":", "."))
            and "Input" not in _leaf(call.target)
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


def _printed(r: Capsule, meant: Capsule, changes: Sequence[Change]) -> Attribution | None:
    """Compare what R printed with what the intent prints, where both print as many numbers."""
    mine, theirs = _numbers_by_line(r, True), _numbers_by_line(meant, False)
    readings = readings_of(meant)
    words, meant_words = _words_by_line(r), _words_by_line(meant)
    for line in {**mine, **words}:
        one, other = mine.get(line, []), theirs.get(line, [])
        changed = [each for each in changes if each.line == line and each.kind in _TELLING]
        told = [each for each in readings if each.line == line]
        other_words = line in words and line in meant_words and words[line] != meant_words[line]
        if (other_words or len(one) != len(other)) and other and (changed or told):
            return _prints_otherwise(line, changed, told)
        if other_words and changed:
            return _prints_otherwise(line, changed, told)
        if not other or len(one) != len(other):
            continue
        if all(_prints_as(text, value) for text, value in zip(one, other, strict=True)):
            continue
        x = np.array([float(text.replace("Inf", "inf")) for text in one])
        y = np.array([float(text.replace("Inf", "inf")) for text in other])
        found = read_arrays(x, y)
        near = [each for each in readings if line <= each.line]
        cause = found.cause if found.cause == "r-index-base" else ""
        cause = cause or next((each.cause for each in near), "")
        if not cause:
            continue
        what = found.sentence if cause == found.cause else near[0].what
        return Attribution(
            cause=cause,
            confidence="likely",
            sentence=f"Line {line}: R prints {' '.join(one[:6])} where Python has "
            f"{' '.join(_short(each) for each in other[:6])}: {what}.",
            where=f"line {line}",
            verdict="different",
        )
    return None


def _prints_otherwise(line: int, changed: Sequence[Change], told: Sequence[Reading]) -> Attribution:
    cause = changed[0].cause if changed else told[0].cause
    what = changed[0].sentence if changed else told[0].what
    return Attribution(
        cause=cause,
        confidence="likely",
        sentence=f"Line {line} prints something else in Python: {what}.",
        where=f"line {line}",
        verdict="different",
    )


def _words_by_line(run: Capsule) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for each in run.manifest.output:
        if each.stream == "stdout" and each.line is not None:
            text = _HEADING.sub(" ", each.text).replace('"', " ")
            found[each.line] += [w for w in text.split() if not _NUMBER.fullmatch(w)]
    return found


def _short(text: str) -> str:
    return f"{float(text):.7g}"


def _numbers_by_line(run: Capsule, of_r: bool) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for each in run.manifest.output:
        if each.stream != "stdout" or each.line is None:
            continue
        text = _HEADING.sub(" ", each.text) if of_r else each.text
        words = text.split()
        found[each.line] += [word for word in words if _NUMBER.fullmatch(word)]
    return found


def _prints_as(text: str, value: str) -> bool:
    """Say whether R may print ``value`` as ``text``: they agree in the digits that are there."""
    x, y = float(text.replace("Inf", "inf")), float(value.replace("Inf", "inf"))
    if x == y or (math.isnan(x) and math.isnan(y)):
        return True
    if not (math.isfinite(x) and math.isfinite(y)):
        return False
    mantissa, _, power = text.lower().partition("e")
    digits = len(mantissa.partition(".")[2])
    step = 10.0 ** (-digits + int(power or 0))
    # Rounded once in R, and once more where the numbers themselves round differently.
    return abs(x - y) <= max(step, 1e-5 * abs(y))
