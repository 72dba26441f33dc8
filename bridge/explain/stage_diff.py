"""Where two runs first ask for different things, and who made them do so.

The four-way pattern: where R's run and its replay agree and another run, which says what was meant,
differs from both before anything was computed, the cause lies above Keras. What differs, and how,
says whether R's conversion, a default, the base of an index or the script itself is to blame.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydantic import JsonValue

from bridge._typing import AnyArray
from bridge.capsule import Array, Call, Capsule, CapsuleError, LayerState, ModelState, Probe
from bridge.capsule.values import Items, Scalar, Symbol, Value
from bridge.compare.alignment import align, parting
from bridge.compare.config_normal_form import compare_configs, layers_of
from bridge.compare.result import RunPair, Stage, Verdict
from bridge.explain.conclusion import ran_through
from bridge.explain.result import CauseEvidence, Confidence
from bridge.facts.keras import Generation, generation_of
from bridge.facts.layers import class_name, default_of
from bridge.facts.r import NA_INTEGER

# How two arrays differ that should be equal: transposed, shifted by one, truncated, recycled.
#
# ``a`` is what one run had (R's), ``b`` what was meant (the intent's, or the twin's). A pattern is
# told only if it holds for every element. It names a cause only as far as chance is excluded: of
# few numbers, or of few different ones, several patterns hold at once.

#: A pattern that so few random arrays would show is no accident.
COINCIDENCE: Final = 2.0**-20
#: Axes are permuted in all orders up to this rank.
_MOST_AXES: Final = 4


@dataclass(frozen=True)
class Pattern:
    """One way in which all elements differ; ``cause`` is "" where it speaks for none.

    ``sure`` says that chance is excluded.
    """

    name: str
    cause: str
    sentence: str
    sure: bool = True


@dataclass(frozen=True)
class ArrayPatterns:
    """All patterns that hold, and the cause that they agree on, "" if they do not."""

    patterns: tuple[Pattern, ...]

    @property
    def cause(self) -> str:
        """The one cause of all patterns that hold."""
        causes = {pattern.cause for pattern in self.patterns}
        return causes.pop() if len(causes) == 1 else ""

    @property
    def sure(self) -> bool:
        """Say whether chance is excluded, and one cause named."""
        return bool(self.cause) and all(pattern.sure for pattern in self.patterns)

    @property
    def sentence(self) -> str:
        """What holds, in words."""
        return "; or ".join(pattern.sentence for pattern in self.patterns)


def read_arrays(
    a: AnyArray, b: AnyArray, others: Mapping[str, AnyArray] | None = None
) -> ArrayPatterns:
    """Return how ``a`` differs from ``b``; ``others`` are arrays that may stand there instead.

    Nothing is told of arrays that are the same, or that differ in no way that is known.
    """
    if a.dtype.kind not in "biuf" or b.dtype.kind not in "biuf" or _equal(a, b, True):
        return ArrayPatterns(())
    found = []
    for name, cause, sentence, holds in _RULES:
        if holds(a, b):
            found.append(Pattern(name, cause, sentence, _is_no_accident(a, b, name)))
            if name in _TYPES:
                # The values agree: nothing else is unlike.
                return ArrayPatterns(tuple(found))
    found += _equal_elsewhere(a, b, others or {})
    return ArrayPatterns(tuple(_most_special(found)))


def _equal_elsewhere(a: AnyArray, b: AnyArray, others: Mapping[str, AnyArray]) -> Iterator[Pattern]:
    for where, elsewhere in others.items():
        if _equal(a, elsewhere) and not _equal(b, elsewhere):
            sentence = f"it is equal to {where}: an older state, or another object"
            yield Pattern("stale", "r-semantics", sentence, _is_no_accident(a, b, "stale"))
            return


def _most_special(found: list[Pattern]) -> list[Pattern]:
    """Leave out what follows from another pattern: whatever is transposed is also rearranged."""
    names = {pattern.name for pattern in found}
    special = names - _GENERAL
    return [pattern for pattern in found if not special or pattern.name not in _GENERAL]


def _is_no_accident(a: AnyArray, b: AnyArray, name: str) -> bool:
    """Say whether random numbers, drawn from those that are there, would hardly ever do this."""
    if name in _TYPES:
        return True
    if a.shape != b.shape:
        return a.size > 0
    moved = int(np.count_nonzero(~_alike(a, b)))
    distinct = len(np.unique(np.concatenate([a.ravel(), b.ravel()]).astype(np.float64)))
    if distinct < 2:
        return False
    tried = len(_RULES) + math.factorial(min(a.ndim, _MOST_AXES))
    if name == "permuted":
        # There are as many orders as there are of rows, or of columns.
        tried += sum(math.factorial(min(size, 20)) for size in a.shape)
    return math.log2(tried) - moved * math.log2(distinct) <= math.log2(COINCIDENCE)


def _alike(a: AnyArray, b: AnyArray) -> AnyArray:
    with np.errstate(invalid="ignore"):
        return np.asarray((a == b) | (_nan(a) & _nan(b)))


def _nan(x: AnyArray) -> AnyArray:
    return np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, np.bool_)


def _equal(a: AnyArray, b: AnyArray, typed: bool = False) -> bool:
    if a.shape != b.shape or (typed and a.dtype != b.dtype):
        return False
    return bool(_alike(a, b).all())


def _as32(x: AnyArray) -> AnyArray:
    with np.errstate(over="ignore", invalid="ignore"):
        return x.astype(np.float32)


def _only_types(a: AnyArray, b: AnyArray) -> bool:
    return _equal(a, b) and a.dtype != b.dtype


def _rounded(a: AnyArray, b: AnyArray) -> bool:
    """Say whether one is the other in float32, which keeps 24 bits."""
    if a.shape != b.shape or a.dtype == b.dtype or _equal(a, b):
        return False
    if a.dtype == np.float32:
        return _equal(a, _as32(b))
    return b.dtype == np.float32 and _equal(_as32(a), b)


def _truncated(a: AnyArray, b: AnyArray) -> bool:
    if b.dtype.kind != "f" or not bool(np.isfinite(b).all()) or _equal(a, b):
        return False
    return a.shape == b.shape and _equal(a, np.trunc(b))


def _other_axes(a: AnyArray, b: AnyArray) -> bool:
    if a.ndim != b.ndim or not 2 <= a.ndim <= _MOST_AXES:
        return False
    orders = itertools.permutations(range(b.ndim))
    return any(_equal(a, np.transpose(b, axes)) for axes in orders if axes != tuple(range(b.ndim)))


def _by_columns(a: AnyArray, b: AnyArray) -> bool:
    if a.size != b.size or min(len(_squeezed(a)), len(_squeezed(b))) < 2:
        return False
    read = b.reshape(-1).reshape(a.shape, order="F")
    written = b.ravel(order="F").reshape(a.shape)
    return _equal(a, read) or _equal(a, written)


def _shifted(by: int) -> Callable[[AnyArray, AnyArray], bool]:
    def holds(a: AnyArray, b: AnyArray) -> bool:
        if a.shape != b.shape or not a.size or not _is_whole(b):
            return False
        return _equal(a.astype(np.float64), b.astype(np.float64) + by)

    return holds


def _is_whole(x: AnyArray) -> bool:
    return x.dtype.kind in "iu" or (
        x.dtype.kind == "f" and bool(np.isfinite(x).all()) and _equal(x, np.trunc(x))
    )


def _lost_axis(a: AnyArray, b: AnyArray) -> bool:
    return a.ndim < b.ndim and _squeezed(a) == _squeezed(b) and _equal(a.ravel(), b.ravel())


def _more_axes(a: AnyArray, b: AnyArray) -> bool:
    return a.ndim > b.ndim and _squeezed(a) == _squeezed(b) and _equal(a.ravel(), b.ravel())


def _squeezed(x: AnyArray) -> tuple[int, ...]:
    return tuple(size for size in x.shape if size != 1)


def _reversed(a: AnyArray, b: AnyArray) -> bool:
    if a.shape != b.shape:
        return False
    sets = [axes for n in range(1, b.ndim + 1) for axes in itertools.combinations(range(b.ndim), n)]
    # Of up to three rows or columns, what is reversed is two of them exchanged: that says no more.
    longer = [
        axes for axes in sets[: 2**_MOST_AXES] if b.ndim == 1 or max(b.shape[x] for x in axes) > 3
    ]
    return any(_equal(a, np.flip(b, axes)) for axes in longer)


def _permuted(a: AnyArray, b: AnyArray) -> bool:
    """Say whether whole rows, columns or slices were exchanged, along one axis."""
    if a.shape != b.shape or a.dtype != b.dtype or a.ndim < 2 or bool(_nan(a).any()):
        return False
    return any(_slices(a, axis) == _slices(b, axis) for axis in range(a.ndim) if a.shape[axis] > 1)


def _slices(x: AnyArray, axis: int) -> list[bytes]:
    return sorted(np.ascontiguousarray(part).tobytes() for part in np.moveaxis(x, axis, 0))


def _sorted(a: AnyArray, b: AnyArray) -> bool:
    return a.shape == b.shape and a.ndim == 1 and not _equal(a, b) and _equal(a, np.sort(b))


def _recycled(a: AnyArray, b: AnyArray) -> bool:
    """Say whether the first elements of what was meant fill the whole, column by column as in R."""
    if a.shape != b.shape or a.size < 2:
        return False
    for order in ("F", "C"):
        x, y = a.ravel(order=order), b.ravel(order=order)
        for period in range(1, x.size // 2 + 1):
            repeats = _equal(x[period:], x[:-period])
            if repeats:
                # A single number that fills everything is a fill, and no vector.
                if period > 1 and _equal(x[:period], y[:period]):
                    return True
                break
    return False


def _missing(a: AnyArray, b: AnyArray) -> bool:
    """Say whether the only elements that differ are those for which R has NA."""
    if a.shape != b.shape:
        return False
    unlike = ~_alike(a, b)
    if not unlike.any():
        return False
    left, right = a[unlike], b[unlike]
    return _is_na(left) or _is_na(right)


def _is_na(x: AnyArray) -> bool:
    if x.dtype.kind == "f":
        return bool((np.isnan(x) | (x == NA_INTEGER)).all())
    return x.dtype.kind == "i" and bool((x == NA_INTEGER).all())


def _negated(a: AnyArray, b: AnyArray) -> bool:
    if a.shape != b.shape or b.dtype.kind not in "if" or a.dtype.kind not in "if":
        return False
    return _equal(a, -b)


def _scaled(a: AnyArray, b: AnyArray) -> bool:
    """Say whether one factor leads from each element to the other, up to its rounding."""
    if a.shape != b.shape or a.size < 2 or b.dtype.kind != "f" or a.dtype.kind != "f":
        return False
    there = b != 0
    if not there.any() or not bool(np.isfinite(a).all() and np.isfinite(b).all()):
        return False
    with np.errstate(over="ignore"):
        factors = a[there].astype(np.float64) / b[there].astype(np.float64)
        factor = float(np.median(factors))
        again = (b.astype(np.float64) * factor).astype(a.dtype)
    if factor in (0.0, 1.0, -1.0) or not np.isfinite(factor):
        return False
    near = np.abs(a - again) <= np.spacing(np.abs(again))
    return bool(near.all()) and _equal(a[~there], b[~there])


_Rule = tuple[str, str, str, Callable[[AnyArray, AnyArray], bool]]

#: Each pattern: its name, the cause it speaks for, what it says, and whether it holds.
_RULES: Final[tuple[_Rule, ...]] = (
    ("type", "r-conversion", "the values are the same, of another type", _only_types),
    ("float32", "r-conversion", "one is the other rounded to float32", _rounded),
    ("truncated", "r-conversion", "fractions are cut to whole numbers", _truncated),
    ("axes", "r-conversion", "its axes are in another order (transposed)", _other_axes),
    ("by-columns", "r-conversion", "it is read by columns where it is written by rows",
     _by_columns),
    ("one-more", "r-index-base", "every number is one more", _shifted(1)),
    ("one-less", "r-index-base", "every number is one less", _shifted(-1)),
    ("axis-lost", "r-conversion", "an axis of length 1 was dropped", _lost_axis),
    ("axis-added", "r-conversion", "an axis of length 1 was added", _more_axes),
    ("missing", "r-conversion", "it differs only where R has NA", _missing),
    ("recycled", "r-semantics", "a shorter vector was recycled", _recycled),
    ("reversed", "", "it is reversed", _reversed),
    ("negated", "", "its signs are the other ones", _negated),
    ("scaled", "", "it is multiplied by one number", _scaled),
    ("sorted", "", "it is sorted", _sorted),
    ("permuted", "r-conversion", "rows or columns were exchanged", _permuted),
)  # fmt: skip

_TYPES: Final = frozenset({"type"})
#: Patterns that also hold wherever some of the others do.
_GENERAL: Final = frozenset({"permuted", "sorted"})


# How two settings of a layer differ that should be equal, and who made them differ.
#
# Three things are set against each other: what the layer has, what was meant, and what the call
# that made the layer was given. Only where a call was recorded can an argument that got lost be
# told from one that the script never gave.

#: Settings that count axes or places, from 0 in Python and from 1 in R.
_COUNTED: Final = re.compile(r"(axis|axes|dim|index|position)")
_UNKNOWN: Final = object()


@dataclass(frozen=True)
class SettingCause:
    """What a setting says: the cause, "" where it says none, how sure, and in words."""

    cause: str
    confidence: Confidence
    sentence: str


@dataclass(frozen=True)
class ConstructorCall:
    """The call that made a layer: the arguments that it was given, and R's words for it."""

    given: Mapping[str, object]
    written: str

    def names(self, key: str) -> bool | None:
        """Say whether the script itself wrote the argument; None where that cannot be told.

        R matches arguments by the beginnings of their names, and by their places.
        """
        arguments = _arguments(self.written)
        if arguments is None:
            return None
        named = [name for name in arguments if name]
        if any(key.startswith(name) for name in named):
            return True
        # The first unnamed one is what the layer is added to.
        return None if arguments.count("") > 1 or "..." in self.written else False


