"""Bounds of sums in any order, of means, of the largest or smallest, and of square roots."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.rounding.rules.layer import Evaluation, Layer, UnsupportedError
from bridge.rounding.rules.rounding import FLOAT32, MOST_TERMS, TINY, UNIT, Format

#: A map that is linear in each of two arrays and adds only products of their elements: a matrix
#: product or a convolution.
Bilinear = Callable[[F64, F64], F64]


@dataclass(frozen=True)
class Product:
    """One bilinear part of a sum: ``apply(x, w)``, of which each result adds ``terms`` products.

    ``error`` bounds how far the x that was computed with may be from ``x`` (None: it is known).
    """

    x: F64
    w: F64
    apply: Bilinear
    terms: int
    error: F64 | None = None

    def value(self) -> F64:
        """Return the sum of the products in float64."""
        with np.errstate(all="ignore"):
            return self.apply(self.x, self.w)


def dot_error(
    products: Sequence[Product],
    bias: F64 | None,
    value: F64,
    fmt: Format = FLOAT32,
    moved: float = 0.0,
) -> F64:
    """Bound the error of a sum of products and a bias, each result an element of ``value``.

    ``value`` is the float64 sum of all parts and the bias. ``moved`` is a constant that is added to
    the sum next, and may be added to any part of it first. The bound is infinite where a partial
    sum may overflow in some order.
    """
    terms = sum(each.terms for each in products)
    size = np.zeros(value.shape) if bias is None else np.broadcast_to(np.abs(bias), value.shape)
    lost = np.zeros(value.shape)
    carried = np.zeros(value.shape)
    with np.errstate(all="ignore"):
        for each in products:
            size_x, size_w = np.abs(each.x), np.abs(each.w)
            if each.error is not None:
                carried = carried + each.apply(each.error, size_w)
                size_x = size_x + each.error
            size = size + each.apply(size_x, size_w)
            small_x, small_w = fmt.subnormal(size_x), fmt.subnormal(size_w)
            if small_x is not None:
                lost = lost + each.apply(small_x, size_w)
            if small_w is not None:
                lost = lost + each.apply(size_x, small_w)
        small_b = None if bias is None else fmt.subnormal(bias)
        if small_b is not None:
            lost = lost + small_b
        adds = terms - 1 if bias is None else terms
        # A constant that is moved is one more term, and partial sums are larger by as much.
        adds, more = (adds + 1, abs(moved)) if moved else (adds, 0.0)
        lost = lost + (terms + adds) * fmt.tiny
        return carried + sum_error(
            size + more, value, adds, lost=lost, carried=carried + more, fmt=fmt
        )


def sum_error(
    size: F64,
    value: F64,
    adds: int,
    *,
    rounded: bool = True,
    lost: F64 | float = 0.0,
    carried: F64 | float = 0.0,
    fmt: Format = FLOAT32,
) -> F64:
    """Bound the error of a sum of terms in any order.

    ``size`` is the sum of the terms' magnitudes, ``value`` their sum; ``adds`` additions make it;
    ``rounded`` says that each term is a product, rounded once. ``lost`` bounds what flushing to
    zero loses along the way; ``carried`` how far the terms that were really added may be from
    those of ``value``, which counts towards the size of the partial sums but is not added to the
    result. Infinite where a partial sum may overflow.
    """
    u, first = fmt.unit, 1 if rounded else 0
    with np.errstate(all="ignore"):
        whole = fmt.growth(adds + first) * size
        most = 0.5 * (size + np.minimum(np.abs(value) + carried, size))
        sharp = first * u * size + adds * u * (most + whole)
        evaluated = (adds + 4) * 2.0**-52 * size
        error = np.minimum(whole, sharp) + evaluated + (1.0 + adds * u) * lost
        return np.where(size + error < fmt.overflow, error, np.inf)


# Averages: sums divided by how many there are, or sums of terms that were divided before.


def check_terms(terms: int) -> None:
    """Refuse an average of nothing, or of more terms than a bound can be given for.

    Raises:
        UnsupportedError: there are none, or too many.
    """
    if terms < 1:
        raise UnsupportedError("it averages over nothing")
    if terms + 8 > MOST_TERMS:
        raise UnsupportedError(f"{terms} terms are too many for a bound")


def mean_error(size: F64, small: F64, total: F64, count: F64, most: int, fmt: Format) -> F64:
    """Bound the error of ``total / count`` for a sum in any order.

    ``size`` is the sum of the magnitudes, ``small`` that of the subnormal ones among them;
    ``most`` is the largest of ``count``. The sum may be divided, or multiplied by a rounded
    reciprocal of a rounded count, or each term before they are added: that is three roundings of
    every term, none if the count is a power of two, and ``tiny`` for each. Infinite where a partial
    sum may overflow.
    """
    with np.errstate(all="ignore"):
        added = sum_error(
            size, total, most - 1, rounded=False, lost=small + (most - 1) * fmt.tiny, fmt=fmt
        )
        exact = np.frexp(count)[0] == 0.5
        divided = np.where(exact, 0.0, fmt.gamma(4) * (size + added))
        bound = (added + divided) / count + (most + 2) * fmt.tiny
        return np.where(np.isfinite(bound) & (count < fmt.overflow), bound, np.inf)


# Maxima and minima: what they return is one of their arguments, but for NaN and tiny numbers.


def selected(value: AnyArray, lowest: float = np.nan) -> Evaluation:
    """Return the evaluation of an extremum ``value``, NaN where any argument is.

    Nothing is claimed of NaN, nor where the result is ``lowest``: a kernel may begin with the
    lowest finite number and never see anything above it.
    """
    if value.dtype.kind in "biu":
        return Evaluation(value)

    def derive() -> F64:
        number = value.astype(np.float64)
        with np.errstate(all="ignore"):
            # Arguments below TINY compare as equal, so that any of them may be returned.
            bound = np.where(np.abs(number) < TINY, 2.0 * TINY, 0.0)
            return np.where(np.isnan(number) | (number == lowest), np.inf, bound)

    return Evaluation(value, derive)


# Reciprocal square roots: how far a kernel's may be off, of an argument known up to an error.

_ESTIMATE: Final = 1.5 * 2.0**-12
#: What one step of Newton's method makes of an estimate, with its own roundings.
NEWTON: Final = 1.5 * _ESTIMATE**2 * (1.0 + _ESTIMATE) + 2.0 * UNIT * (1.0 + 4.0 * _ESTIMATE)


def check_measured(layer: Layer) -> None:
    """Refuse a layer whose root was taken where none was measured.

    Raises:
        UnsupportedError: it may have run on something else than a CPU.
    """
    if set(layer.devices) != {"CPU"}:
        where = " or ".join(layer.devices) or "a device that was not recorded"
        raise UnsupportedError(f"it ran on {where}, whose square roots were never measured")


@lru_cache(maxsize=1)
def relative_error() -> float:
    """Return the largest relative error of a kernel's reciprocal square root of a normal number."""
    text = files("bridge.rounding").joinpath("data", "roots.json").read_text("utf-8")
    data = json.loads(text)
    return max(
        NEWTON,
        *(
            float(kernel["max_relative"])
            for record in data["measurements"]
            for kernel in record["kernels"]
        ),
    )


def reciprocal_root(s: F64, error: F64, more: float = 0.0) -> tuple[F64, F64]:
    """Return 1/sqrt(s) and its error, for an ``s`` that a kernel knows up to ``error``.

    The kernel's own may be larger by up to ``more`` besides. The error is infinite where s may be
    zero, negative or subnormal: kernels return NaN or infinity there.
    """
    with np.errstate(all="ignore"):
        root = 1.0 / np.sqrt(s)
        most = 1.0 / np.sqrt(np.where(s - error >= TINY, s - error, np.nan))
        least = 1.0 / np.sqrt(s + error + more)
        off = np.maximum(most - root, root - least) + (relative_error() + 2.0**-50) * most
        return root, np.where(np.isfinite(off), off, np.inf)
