"""How far a sum of products may be from the exact one, whatever the order of summation.

The bound is derived here once more. Let s be the exact sum of the terms, S that of their
magnitudes, and let r be 1 if each term is a product that was rounded, else 0. An addition rounds
the exact sum t of its two operands by at most u |t|, and later additions hand that on unchanged.
The operands stand for a subset of the terms. Whatever was lost on the way to them is less than the
classic bound E = (a + r) u S for a additions in any order (C.-P. Jeannerod and S. M. Rump, SIAM J.
Matrix Anal. Appl. 34, 2013), and the subset's own sum lies between that of all negative and that of
all positive terms, of which the larger is M = (S + |s|) / 2. So no result is further from s than

    min(E, r u S + a u (M + E)) + (1 + a u) L + C,

where L is what flushing to zero can lose (arguments below the smallest normal number, and that
number for each operation), and C what the terms themselves may be off by; C counts towards |s|.

A rule may add what its own float64 evaluation can be off by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from bridge.verify.exact import F64, UPWARDS, Ints, largest, points
from bridge.verify.factors import Product
from bridge.verify.kinds import MOST_TERMS, Kind, UncheckedError
from bridge.verify.stages import Known, Placed, Stage

#: Half a unit in the last place of 1 in float64, in which the rules evaluate.
U64: Final = 2.0**-53


def any_order(
    size: F64,
    value: F64,
    additions: int,
    kind: Kind,
    *,
    rounded: bool = True,
    lost: F64 | float = 0.0,
    carried: F64 | float = 0.0,
) -> F64:
    """Return the bound of the theorem, plus what a float64 evaluation may be off by.

    ``size`` and ``value`` are at least S and |s|, and so are ``lost`` and ``carried``. The result
    is infinite where a partial sum may overflow.
    """
    u, r = kind.u, int(rounded)
    with np.errstate(all="ignore"):
        classic = UPWARDS * kind.grown(additions + r) * size
        subset = 0.5 * (size + np.minimum(value + carried, size))
        sharp = r * u * size + additions * u * (subset + classic)
        rounding = np.minimum(classic, sharp) + (1.0 + additions * u) * lost
        bound = UPWARDS * (rounding + carried + 2.0 * float64_error(size, additions))
        # A rule that is rounded down may still claim something at the very edge.
        return np.where(size + bound < kind.limit * UPWARDS * UPWARDS, bound, np.inf)


def mean_error(added: F64, size: F64, count: F64 | float, most: int, kind: Kind) -> F64:
    """Bound the error of a sum that is ``added`` off and divided by a count, of ``most`` at most.

    A kernel may divide each term before it adds them, or multiply by a rounded reciprocal of a
    rounded count: that is three roundings of every term, and one to spare. Dividing by a power of
    two rounds nothing but what becomes too small.
    """
    with np.errstate(all="ignore"):
        fraction, _ = np.frexp(count)
        grown = UPWARDS * 4.0 * kind.u / (1.0 - 4.0 * kind.u)
        divided = np.where(fraction == 0.5, 0.0, grown * (size + added))
        error = UPWARDS * ((added + divided) / count + (most + 2) * kind.tiny)
        return np.where(np.asarray(count) < kind.limit, error, np.inf)


def float64_error(size: F64, additions: int) -> F64:
    """Bound the error of a float64 evaluation of a sum of products, in any order."""
    return (additions + 4) * 2.0 * U64 * size


@dataclass(frozen=True)
class Affine:
    """Sums of products and a bias: results are numbered row by row, one for each column.

    ``moved`` is a constant that is added next, and may be added to any part of the sum first.
    """

    products: Sequence[Product]
    bias: F64 | None
    kind: Kind
    moved: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is beyond any bound."""
        if self.terms + 2 > MOST_TERMS:
            raise UncheckedError(f"{self.terms} products are too many")

    @property
    def terms(self) -> int:
        """How many products a result adds."""
        return sum(each.terms for each in self.products)

    @property
    def columns(self) -> int:
        """How many results there are for each row."""
        return self.products[0].columns

    @property
    def chunk(self) -> int:
        """For how many results to ask at once."""
        return min(each.chunk for each in self.products)

    def at(self, places: Ints) -> Known:
        """Return the sums at the given places."""
        kind = self.kind
        parts = [each.at(places, kind.tiny) for each in self.products]
        value = parts[0].value
        for part in parts[1:]:
            value = [one + other for one, other in zip(value, part.value, strict=True)]
        size, lost, carried, evaluated, defined = (
            parts[0].size, parts[0].lost, parts[0].carried, parts[0].evaluated, parts[0].defined,
        )  # fmt: skip
        for part in parts[1:]:
            size, lost = size + part.size, lost + part.lost
            carried, evaluated = carried + part.carried, evaluated + part.evaluated
            defined = defined & part.defined
        additions = self.terms - 1
        if self.bias is not None:
            bias = self.bias[places % self.columns]
            magnitude = np.where(np.isfinite(bias), np.abs(bias), 0.0)
            value = [z + b for z, b in zip(value, points(bias), strict=True)]
            size = size + magnitude
            lost = lost + np.where(magnitude < kind.tiny, magnitude, 0.0)
            defined = defined & np.isfinite(bias)
            additions += 1
        if self.moved:
            additions += 1
        lost = lost + (self.terms + additions) * kind.tiny
        more = abs(self.moved)
        error = any_order(
            size + more, largest(value) + more, additions, kind, lost=lost, carried=carried
        )  # fmt: skip
        evaluated = UPWARDS * (evaluated + float64_error(size, additions))
        return Known(value, error, evaluated, defined)


def with_moved(stage: Stage, added: float) -> Stage:
    """Return a stage whose sums may have a constant added to a part of them first."""
    if isinstance(stage, Affine):
        return replace(stage, moved=added)
    if isinstance(stage, Placed):
        return replace(stage, stage=with_moved(stage.stage, added))
    return stage