def _arguments(written: str) -> list[str] | None:
    """Return the names of a call's arguments, "" for those without one; None if it is no call."""
    match = re.fullmatch(r"\s*[\w.:]+\((.*)\)\s*", written, re.DOTALL)
    if match is None or match[0].lstrip().startswith("do.call"):
        return None
    parts, depth, quote = [""], 0, ""
    for sign in match[1]:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'`":
            quote = sign
        elif sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
        elif sign == "," and depth == 0:
            parts.append("")
            continue
        parts[-1] += sign
    if depth or quote:
        return None
    names = (re.match(r"\s*([\w.]+)\s*=(?!=)", part) for part in parts if part.strip())
    return [found[1] if found else "" for found in names]


def read_setting(
    cls: str,
    key: str,
    has: JsonValue,
    meant: JsonValue,
    making: ConstructorCall | None,
    generation: Generation = 0,
) -> SettingCause:
    """Say how a setting of a layer came to be ``has`` where ``meant`` was meant."""
    (default,) = default_of(generation, class_name(cls) or "", key) or (_UNKNOWN,)
    is_default = default is not _UNKNOWN and _same(has, default)
    given = making.given.get(key, _UNKNOWN) if making is not None else _UNKNOWN
    how = _how(key, has, meant)
    if making is not None and given is not _UNKNOWN and _same(given, meant):
        # What was meant was given, and something else is there.
        if how is not None:
            return SettingCause(how[0], "likely", f"{key} was given as {meant!r}: {how[1]}")
        if is_default:
            sentence = (
                f"{key} was given as {meant!r} and never arrived: Keras' default {has!r} holds"
            )
            return SettingCause("r-conversion", "likely", sentence)
        return SettingCause("", "", f"{key} was given as {meant!r}, and it is {has!r}")
    if making is not None and given is not _UNKNOWN and _same(given, has):
        if making.names(key) is False:
            sentence = f"the script gives no {key}; the R package sends {has!r}"
            return SettingCause("r-default", "likely", sentence)
        if how is not None:
            return SettingCause(how[0], "possible", f"{key} reached Python as {has!r}: {how[1]}")
        if making.names(key):
            sentence = f"the script itself asks for {key} = {has!r}, where {meant!r} was meant"
            return SettingCause("user-script", "likely", sentence)
        return SettingCause("", "", f"{key} reached Python as {has!r}")
    if making is not None and given is _UNKNOWN and making.names(key):
        sentence = f"the script gives {key}, and it never reached Python"
        return SettingCause("r-conversion", "likely", sentence)
    return _unseen(key, has, meant, default, making, how)


