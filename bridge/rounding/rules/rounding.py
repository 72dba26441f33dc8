"""Rounding: the types in which layers compute, and the bounds that every rule is made of.

The model of arithmetic is the usual one with underflow (N. J. Higham, Accuracy and Stability of
Numerical Algorithms, 2nd ed., SIAM 2002, sections 2.2 and 2.8): fl(a op b) = (a op b)(1 + d) + t
with |d| <= u and |t| <= tiny, where u is half a unit in the last place of 1. Under gradual
underflow t would be at most half the smallest subnormal number; TensorFlow sets its threads to
flush subnormal results and arguments to zero, which loses up to the smallest normal number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import ml_dtypes
import numpy as np

from bridge._typing import F64
from bridge.rounding.measurements import Kernels

#: Sums of more terms have no bound: the float64 evaluation must stay far more exact than float32.
MOST_TERMS: Final = 2**23

#: Exponents beyond this are beyond float64's exponential, and beyond any use.
_FAR: Final = 700.0


@dataclass(frozen=True)
class Format:
    """A binary floating-point type.

    ``digits`` are those after the point, ``lowest`` is the exponent of the smallest normal number,
    ``highest`` that of the largest. ``chopped`` says that kernels may cut a result off where they
    should round it to nearest: TensorFlow 2.21 does so in eager bfloat16 matrix products on
    processors without bfloat16 instructions (one product, -0.60425 exactly, came out as -0.60156
    where -0.60547 is nearest). ``kernels`` are those that compute in it, where they are known:
    some bounds were measured, and a measurement speaks of one installation.
    """

    name: str
    digits: int
    lowest: int
    highest: int
    chopped: bool = False
    kernels: Kernels | None = None

    @property
    def unit(self) -> float:
        """Unit roundoff u: half the distance from 1 to the next number, or all of it if chopped."""
        return 2.0**-self.digits if self.chopped else 2.0 ** -(self.digits + 1)

    def growth(self, n: int) -> float:
        """Bound the relative error that n roundings of the terms of a sum can add up to.

        n u for numbers rounded to nearest, whatever n (Jeannerod and Rump, SIAM J. Matrix Anal.
        Appl. 34, 2013); (1 + u)^n - 1 otherwise.
        """
        if not self.chopped:
            return n * self.unit
        exponent = n * math.log1p(self.unit)
        return math.expm1(exponent) if exponent < _FAR else math.inf

    @property
    def tiny(self) -> float:
        """The smallest normal number: what flushing to zero can lose in one operation."""
        return 2.0**self.lowest

    @property
    def overflow(self) -> float:
        """The smallest magnitude that rounds to infinity: half a step beyond the largest."""
        return float(2.0 ** (self.highest + 1) - 2.0 ** (self.highest - self.digits - 1))

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's type of the same name."""
        return np.dtype(getattr(ml_dtypes, self.name, self.name))

    def ulp(self, values: F64) -> F64:
        """Return the unit in the last place at each magnitude."""
        _, exponent = np.frexp(values)
        exponent = np.where(values == 0.0, self.lowest, exponent - 1)
        return np.ldexp(1.0, np.maximum(exponent, self.lowest) - self.digits)

    def subnormal(self, values: F64) -> F64 | None:
        """Return |values| where they are subnormal and 0 elsewhere; None if none is."""
        size = np.abs(values)
        there = (size < self.tiny) & (size > 0.0)
        return np.where(there, size, 0.0) if there.any() else None

    def cast(self, values: np.ndarray[Any, Any]) -> F64:
        """Round to this type, quietly where the result is infinite, and return it as float64."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(values.astype(self.dtype).astype(np.float64))

    def held(self, value: float) -> float:
        """Return the number that a kernel holds for a constant of the configuration."""
        return float(self.cast(np.asarray(value, np.float64)))

    def gamma(self, n: int) -> float:
        """Return n u / (1 - n u), the bound of n roundings multiplied (Higham, lemma 3.1).

        Raises:
            ValueError: n u > 1/2, where the bound says nothing any more.
        """
        grown = n * self.unit
        if not 0.0 <= grown <= 0.5:
            raise ValueError(f"{n} roundings are too many for a bound in {self.name}")
        return grown / (1.0 - grown)


FLOAT32: Final = Format("float32", 23, -126, 127)
FLOAT16: Final = Format("float16", 10, -14, 15)
BFLOAT16: Final = Format("bfloat16", 7, -126, 127, chopped=True)

#: The types that have rules, by name.
FORMATS: Final[dict[str, Format]] = {
    format_.name: format_ for format_ in (FLOAT32, FLOAT16, BFLOAT16)
}

#: Of float32, which most modules speak of alone: unit roundoff, and smallest normal.
UNIT: Final = FLOAT32.unit
TINY: Final = FLOAT32.tiny


def float32(value: float) -> float:
    """Return the float32 that a kernel holds for a constant of the configuration."""
    return FLOAT32.held(value)
