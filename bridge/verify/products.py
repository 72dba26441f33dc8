"""Sums of products, exactly: dense layers and convolutions are a matrix product of gathered rows.

Every result (row, column) adds x[row, k] w[k, column] over k. The rows are gathered from an array
by their places in it, where -1 stands for a zero beyond the edge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import numpy as np

from bridge._typing import F64, Mask
from bridge.verify.exact_arithmetic import (
    Balls,
    Dyadic,
    Ints,
    balls,
    dots,
    dyadic,
    every,
    exactly,
    points,
    product,
)
from bridge.verify.exact_values import ExactLayer, Values

#: How many factors are gathered at once, and for how many results.
_MOST_FACTORS: Final = 2**21
_MOST_RESULTS: Final = 2**14


@dataclass(frozen=True)
class Factors:
    """First factors, (n, k); ``finite`` is False where one is NaN or infinite and counts as 0."""

    numbers: Dyadic
    finite: Mask


class Source(Protocol):
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
class Product:
    """Sums of products: ``rows(row, group)`` gives the places of the first factors in the source.

    Results are numbered row by row, one for each column of ``w``. The columns are divided evenly
    into ``groups``; those of one group share their rows. ``bias`` has a number for each column.
    """

    source: Source
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