def _unseen(
    key: str,
    has: JsonValue,
    meant: JsonValue,
    default: object,
    making: ConstructorCall | None,
    how: tuple[str, str] | None,
) -> SettingCause:
    """Read a setting that no recorded call was given."""
    known = default is not _UNKNOWN
    if known and _same(meant, default):
        if making is not None and making.names(key) is None:
            return SettingCause("", "", f"{key} is {has!r} for {meant!r}")
        sentence = f"{key} is {has!r}, which nobody asked for: Keras' default is {meant!r}"
        if how is not None and how[0] != "r-default":
            return SettingCause("", "", f"{sentence}; or {how[1]}")
        return SettingCause("r-default", "likely" if making is not None else "possible", sentence)
    if how is not None:
        return SettingCause(how[0], "possible", f"{key} is {has!r} for {meant!r}: {how[1]}")
    if known and _same(has, default):
        if making is not None and making.names(key) is False:
            sentence = f"the script does not give {key}, so that Keras' default {has!r} holds"
            return SettingCause("user-script", "likely", sentence)
        if making is not None:
            return SettingCause("", "", f"{key} is Keras' default {has!r} for {meant!r}")
        sentence = f"{key} {meant!r} did not arrive: Keras' default {has!r} holds"
        return SettingCause("r-conversion", "possible", sentence)
    return SettingCause("", "", f"{key} is {has!r} for {meant!r}")


