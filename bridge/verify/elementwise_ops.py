"""Sums, means and products of elements, exactly: merging layers, average pooling, Rescaling."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from flint import arb

from bridge._typing import F64, AnyArray
from bridge.facts.layers import class_name
from bridge.rounding.rules.layer import Layer, single
from bridge.rounding.rules.merging import aligned, dot_axes
from bridge.rounding.rules.pooling import all_places, windows_of
from bridge.rounding.rules.rescaling import constants
from bridge.verify.exact_arithmetic import (
    CHUNK,
    Balls,
    ExactLayer,
    Ints,
    Make,
    Recorded,
    Rescaled,
    UncheckedError,
    Values,
    balls,
    every,
    points,
    row_sums,
    taken,
)
from bridge.verify.products import Elements, Pairing, taps_of, under_windows

#: How many terms are gathered at once.
_MOST_TERMS: Final = 2**21


@dataclass(frozen=True)
class Means:
    """Means of elements at places; place -1 stands for no term."""

    x: F64
    rows: Callable[[Ints], Ints]
    most: int

    @property
    def chunk(self) -> int:
        """For how many elements in a row to ask at once."""
        return max(1, min(CHUNK, _MOST_TERMS // max(self.most, 1)))

    def at(self, places: Ints) -> Values:
        """Return the means at flat places."""
        rows = self.rows(places)
        found = Elements(self.x).take(rows)
        count = (rows >= 0).sum(axis=1).tolist()
        totals = balls(row_sums(found.numbers))
        exact = [total / n for total, n in zip(totals, count, strict=True)]
        return Values(exact, every(found.finite))


@dataclass(frozen=True)
class Combined:
    """One element of each of several arrays of the output's shape, combined."""

    terms: Sequence[AnyArray]
    combine: Callable[[Balls], arb]
    chunk: int = CHUNK

    def at(self, places: Ints) -> Values:
        """Return the values at flat places."""
        found = [taken(term, places) for term in self.terms]
        defined = np.stack([np.isfinite(each) for each in found]).all(axis=0)
        columns = [points(each) for each in found]
        return Values([self.combine(list(row)) for row in zip(*columns, strict=True)], defined)


def merged(layer: Layer, inputs: Sequence[AnyArray]) -> ExactLayer:
    """Add, Subtract, Average, Multiply."""
    terms = aligned(inputs)
    shape = np.broadcast_shapes(*(term.shape for term in terms))
    combine = _COMBINING[class_name(layer.cls) or ""]
    return Combined([np.broadcast_to(term, shape) for term in terms], combine)


def dot(layer: Layer, inputs: Sequence[AnyArray]) -> ExactLayer:
    """Dot: for each sample, products of two inputs summed along an axis of each."""
    if layer.config.get("normalize", False) is not False:
        raise UncheckedError("there is no exact evaluation of normalised dot products here")
    # Of each sample: the summed axis last, the first input's other axes before the second's.
    places = [
        np.moveaxis(np.arange(x.size, dtype=np.int64).reshape(x.shape), axis, -1)
        for axis, x in zip(dot_axes(layer, inputs), inputs, strict=True)
    ]
    length = places[0].shape[-1]
    first, second = (each.reshape(len(each), -1, length) for each in places)
    left, right = first.shape[1], second.shape[1]

    def rows(at: Ints) -> tuple[Ints, Ints]:
        sample, rest = np.divmod(at, left * right)
        a, b = np.divmod(rest, right)
        return first[sample, a], second[sample, b]

    return Pairing(inputs[0], inputs[1], rows, length)


def mean_in_windows(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> ExactLayer:
    """AveragePooling1D, 2D, 3D: what a window reaches beyond the edge does not count."""
    x = single(inputs)
    windows = windows_of(layer, x, rank)
    taps = {each.axis: taps_of(each.over) for each in windows}
    shape = tuple(len(taps[n]) if n in taps else size for n, size in enumerate(x.shape))

    def rows(places: Ints) -> Ints:
        return under_windows(x.shape, taps, np.unravel_index(places, shape))

    return Means(x, rows, math.prod(each.over.size for each in windows))


def mean_of_all(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> ExactLayer:
    """GlobalAveragePooling1D, 2D, 3D."""
    x = single(inputs)
    axes, _keep = all_places(layer, x, rank)
    places = np.arange(x.size, dtype=np.int64).reshape(x.shape)
    table = np.moveaxis(places, axes, range(x.ndim - rank, x.ndim))
    count = math.prod(x.shape[axis] for axis in axes)
    table = table.reshape(-1, count)
    return Means(x, lambda at: table[at], count)


def rescaled(layer: Layer, inputs: Sequence[AnyArray]) -> ExactLayer:
    """Rescaling: one product and one sum with constants, which may be one for each channel."""
    x = single(inputs)
    return rescale(layer, Recorded(x), x.shape)


def rescale(layer: Layer, before: ExactLayer, shape: tuple[int, ...]) -> Rescaled:
    """Rescale values of some shape."""
    fmt = layer.arithmetic()
    scale, offset = constants(layer, "scale", 1.0, fmt), constants(layer, "offset", 0.0, fmt)
    return Rescaled(before, np.broadcast_to(scale, shape), np.broadcast_to(offset, shape))


def _sum(terms: Balls) -> arb:
    return sum(terms, arb(0))


def _product(terms: Balls) -> arb:
    return math.prod(terms, start=arb(1))


_COMBINING: Final[Mapping[str, Callable[[Balls], arb]]] = {
    "Add": _sum,
    "Subtract": lambda terms: terms[0] - terms[1],
    "Average": lambda terms: _sum(terms) / len(terms),
    "Multiply": _product,
}

ELEMENTWISE: Final[Mapping[str, Make]] = {
    **dict.fromkeys(_COMBINING, merged),
    "Dot": dot,
    "Rescaling": rescaled,
    **{f"AveragePooling{rank}D": partial(mean_in_windows, rank=rank) for rank in (1, 2, 3)},
    **{f"GlobalAveragePooling{rank}D": partial(mean_of_all, rank=rank) for rank in (1, 2, 3)},
}
