"""The types in which layers compute, and why something may not be checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import ml_dtypes
import numpy as np

from bridge.capsule import KernelErrors
from bridge.certify.exact import F64, AnyArray

#: Sums of more terms are beyond any bound that is certified.
MOST_TERMS: Final = 2**23


class UncheckedError(Exception):
    """The checker has no formula of its own for this; the message is a sentence that says why."""


class MisfitError(Exception):
    """What was recorded contradicts itself, so that nothing certified can be true of it."""


@dataclass(frozen=True)
class Kind:
    """A binary floating-point type, by its bits after the point and its range of exponents.

    ``kernels`` are the errors of activations that were measured where something was computed in it.
    """

    name: str
    bits: int
    lowest: int
    highest: int
    cut: bool = False
    kernels: tuple[KernelErrors, ...] = ()

    @property
    def u(self) -> float:
        """The largest relative error of one rounding; twice as large where results are cut off."""
        return 2.0**-self.bits if self.cut else 2.0 ** -(self.bits + 1)

    def grown(self, roundings: int) -> float:
        """The largest relative error of so many roundings of the terms of a sum, in any order."""
        if not self.cut:
            return roundings * self.u
        return (1.0 + self.u) ** roundings - 1.0 if roundings * self.u < 700.0 else math.inf

    @property
    def tiny(self) -> float:
        """The smallest normal number; what is smaller may be taken for zero."""
        return 2.0**self.lowest

    @property
    def limit(self) -> float:
        """The magnitude from which on numbers round to infinity."""
        return (2.0 - 2.0 ** -(self.bits + 1)) * 2.0**self.highest

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's type."""
        return np.dtype(getattr(ml_dtypes, self.name, self.name))

    def near(self, values: AnyArray) -> F64:
        """Return every number as this type holds it, in float64."""
        with np.errstate(all="ignore"):
            return np.asarray(values.astype(self.dtype).astype(np.float64))

    def constant(self, value: float) -> float:
        """Return a constant of a configuration as this type holds it."""
        return float(self.near(np.array(value, np.float64)))

    def half_steps(self, magnitude: F64) -> F64:
        """Return half of the distance between neighbours at each magnitude, a power of two."""
        _, exponent = np.frexp(np.where(np.isfinite(magnitude), magnitude, 1.0))
        exponent = np.where(magnitude == 0.0, self.lowest, np.maximum(exponent - 1, self.lowest))
        steps: F64 = np.asarray(np.ldexp(1.0, exponent - self.bits - 1), np.float64)
        return steps


FLOAT32: Final = Kind("float32", 23, -126, 127)
KINDS: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (FLOAT32, Kind("float16", 10, -14, 15), Kind("bfloat16", 7, -126, 127, cut=True))
}