def _how(key: str, has: JsonValue, meant: JsonValue) -> tuple[str, str] | None:
    """Return the cause that the two values speak for, and in words; None if they speak for none."""
    number, meant_number = _number(has), _number(meant)
    if isinstance(meant, list) and isinstance(has, list):
        if has == [item for item in meant if item is not None] != meant:
            return "r-conversion", "NULL was dropped from the list"
        if len(has) == len(meant) and _COUNTED.search(key):
            steps = {_step(x, y) for x, y in zip(has, meant, strict=True)}
            if steps == {1.0}:
                return "r-index-base", "it is counted from 1, where Python counts from 0"
        return None
    if isinstance(meant, list) and len(meant) == 1 and _same(meant[0], has):
        return "r-conversion", "a list of one became a single value"
    if isinstance(has, list) and len(has) == 1 and _same(has[0], meant):
        return "r-conversion", "a single value became a list of one"
    if number is None or meant_number is None:
        return None
    if number == meant_number:
        return "r-conversion", "a whole number is a float" if type(has) is not type(meant) else ""
    if _COUNTED.search(key) and number - meant_number == 1.0 and meant_number >= 0:
        return "r-index-base", "it is counted from 1, where Python counts from 0"
    if meant_number != math.trunc(meant_number) and number == math.trunc(meant_number):
        return "r-conversion", "the fraction was cut off"
    return None


