"""Rounding in float32: the constants and bounds that every rule is made of.

The model of arithmetic is the usual one with underflow (N. J. Higham, Accuracy and Stability of
Numerical Algorithms, 2nd ed., SIAM 2002, sections 2.2 and 2.8): fl(a op b) = (a op b)(1 + d) + t
with |d| <= u = 2^-24 and |t| <= TINY. Under gradual underflow t would be at most 2^-150;
TensorFlow sets its threads to flush subnormal results and arguments to zero, which loses up to
the smallest normal number, TINY = 2^-126.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from bridge.compare.rules.erfc import F64

#: Unit roundoff of float32, to nearest.
UNIT: Final = 2.0**-24
#: The smallest normal number: what flushing to zero can lose in one operation.
TINY: Final = 2.0**-126
#: The smallest magnitude that rounds to infinity in float32: halfway from the largest to 2^128.
OVERFLOW: Final = 2.0**128 - 2.0**103
#: Sums of more terms have no bound: gamma_n needs n u < 1.
MOST_TERMS: Final = 2**23


def gamma(n: int) -> float:
    """Return n u / (1 - n u), the bound of n roundings multiplied together (Higham, lemma 3.1).

    Raises:
        ValueError: n u >= 1/2, where the bound says nothing any more.
    """
    if not 0 <= n <= MOST_TERMS:
        raise ValueError(f"{n} roundings are too many for a bound in float32")
    return n * UNIT / (1.0 - n * UNIT)


def ulp32(values: F64) -> F64:
    """Return the unit in the last place of float32 at each magnitude."""
    _, exponent = np.frexp(values)
    exponent = np.where(values == 0.0, -126, exponent - 1)
    return np.ldexp(1.0, np.maximum(exponent, -126) - 23)


def subnormal(values: F64) -> F64 | None:
    """Return |values| where they are subnormal in float32 and 0 elsewhere; None if none is."""
    size = np.abs(values)
    there = (size < TINY) & (size > 0.0)
    return np.where(there, size, 0.0) if there.any() else None


def float32(value: float) -> float:
    """Return the float32 that a kernel holds for a constant of the configuration."""
    return float(np.float32(value))


def to_float32(values: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Cast to float32 as Keras does, quietly where the result is infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float32)
