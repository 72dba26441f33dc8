"""Sums of products: how far any correct evaluation, in any order, can be from the exact value.

Let the exact terms be t_1 ... t_m (products, and perhaps a bias), s = sum t, S = sum |t|, and let
an algorithm add them in any order, with or without fused multiply-add. Every addition commits an
absolute error of at most u times the exact sum of its two operands, and later additions carry an
absolute error on unchanged. The operands' exact sum differs from the sum of some subset of the
terms by no more than the error made so far, and no subset's sum is larger in magnitude than that of
all positive or of all negative terms, M = (S + |s|) / 2. With a additions and with u S for rounding
the products,

    |error| <= u S + a u (M + E),   E <= (a + 1) u S,

where E, the bound without the sharper M, holds for any order and any length (C.-P. Jeannerod and
S. M. Rump, Improved error bounds for inner products in floating-point arithmetic, SIAM J. Matrix
Anal. Appl. 34, 2013); it is taken itself where it is the smaller one. For terms of both signs M is
about half of S, so the bound is half of the usual gamma_n S.

Flushing to zero adds what subnormal arguments lose as they are read, and tiny for each product and
each addition. The float64 evaluation itself is off by (m + 2) 2^-53 S.

This does not hold for algorithms that transform the operands before they multiply: Winograd's and
Strassen's, or a Fourier transform.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bridge._typing import F64
from bridge.rounding.rules.rounding import FLOAT32, Format

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
