"""Arguments that R's run gave Python otherwise than the script's text says.

R's calls and those of the intent are set side by side, line by line: an argument whose fraction is
gone, one that never arrived, one that nobody wrote, an index that is one less.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator
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
from bridge.facts.r import NA_INTEGER
from bridge.translate.spell import spell
from bridge.translate.wrappers import wrappers

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
            for one, other in _alike(calls, meant_calls):
                changes += _of_call(r, one, meant, other)
    return changes


def _alike(mine: list[Call], theirs: list[Call]) -> Iterator[tuple[Call, Call]]:
    """Pair calls of one thing: each with the one that is given most of the same, in order."""
    if len(mine) > _MOST_PAIRED or len(mine) != len(theirs):
        yield from zip(mine, theirs, strict=False)
        return
    left = list(theirs)
    for call in mine:
        wanted = {key: spell(value) for key, value in call.kwargs.items()}

        def shared(other: Call, wanted: dict[str, str] = wanted) -> int:
            found = other.kwargs
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


def _of_call(r: Capsule, one: Call, meant: Capsule, other: Call) -> Iterator[Change]:
    name = spell(one.target) if isinstance(one.target, Symbol) else leaf(one.target)
    mine = {**{str(n): v for n, v in enumerate(one.args, start=1)}, **one.kwargs}
    theirs = {**{str(n): v for n, v in enumerate(other.args, start=1)}, **other.kwargs}
    if len(one.args) != len(other.args):
        # One gives by place what the other names: only what both name can be compared.
        shared = set(one.kwargs) & set(other.kwargs)
        mine = {key: value for key, value in mine.items() if key in shared}
        theirs = {key: value for key, value in theirs.items() if key in shared}
    for key in dict.fromkeys([*theirs, *mine]):
        if key in _ADDED:
            continue
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
                other.id,
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
    one, other = _numbers(has), _numbers(wanted)
    if one is not None and other is not None:
        if one == other:
            shapes = isinstance(has, Scalar) != isinstance(wanted, Scalar)
            plain = isinstance(has, (Scalar, Items)) and isinstance(wanted, (Scalar, Items))
            if shapes and not plain:
                return "converted", "r-conversion"
            # Equal numbers: they only count where it is proven that they do.
            return None if has == wanted else ("typed", "r-conversion")
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
    if isinstance(has, Scalar) and isinstance(wanted, ArrayValue) and wanted.shape == (1,):
        return "typed", "r-conversion"
    if isinstance(has, Pairs) and isinstance(wanted, ArrayValue):
        return "converted", "r-conversion"
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


#: What the translation adds, so that results have names.
_ADDED: Final = frozenset({"return_dict"})
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
        return None if one.dtype == other.dtype else ("typed", "r-conversion")
    if one.shape != other.shape or one.dtype.kind not in "iu" or other.dtype.kind != "f":
        return None
    # Other elements were computed otherwise, by R or by us; only this is the boundary's doing.
    missing = np.isnan(other)
    lost = one == NA_INTEGER
    same = np.array_equal(one[~missing], other[~missing])
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
        parts = [_numbers(each) for each in value.items]
        if any(each is None or len(each) != 1 for each in parts):
            return None
        return [each[0] for each in parts if each]
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
        return all(_is_plain(each) for each in value.items)
    if isinstance(value, Pairs):
        return all(_is_plain(part) for pair in value.items for part in pair)
    return False
