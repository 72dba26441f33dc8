"""Sums of products, exactly: dense layers and convolutions are a matrix product of gathered rows.

Every result (row, column) adds x[row, k] w[k, column] over k. The rows are gathered from an array
by their places in it, where -1 stands for a zero beyond the edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Final, Protocol

import numpy as np

from bridge._typing import F64, AnyArray, Mask
from bridge.rounding.rules.layer import Layer
from bridge.rounding.rules.products import Image, image_of, narrowing, widening
from bridge.rounding.rules.windows import Axis
from bridge.verify.exact_arithmetic import (
    Balls,
    Dyadic,
    ExactLayer,
    Ints,
    Make,
    MovedValues,
    Values,
    balls,
    dots,
    dyadic,
    every,
    exactly,
    points,
    product,
)

#: How many factors are gathered at once, and for how many results.
_MOST_FACTORS: Final = 2**21
_MOST_RESULTS: Final = 2**14


@dataclass(frozen=True)
class Factors:
    """First factors, (n, k); ``finite`` is False where one is NaN or infinite and counts as 0."""

    numbers: Dyadic
    finite: Mask


class FactorSource(Protocol):
    """Where first factors come from."""

    def take(self, places: Ints) -> Factors:
        """Return those at the given flat places; at -1 they are zero."""


@dataclass(frozen=True)
class Elements:
    """The elements of an array."""

    values: F64

    def take(self, places: Ints) -> Factors:
        """Return those at the given flat places; at -1 they are zero."""
        found = np.where(places >= 0, self.values.ravel()[places], 0.0)
        finite = np.isfinite(found)
        return Factors(dyadic(np.where(finite, found, 0.0)), finite)


@dataclass(frozen=True)
class Results:
    """The results of sums of products."""

    layer: ExactLayer

    def take(self, places: Ints) -> Factors:
        """Return those at the given flat places."""
        some, which = np.unique(places, return_inverse=True)
        which = which.reshape(places.shape)
        found = self.layer.at(some)
        return Factors(exactly(found.exact, (some.size,)).pick(which), found.defined[which])


@dataclass(frozen=True)
class ProductSums:
    """Sums of products: ``rows(row, group)`` gives the places of the first factors in the source.

    Results are numbered row by row, one for each column of ``w``. The columns are divided evenly
    into ``groups``; those of one group share their rows. ``bias`` has a number for each column.
    """

    source: FactorSource
    rows: Callable[[Ints, Ints], Ints]
    w: F64
    groups: int = 1
    bias: F64 | None = None

    @property
    def columns(self) -> int:
        """How many results there are for each row."""
        return int(self.w.shape[1])

    @property
    def chunk(self) -> int:
        """For how many results in a row to ask at once."""
        most = _MOST_FACTORS // max(int(self.w.shape[0]), 1)
        if self.groups > 1:
            return max(1, min(_MOST_RESULTS, most))
        return max(1, min(_MOST_RESULTS // max(self.columns, 1), most)) * max(self.columns, 1)

    def at(self, places: Ints) -> Values:
        """Return the sums at flat places."""
        row, column = np.divmod(places, max(self.columns, 1))
        some_rows, row_of = np.unique(row, return_inverse=True)
        some_columns, column_of = np.unique(column, return_inverse=True)
        finite_columns = every(np.isfinite(self.w), 0)[column]
        if self.groups == 1 and some_rows.size * some_columns.size <= 4 * places.size:
            # Nearly all results of some rows and columns: one matrix product makes them.
            found = self.source.take(self.rows(some_rows, 0 * some_rows))
            table = product(found.numbers, self._whole(some_columns))
            numbers = table.pick(row_of.ravel() * some_columns.size + column_of.ravel())
            finite = every(found.finite)[row_of.ravel()]
        else:
            found = self.source.take(self.rows(row, column // (self.columns // self.groups)))
            numbers = dots(found.numbers, dyadic(self._finite_w[:, column].T))
            finite = every(found.finite)
        defined = finite & finite_columns
        return self._with_bias(balls(numbers), column, defined)

    def _with_bias(self, exact: Balls, column: Ints, defined: Mask) -> Values:
        if self.bias is None:
            return Values(exact, defined)
        bias = self.bias[column]
        exact = [z + b for z, b in zip(exact, points(bias), strict=True)]
        return Values(exact, defined & np.isfinite(bias))

    def _whole(self, columns: Ints) -> Dyadic:
        """Return the weights of some columns; those of all are kept."""
        if columns.size == self.columns:
            return self._all_columns
        return dyadic(self._finite_w[:, columns])

    @cached_property
    def _finite_w(self) -> F64:
        return np.where(np.isfinite(self.w), self.w, 0.0)

    @cached_property
    def _all_columns(self) -> Dyadic:
        return dyadic(self._finite_w)


@dataclass(frozen=True)
class Pairing:
    """Sums of products of elements of two arrays: the places of both factors of each result."""

    first: F64
    second: F64
    rows: Callable[[Ints], tuple[Ints, Ints]]
    length: int

    @property
    def chunk(self) -> int:
        """For how many results in a row to ask at once."""
        return max(1, min(_MOST_RESULTS, _MOST_FACTORS // (2 * max(self.length, 1))))

    def at(self, places: Ints) -> Values:
        """Return the sums at flat places."""
        a, b = self.rows(places)
        x, y = Elements(self.first).take(a), Elements(self.second).take(b)
        return Values(balls(dots(x.numbers, y.numbers)), every(x.finite & y.finite))


# Windows over the elements of an array: the places of those that each result looks at.
#
# Where the taps of a window stand is read by the rules
# (:class:`bridge.rounding.rules.windows.Axis`).


def taps_of(axis: Axis, *, transposed: bool = False) -> Ints:
    """Return the element that each tap meets at each position of an axis' output, -1 for none.

    There is a row for each position and a column for each tap.
    """
    length = axis.wide if transposed else axis.narrow
    taps = np.full((length, axis.size), -1, np.int64)
    for tap in range(axis.size):
        places, elements = axis.met(tap)
        narrow = np.arange(axis.narrow, dtype=np.int64)[places]
        wide = np.arange(axis.wide, dtype=np.int64)[elements]
        if transposed:
            taps[wide, tap] = narrow
        else:
            taps[narrow, tap] = wide
    return taps


def under_windows(
    shape: Sequence[int], taps: Mapping[int, Ints], coordinates: Sequence[Ints]
) -> Ints:
    """Return the flat places, in an array of some shape, that each result looks at; -1 for none.

    ``coordinates`` are those of the results, an array for each axis; ``taps`` has a table for each
    axis along which a result looks at several elements. There is a row for each result and a column
    for each combination of taps, those of the last axis next to each other.
    """
    flat = np.zeros((coordinates[0].size, 1), np.int64)
    there = np.ones(flat.shape, np.bool_)
    for axis, (length, at) in enumerate(zip(shape, coordinates, strict=True)):
        met = taps[axis][at] if axis in taps else at[:, None]
        flat = (flat[:, :, None] * length + met[:, None, :]).reshape(at.size, -1)
        there = (there[:, :, None] & (met >= 0)[:, None, :]).reshape(at.size, -1)
    return np.where(there, flat, -1)


@dataclass(frozen=True)
class _Sums:
    """Sums of products at positions of an output: its rows are numbered by batch and position."""

    product: ProductSums
    lengths: tuple[int, ...]


def convolution(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> ExactLayer:
    """Conv1D, 2D, 3D: the kernel is (size..., channels of a group, filters)."""
    image, weights = image_of(layer, inputs, rank), weights_of(layer)
    kernel = weights["kernel"]
    groups = image.channels // kernel.shape[-2]
    return _whole(image, _narrow(layer, image, kernel, groups), weights)


def depthwise(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> ExactLayer:
    """DepthwiseConv1D, 2D: the kernel is (size..., channels, filters of each channel)."""
    image, weights = image_of(layer, inputs, rank), weights_of(layer)
    kernel = weights.get("depthwise_kernel", weights.get("kernel"))
    assert kernel is not None
    return _whole(image, _of_each_channel(layer, image, kernel), weights)


def separable(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> ExactLayer:
    """SeparableConv1D, 2D: a depthwise convolution without a bias, and one of a single tap."""
    image, weights = image_of(layer, inputs, rank), weights_of(layer)
    between = _of_each_channel(layer, image, weights["depthwise_kernel"])
    width = between.product.columns

    def rows(row: Ints, _group: Ints) -> Ints:
        return np.asarray(row[:, None] * width + np.arange(width)[None, :])

    pointwise = weights["pointwise_kernel"].reshape(width, -1)
    second = ProductSums(Results(between.product), rows, pointwise)
    return _whole(image, replace(between, product=second), weights)


def transposed(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> ExactLayer:
    """Conv1DTranspose, 2D, 3D: the kernel is (size..., filters, channels)."""
    image, weights = image_of(layer, inputs, rank), weights_of(layer)
    kernel = np.moveaxis(weights["kernel"], -1, -2)
    axes = widening(layer, image, kernel.shape[:rank], kernel.shape[-1])
    taps = [taps_of(axis, transposed=True) for axis in axes]
    return _whole(image, _gathered(image, taps, kernel, 1), weights)


def weights_of(layer: Layer) -> dict[str, F64]:
    """Return all weights as the layer computes with them."""
    return layer.numbers(*layer.weights)


def _of_each_channel(layer: Layer, image: Image, kernel: F64) -> _Sums:
    """A depthwise convolution: one group for each channel, whose filters are next to each other."""
    *size, channels, filters = kernel.shape
    return _narrow(layer, image, kernel.reshape(*size, 1, channels * filters), channels)


def _narrow(layer: Layer, image: Image, kernel: F64, groups: int) -> _Sums:
    axes = narrowing(layer, image, kernel.shape[:-2], kernel.shape[-1])
    return _gathered(image, [taps_of(axis) for axis in axes], kernel, groups)


def _gathered(image: Image, taps: Sequence[Ints], kernel: F64, groups: int) -> _Sums:
    depth, columns = kernel.shape[-2:]
    space, channels = image.x.shape[:-1], image.channels
    lengths = tuple(len(table) for table in taps)
    tables = dict(enumerate(taps, start=1))

    def rows(row: Ints, group: Ints) -> Ints:
        at = under_windows(space, tables, np.unravel_index(row, (len(image.x), *lengths)))
        channel = group[:, None, None] * depth + np.arange(depth)
        found = at[:, :, None] * channels + channel
        return np.where(at[:, :, None] >= 0, found, -1).reshape(row.size, -1)

    return _Sums(ProductSums(Elements(image.x), rows, kernel.reshape(-1, columns), groups), lengths)


def _whole(image: Image, sums: _Sums, weights: Mapping[str, F64]) -> ExactLayer:
    """Add the bias, and put the channels where the input has them."""
    product = replace(sums.product, bias=weights.get("bias"))
    if not image.channels_first:
        return product
    shape = (len(image.x), *sums.lengths, product.columns)
    order = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    return MovedValues(product, np.moveaxis(order, -1, 1).reshape(-1))


CONVOLUTIONS: Final[Mapping[str, Make]] = {
    **{f"Conv{rank}D": partial(convolution, rank=rank) for rank in (1, 2, 3)},
    **{f"Conv{rank}DTranspose": partial(transposed, rank=rank) for rank in (1, 2, 3)},
    **{f"DepthwiseConv{rank}D": partial(depthwise, rank=rank) for rank in (1, 2)},
    **{f"SeparableConv{rank}D": partial(separable, rank=rank) for rank in (1, 2)},
}
