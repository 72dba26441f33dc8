"""How two arrays differ that should be equal: transposed, shifted by one, truncated, recycled.

``a`` is what one run had (R's), ``b`` what was meant (the intent's, or the twin's). A pattern is
told only if it holds for every element. It names a cause only as far as chance is excluded: of few
numbers, or of few different ones, several patterns hold at once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge._typing import AnyArray
from bridge.facts.r import NA_INTEGER

#: A pattern that so few random arrays would show is no accident.
CHANCE: Final = 2.0**-20
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
        causes = {each.cause for each in self.patterns}
        return causes.pop() if len(causes) == 1 else ""

    @property
    def sure(self) -> bool:
        """Say whether chance is excluded, and one cause named."""
        return bool(self.cause) and all(each.sure for each in self.patterns)

    @property
    def sentence(self) -> str:
        """What holds, in words."""
        return "; or ".join(each.sentence for each in self.patterns)


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
    found += _elsewhere(a, b, others or {})
    return ArrayPatterns(tuple(_most_special(found)))


def _elsewhere(a: AnyArray, b: AnyArray, others: Mapping[str, AnyArray]) -> Iterator[Pattern]:
    for where, other in others.items():
        if _equal(a, other) and not _equal(b, other):
            sentence = f"it is equal to {where}: an older state, or another object"
            yield Pattern("stale", "r-semantics", sentence, _is_no_accident(a, b, "stale"))
            return


def _most_special(found: list[Pattern]) -> list[Pattern]:
    """Leave out what follows from another pattern: whatever is transposed is also rearranged."""
    names = {each.name for each in found}
    special = names - _GENERAL
    return [each for each in found if not special or each.name not in _GENERAL]


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
    return math.log2(tried) - moved * math.log2(distinct) <= math.log2(CHANCE)


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
    return sorted(np.ascontiguousarray(each).tobytes() for each in np.moveaxis(x, axis, 0))


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
    one, other = a[unlike], b[unlike]
    return _is_na(one) or _is_na(other)


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
