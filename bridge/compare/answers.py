"""What came back to the script: the answers of its calls and of the attributes that it read.

R goes on computing with these, and prints them. Two runs that gave the script the same answers have
it print the same, whatever it does with them: numbers in texts, names and lengths of lists too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

import numpy as np

from bridge.capsule import Call, Capsule
from bridge.capsule.values import ArrayValue, Items, Pairs, Scalar, Value
from bridge.compare.errors import spelled_alike
from bridge.trace.call_semantics import is_answer

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
        other = others.get(call.id)
        if other is None or not is_answer(call):
            continue
        counter = _Counter(a, b)
        found = next(counter.unlike(call.result, other.result), None)
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
                for one, other in zip(a.items, b.items, strict=False):
                    yield from self.unlike(one, other)
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
        one, other = (
            np.frombuffer(item.tobytes(), np.uint8).reshape(item.size, -1) for item in (x, y)
        )
        count = int((one != other).any(axis=1).sum()) if x.size else 0
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
    for one, other in zip(_NUMBER.findall(a), _NUMBER.findall(b), strict=True):
        if one != other:
            yield f"{one} against {other} in a text", "." in one or "." in other
            return
