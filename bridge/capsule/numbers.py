"""Numbers of every type that a capsule holds: their bits, and how far apart two of them are.

A unit in the last place (ULP) is counted in two ways. Two arrays of one float type: the number of
steps from one to the other through the numbers of that type, so that -0.0 and 0.0 are 0 apart and
the smallest positive number is 1 away from both. Two float types: |a - b| over the spacing of the
coarser type at the larger magnitude. Integers and bools are exact: among themselves a step is 1,
against a float the spacing is the float's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import ml_dtypes
import numpy as np

from bridge._typing import F64, AnyArray, Mask

DType = np.dtype[Any]

_WORDS: Final = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


@dataclass(frozen=True)
class FloatType:
    """What of a binary float type matters here: digits after the point, and smallest exponent."""

    digits: int
    lowest: int

    def spacing(self, magnitude: F64) -> F64:
        """Return the distance from ``magnitude`` (finite, >= 0) to the next number above it."""
        _, exponent = np.frexp(magnitude)
        # frexp gives [1/2, 1); zero has no exponent of its own.
        exponent = np.where(magnitude > 0.0, exponent - 1, self.lowest)
        spacing: F64 = np.ldexp(1.0, np.maximum(exponent, self.lowest) - self.digits)
        return spacing


def float_type(dtype: DType) -> FloatType | None:
    """Return the float type of ``dtype``, or None for integers and bools.

    Raises:
        TypeError: ``dtype`` holds no real numbers.
    """
    if dtype.kind in "biu":
        return None
    try:
        info: Any = ml_dtypes.finfo(dtype)
    except ValueError:
        info = None
    if info is None or dtype.kind == "c" or dtype.itemsize not in _WORDS:
        raise TypeError(f"arrays of type {dtype.name} cannot be compared as numbers")
    return FloatType(int(info.nmant), int(info.minexp))


def words(values: AnyArray) -> AnyArray:
    """Return the bits of ``values`` as unsigned integers of the same width."""
    return values.view(_WORDS[values.dtype.itemsize])


def same_bits(a: AnyArray, b: AnyArray) -> bool:
    """Say whether two arrays have the same type, shape and bits."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype.itemsize not in _WORDS:
        return a.tobytes() == b.tobytes()
    return bool(np.array_equal(words(np.ascontiguousarray(a)), words(np.ascontiguousarray(b))))


def is_nan(values: AnyArray) -> Mask:
    """Return where ``values`` are NaN; integers never are."""
    if values.dtype.kind in "biu":
        return np.zeros(values.shape, np.bool_)
    # ml_dtypes widens to look, and a signalling NaN says that it was touched.
    with np.errstate(invalid="ignore"):
        return np.asarray(np.isnan(values))


def gaps(a: AnyArray, b: AnyArray) -> tuple[F64, F64, F64]:
    """Return |a - b|, |b| and the distance in ULPs of two vectors of finite numbers.

    |a - b| is exact for integers and rounded once to float64 for floats; it is 0 only where the
    values are the same.
    """
    kind_a, kind_b = float_type(a.dtype), float_type(b.dtype)
    if kind_a is None and kind_b is None:
        steps = _integer_gap(a, b)
        return steps, np.abs(b.astype(np.float64)), steps
    x, y = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(over="ignore"):
        gap = np.abs(x - y)
    if kind_a is None:
        gap = _exact_zero(gap, a, y)
    elif kind_b is None:
        gap = _exact_zero(gap, b, x)
    magnitude = np.abs(y)
    if kind_a is not None and a.dtype == b.dtype:
        return gap, magnitude, _steps(a, b)
    larger = np.maximum(np.abs(x), magnitude)
    spacing = np.max([kind.spacing(larger) for kind in (kind_a, kind_b) if kind], axis=0)
    with np.errstate(over="ignore"):
        return gap, magnitude, gap / spacing


def _steps(a: AnyArray, b: AnyArray) -> F64:
    """Count the steps between numbers of one float type, by their order as integers."""
    bits_a, bits_b = words(a), words(b)
    sign = bits_a.dtype.type(1 << (8 * bits_a.dtype.itemsize - 1))
    unlike = (bits_a ^ bits_b) >= sign
    low_a, low_b = bits_a & ~sign, bits_b & ~sign
    # Across zero the steps on both sides add up; without the signs there is room for the sum.
    along = np.where(low_a > low_b, low_a - low_b, low_b - low_a)
    steps: F64 = np.where(unlike, low_a + low_b, along).astype(np.float64)
    return steps


def _integer_gap(a: AnyArray, b: AnyArray) -> F64:
    if a.dtype.kind == "b" or b.dtype.kind == "b":
        a, b = (part.astype(np.uint8) if part.dtype.kind == "b" else part for part in (a, b))
    if np.result_type(a, b).kind == "f":
        # uint64 against a signed type: no integer type holds both.
        big, signed = (a, b) if a.dtype.kind == "u" else (b, a)
        far = big.astype(np.float64) - signed.astype(np.float64)
        near = _integer_gap(big, np.maximum(signed, 0).astype(np.uint64))
        return np.where(signed < 0, far, near)
    common = np.result_type(a, b)
    x, y = a.astype(common), b.astype(common)
    # Subtracting the smaller from the larger modulo 2^64 is exact, whatever the signs.
    larger, smaller = np.maximum(x, y), np.minimum(x, y)
    if common.kind == "i":
        larger, smaller = larger.astype(np.int64), smaller.astype(np.int64)
    steps: F64 = (larger.astype(np.uint64) - smaller.astype(np.uint64)).astype(np.float64)
    return steps


def _exact_zero(gap: F64, integers: AnyArray, floats: F64) -> F64:
    """Mend gaps that are 0 only because an integer beyond 2^53 was rounded."""
    doubtful = np.flatnonzero((gap == 0.0) & (np.abs(floats) >= 2.0**53))
    for place in doubtful.tolist():
        gap[place] = float(abs(int(integers[place]) - int(floats[place])))
    return gap