def _step(x: JsonValue, y: JsonValue) -> float | None:
    left, right = _number(x), _number(y)
    return None if left is None or right is None else left - right


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def _same(a: object, b: object) -> bool:
    if isinstance(a, (list, tuple)) and not isinstance(b, (list, tuple)):
        return bool(a) and all(_same(item, b) for item in a)
    if isinstance(b, (list, tuple)) and not isinstance(a, (list, tuple)):
        return _same(b, a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    left, right = _number(a), _number(b)
    if left is not None and right is not None:
        return left == right
    return type(a) is type(b) and a == b


def making_of(capsule: Capsule, layer: LayerState) -> ConstructorCall | None:
    """Return the call that made a layer, None if none can be told to be it."""
    name = class_name(layer.cls) or layer.cls
    calls = [
        call for call in capsule.manifest.calls
        if call.kind == "call" and not call.internal and call.error is None
        and isinstance(call.target, Symbol) and _leaf(call.target) == name
    ]  # fmt: skip
    named = [call for call in calls if _plain(call.kwargs.get("name")) == layer.name]
    if len(named) == 1:
        return _making(named[0])
    auto = [call for call in calls if _plain(call.kwargs.get("name")) in (None, _UNKNOWN)]
    auto_names = sorted({
        recorded_layer.name for state in capsule.manifest.states for recorded_layer in state.layers
        if (class_name(recorded_layer.cls) or recorded_layer.cls) == name
    } - {str(_plain(call.kwargs.get("name"))) for call in calls}, key=_serial)  # fmt: skip
    if layer.name in auto_names and len(auto_names) == len(auto):
        return _making(auto[auto_names.index(layer.name)])
    return None


def _serial(name: str) -> tuple[int, str]:
    """Return the number that Keras gave a layer, in the order in which layers were made."""
    stem, _, number = name.rpartition("_")
    return (int(number), stem) if stem and number.isdigit() else (0, name)


def _leaf(symbol: Symbol) -> str:
    return (symbol.public or symbol.path).rpartition(".")[2].rpartition(":")[2]


def _making(call: Call) -> ConstructorCall:
    return ConstructorCall({key: _plain(value) for key, value in call.kwargs.items()}, call.r_call)


def _plain(value: Value | None) -> object:
    """Return what a recorded argument says, as Python has it."""
    if isinstance(value, Items):
        return [_plain(item) for item in value.items]
    if not isinstance(value, Scalar):
        return _UNKNOWN
    if value.t == "none":
        return None
    if value.t == "bool":
        return value.v == "True"
    try:
        return (
            int(value.v) if value.t == "int" else float(value.v) if value.t == "float" else value.v
        )
    except ValueError:
        return _UNKNOWN


#: The runs that say what was meant, the strongest first.
MEANT: Final = ("twin", "intent")
_AGREE: Final[frozenset[Verdict]] = frozenset({"same-bits", "within-rounding", "same-error"})
#: The stages before anything is computed, in order.
_ORDER: Final[tuple[Stage, ...]] = ("config", "weights", "input")
#: Differences, at most, that are read.
_MOST: Final = 40


@dataclass(frozen=True)
class StageDifference:
    """One thing that two runs ask for differently, with what its pattern says."""

    stage: Stage
    where: str
    reading: SettingCause


def attribute(runs: Mapping[str, Capsule], pairs: Sequence[RunPair]) -> CauseEvidence | None:
    """Say who made R's run ask for something else than was meant; None where it does not."""
    verdicts = {(pair.a, pair.b): pair.verdict for pair in pairs}
    for name in MEANT:
        if name not in runs or verdicts.get(("r", name)) != "different":
            continue
        if name == "intent" and not ran_through(runs["r"], runs[name]):
            # What comes after a gap may be our translation's doing.
            continue
        partings = partings_of(runs["r"], runs[name])
        if not partings:
            continue
        found = _concluded(partings)
        replay = verdicts.get(("r", "replay"))
        if replay is not None and replay not in _AGREE:
            return _not_of_calls(found)
        if replay in _AGREE:
            more = "the replay of R's calls gives R's numbers: it is what R asked for that differs"
            return found.model_copy(update={"evidence_for": (*found.evidence_for, more)})
        return found
    return None


def partings_of(a: Capsule, b: Capsule) -> list[StageDifference]:
    """Return what ``a`` asks for otherwise than ``b``, the earliest stage first."""
    found: dict[tuple[Stage, str], StageDifference] = {}
    for left, right in align(a, b):
        if left is None or right is None:
            continue
        for difference in _of_probe(a, b, left, right):
            found.setdefault((difference.stage, difference.where), difference)
            if len(found) >= _MOST:
                break
    return sorted(found.values(), key=lambda difference: _ORDER.index(difference.stage))


def _concluded(partings: Sequence[StageDifference]) -> CauseEvidence:
    """Conclude from the earliest stage; what it does not explain is left over."""
    stage = partings[0].stage
    first = [difference for difference in partings if difference.stage == stage]
    causes = {difference.reading.cause for difference in first} - {""}
    lines = tuple(f"{difference.where}: {difference.reading.sentence}" for difference in first[:5])
    cause = causes.pop() if len(causes) == 1 else ""
    spoken = next(
        (difference for difference in first if difference.reading.cause == cause), first[0]
    )
    later = tuple(
        f"{difference.where}: {difference.reading.sentence or 'differs in no way that is known'}"
        for difference in partings if difference.reading.cause != cause
    )[:3]  # fmt: skip
    if cause:
        sure = all(difference.reading.confidence == "likely" for difference in first)
        return CauseEvidence(
            cause=cause,
            confidence="likely" if sure else "possible",
            sentence=f"{spoken.where}: {spoken.reading.sentence}.",
            where=spoken.where,
            evidence_for=lines,
            unexplained=later,
        )
    if causes:
        sentence = f"What differs at the stage '{stage}' speaks for more than one cause."
    else:
        sentence = f"{partings[0].where} differs; its pattern singles out no cause."
    return CauseEvidence(
        cause="not-known",
        confidence="",
        sentence=sentence,
        where=partings[0].where,
        evidence_for=lines,
        unexplained=(f"why {partings[0].where} differs", *later),
    )


def _not_of_calls(found: CauseEvidence) -> CauseEvidence:
    """Take back a cause where R's own run and the replay of its calls do not agree."""
    against = "the replay of R's calls does not give R's numbers, so more than the calls differs"
    return found.model_copy(
        update={
            "cause": "not-known",
            "confidence": "",
            "evidence_against": (against,),
            "unexplained": ("why the replay does not give R's numbers", *found.unexplained),
        }
    )


def _of_probe(a: Capsule, b: Capsule, left: Probe, right: Probe) -> Iterator[StageDifference]:
    mine, theirs = a.state_of(left), b.state_of(right)
    if mine is not None and theirs is not None:
        yield from _configs(a, mine, theirs)
        yield from _weights(a, mine, b, theirs)
    if len(left.inputs) == len(right.inputs):
        for place, (p, q) in enumerate(zip(left.inputs, right.inputs, strict=True)):
            where = "x" if len(left.inputs) == 1 else f"x[{place}]"
            reading = _arrays(a, p, b, q, {})
            if reading is not None and not _received_the_same(a, p, b, q):
                yield StageDifference("input", where, reading)


def _configs(a: Capsule, mine: ModelState, theirs: ModelState) -> Iterator[StageDifference]:
    deciding, _ = compare_configs(mine, theirs)
    for unlike in deciding:
        where = unlike.spell(mine)
        if unlike.position is None or len(unlike.path) != 1:
            yield StageDifference("config", where, SettingCause("", "", unlike.tell()))
            continue
        layer = layers_of(mine)[unlike.position]
        key = str(unlike.path[0])
        making = making_of(a, layer)
        generation = generation_of(mine.keras, layer.config)
        reading = read_setting(layer.cls, key, unlike.a, unlike.b, making, generation)
        yield StageDifference("config", where, reading)


def _weights(
    a: Capsule, mine: ModelState, b: Capsule, theirs: ModelState
) -> Iterator[StageDifference]:
    layers, their_layers = layers_of(mine), layers_of(theirs)
    if len(layers) != len(their_layers):
        return
    for p, q in zip(layers, their_layers, strict=True):
        if len(p.weights) != len(q.weights):
            where = f"model.get_layer({p.name!r}).weights"
            yield StageDifference("weights", where, SettingCause("", "", "there are others"))
            continue
        for place, (w, v) in enumerate(zip(p.weights, q.weights, strict=True)):
            reading = _arrays(a, w.array, b, v.array, _elsewhere(a, mine, p, place))
            if reading is not None:
                name = w.name if w.name.isidentifier() else f"weights[{place}]"
                yield StageDifference("weights", f"model.get_layer({p.name!r}).{name}", reading)


def _elsewhere(
    capsule: Capsule, state: ModelState, layer: LayerState, place: int
) -> dict[str, AnyArray]:
    """Return the weights that the same layer had at other moments of the run."""
    found = {}
    for number, other_state in enumerate(capsule.manifest.states):
        if other_state is state or other_state.id != state.id:
            continue
        twin = next(
            (candidate for candidate in other_state.layers if candidate.name == layer.name), None
        )
        if twin is None or place >= len(twin.weights):
            continue
        try:
            found[f"what it was at another time ({number + 1})"] = capsule.array(
                twin.weights[place].array
            )
        except CapsuleError:
            continue
    return found


def _arrays(
    a: Capsule, p: Array, b: Capsule, q: Array, others: Mapping[str, AnyArray]
) -> SettingCause | None:
    unlike = parting(a, p, b, q)
    if unlike is None:
        return None
    if not unlike.known:
        return SettingCause("", "", unlike.detail)
    try:
        reading = read_arrays(a.array(p), b.array(q), others)
    except CapsuleError as error:
        return SettingCause("", "", str(error))
    if not reading.patterns:
        return SettingCause("", "", unlike.detail)
    if not reading.cause:
        return SettingCause("", "", reading.sentence)
    return SettingCause(reading.cause, "likely" if reading.sure else "possible", reading.sentence)


def _received_the_same(a: Capsule, p: Array, b: Capsule, q: Array) -> bool:
    """Say whether two inputs are the same to Keras, which casts floating-point data."""
    if {p.dtype, q.dtype} != {"float32", "float64"}:
        return False
    try:
        left, right = a.array(p), b.array(q)
    except CapsuleError:
        return False
    return left.shape == right.shape and bool(
        (left.astype("float32") == right.astype("float32")).all()
    )
