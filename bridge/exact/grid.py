"""Numbers on a grid: whole multiples of one power of two, which float arithmetic adds exactly.

Let every term of a sum be a multiple of q = 2^-k, and let the magnitudes of all terms add up to at
most 2^p q, where p is the number of significant bits of the type. Every partial sum, in any order
and with or without fused multiply-add, is then a multiple of q of at most that magnitude, so it is
a number of the type and nothing is rounded. (p is 24 for float32, 11 for float16, 8 for bfloat16.)
"""

from __future__ import annotations

from typing import Final

import numpy as np

from bridge.compare.numbers import F64, AnyArray
from bridge.compare.rules import UnsupportedError
from bridge.compare.rules.rounding import Format

#: No finer grid is looked for.
_FINEST: Final = 2.0**-64
_FEW: Final = 256


class InexactError(UnsupportedError):
    """Exactness cannot be shown here; the message is a sentence that says why, with the number."""


def grid(values: AnyArray) -> float:
    """Return a power of two of at most 1 that divides every value.

    Raises:
        InexactError: there is none that is coarse enough to be of use, or a value is not finite.
    """
    flat = np.asarray(values, np.float64).ravel()
    if not np.isfinite(flat).all():
        raise InexactError("a value is not finite")
    # A few values tell how fine the grid is at least; the others seldom need a finer one.
    return _divides(flat, _divides(flat[:_FEW], 1.0))


def _divides(values: F64, step: float) -> float:
    scaled = values / step
    while (scaled != np.rint(scaled)).any():
        step, scaled = step / 2.0, scaled * 2.0
        if step < _FINEST:
            raise InexactError("its numbers have too many bits to be added exactly")
    return step


def most_units(fmt: Format) -> float:
    """Return 2^p: up to so many units of a grid, every whole number is a number of the type."""
    return 2.0 ** (fmt.digits + 1)


def units(values: AnyArray, step: float) -> float:
    """Return the largest magnitude in units of the grid ``step``."""
    return float(np.abs(np.asarray(values, np.float64)).max(initial=0.0)) / step


def check_sum(size: float, step: float, fmt: Format) -> None:
    """Check that sums of terms of magnitude ``size`` together, on the grid ``step``, are exact.

    Raises:
        InexactError: they need not be.
    """
    if size / step > most_units(fmt):
        raise InexactError(
            f"the magnitudes of its terms add up to {size / step:.0f} units; whole numbers are "
            f"exact in {fmt.name} up to {most_units(fmt):.0f}"
        )


def check_held(values: F64, fmt: Format, what: str) -> None:
    """Check that every value is a number of the type.

    Raises:
        InexactError: one is not.
    """
    odd = np.flatnonzero(fmt.cast(values) != values)
    if odd.size:
        found = float(values.ravel()[odd[0]])
        raise InexactError(f"{what} would be {found!r}, which {fmt.name} does not hold exactly")
