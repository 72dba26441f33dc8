"""Products of recorded numbers, added up exactly: the bilinear part of a layer.

Every result (row, column) of a dense layer or a convolution adds x[row, k] w[k, column] over k. The
rows are gathered from an array by their places in it, where -1 stands for a zero beyond the edge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, Protocol

import numpy as np

from bridge.verify.exact import (
    F64,
    Balls,
    Dyadic,
    Ints,
    Mask,
    balls,
    dots,
    dyadic,
    every,
    largest,
    product,
)

#: How many factors are gathered at once, and for how many results.
_MOST_FACTORS: Final = 2**21
_MOST_RESULTS: Final = 2**14


@dataclass(frozen=True)
class Factors:
    """First factors, (n, k): exactly, at most how large, and how far off they may have been.

    ``error`` is how far those of the layer's own type may be, ``evaluated`` those of a float64
    evaluation (None: they are known); ``finite`` is False where one is NaN or infinite, ``claimed``
    where nothing is known of how far it may be off.
    """

    numbers: Dyadic
    size: F64
    error: F64 | None = None
    evaluated: F64 | None = None
    finite: Mask | None = None
    claimed: Mask | None = None

    @property
    def magnitudes(self) -> Dyadic:
        """At most how large they may have been, exactly."""
        return self.numbers.magnitudes if self.error is None else dyadic(self.size)


class Source(Protocol):
    """Where first factors come from."""

    def take(self, places: Ints) -> Factors:
        """Return those at the given flat places."""


@dataclass(frozen=True)
class Elements:
    """The elements of an array."""

    values: F64

    def take(self, places: Ints) -> Factors:
        """Return those at the given flat places."""
        found = np.where(places >= 0, self.values.ravel()[places], 0.0)
        finite = np.isfinite(found)
        if finite.all():
            return Factors(dyadic(found), np.abs(found))
        found = np.where(finite, found, 0.0)
        return Factors(dyadic(found), np.abs(found), finite=finite)


@dataclass(frozen=True)
class Part:
    """Sums of products at some places.

    ``size`` is at least the sum of the terms' magnitudes; ``lost`` at least what is lost if factors
    below the smallest normal number are taken for zero; ``carried`` and ``evaluated`` at least what
    the first factors' own errors amount to, in the layer's type and in float64.
    """

    value: Balls
    size: F64
    lost: F64
    carried: F64
    evaluated: F64
    defined: Mask


@dataclass(frozen=True)
class Product:
    """A bilinear map: ``rows(row, group)`` gives the places of the first factors in the source.

    The columns of ``w`` are divided evenly into ``groups``; those of one group share their rows.
    ``most`` is the largest number of products that are not with zeros beyond the edge, if fewer
    than ``w`` has rows.
    """

    source: Source
    rows: Callable[[Ints, Ints], Ints]
    w: F64
    groups: int = 1
    most: int | None = None
    _whole: dict[str, Dyadic] = field(default_factory=dict, repr=False, compare=False)

    @property
    def terms(self) -> int:
        """How many products a result adds."""
        return int(self.w.shape[0]) if self.most is None else self.most

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

    def at(self, places: Ints, tiny: float) -> Part:
        """Add up the products of the results at flat places; ``tiny`` is the smallest normal."""
        chosen = _Chosen(self, *np.divmod(places, max(self.columns, 1)))
        taken = chosen.taken
        nothing = np.zeros(places.size)
        small_x, small_w = (taken.size < tiny) & (taken.size > 0.0), self._small_weights(tiny)
        lost = nothing
        if small_x.any():
            lost = lost + chosen.above(dyadic(np.where(small_x, taken.size, 0.0)), "size")
        if small_w is not None:
            lost = lost + chosen.above(taken.magnitudes, "small", small_w)
        carried = nothing
        if taken.error is not None:
            carried = chosen.above(dyadic(taken.error), "size")
            carried = np.where(chosen.everywhere(taken.claimed), carried, np.inf)
        return Part(
            value=balls(chosen.add(taken.numbers, "value")),
            size=chosen.above(taken.magnitudes, "size"),
            lost=lost,
            carried=carried,
            evaluated=(
                nothing
                if taken.evaluated is None
                else chosen.above(dyadic(taken.evaluated), "size")
            ),
            defined=chosen.defined(),
        )

    @cached_property
    def _finite(self) -> Mask | None:
        finite = np.isfinite(self.w)
        return None if finite.all() else finite

    def _small_weights(self, tiny: float) -> F64 | None:
        size = np.abs(self.w)
        small = (size < tiny) & (size > 0.0)
        return np.where(small, size, 0.0) if small.any() else None


class _Chosen:
    """Results at some rows and columns: a table of few rows and columns, or one by one."""

    def __init__(self, of: Product, rows: Ints, columns: Ints) -> None:
        self._of = of
        some_rows, self._row = np.unique(rows, return_inverse=True)
        some_columns, self._column = np.unique(columns, return_inverse=True)
        self._table = of.groups == 1 and some_rows.size * some_columns.size <= 4 * rows.size
        self._columns = some_columns if self._table else columns
        self._rows = some_rows if self._table else rows
        group = columns // (of.columns // of.groups) if of.groups > 1 else 0 * self._rows
        self.taken = of.source.take(of.rows(self._rows, group))

    def add(
        self, x: Dyadic, name: Literal["value", "size", "small"], w: F64 | None = None
    ) -> Dyadic:
        """Add up the products of ``x`` with the weights, their magnitudes, or with ``w``."""
        second = self._second(name, w)
        if not self._table:
            return dots(x, second)
        return product(x, second).pick(self._row.ravel() * len(self._columns)
                                       + self._column.ravel())  # fmt: skip

    def above(
        self, x: Dyadic, name: Literal["value", "size", "small"], w: F64 | None = None
    ) -> F64:
        """Return the same, rounded up."""
        return largest(balls(self.add(x, name, w)))

    def defined(self) -> Mask:
        """Return where all factors are finite."""
        finite_w = self._of._finite
        whole = np.ones(self._of.columns, np.bool_) if finite_w is None else every(finite_w, 0)
        columns = whole[self._columns]
        if self._table:
            columns = columns[self._column.ravel()]
        both: Mask = self.everywhere(self.taken.finite) & columns
        return both

    def everywhere(self, mask: Mask | None) -> Mask:
        """Return where a mask of first factors is true of all of a result's; None is true."""
        rows = np.ones(self._rows.size, np.bool_) if mask is None else every(mask)
        return rows[self._row.ravel()] if self._table else rows

    def _second(self, name: str, w: F64 | None) -> Dyadic:
        of = self._of
        whole = self._table and self._columns.size == of.columns
        if whole and name in of._whole:
            return of._whole[name]
        chosen = (of.w if w is None else w)[:, self._columns]
        chosen = np.where(np.isfinite(chosen), chosen, 0.0)
        chosen = chosen if name == "value" else np.abs(chosen)
        found = dyadic(chosen if self._table else chosen.T)
        if whole:
            of._whole[name] = found
        return found
