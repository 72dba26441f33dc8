"""Error models of activation kernels, as they were measured.

``data/activations.json`` is written by ``benchmarks/activations.py``. It holds, for every kernel
(an activation, a type, the ways that reach it, a version of TensorFlow, a class of processors),
sign and binade [2^k, 2^(k+1)) of the true value f(z), the largest |y - f(z)| over the inputs z
that were tried: all finite numbers of the type ("exhaustive"), or 4,096 significands of every
exponent of float32 ("stratified"; all that can be done for kernels that only see a few numbers at
a time).

A layer may have been executed by any of an activation's kernels, so the model is the largest error
over all of them, of every environment. Whichever z an interval of arguments contains, f(z) lies
between the ends of the interval's image, so the largest error of the binades between those ends
covers it.

A sample misses the worst input. It is therefore read as an envelope, the largest error of all
binades from zero up to that of the value, and how far that is below the truth is measured as well
where everything was tried: ``sample_missed`` is the largest factor between the envelope of all
inputs and that of the sample. A sample is given the factor of its own activation's kernels that
were tried whole, and the largest of any activation where there is none. The factor of a model is
what its samples, widened so, are above it at most: where kernels that were tried whole err as much
as a widened sample anyhow, nothing is missing. Inside a bound that rests on a sample is inside the
true bound; outside, the factor says how far outside the true bound may still lie.

All that is said of an installation that was measured: in the file, or where the run was made, which
is then recorded with the run. All numbers of a short type are tried there, so that what a kernel
loses by rounding in the type itself (in float16 and bfloat16, 1 + erf(z) cancels to nothing long
before z Phi(z) is zero) is a term of its own in the binades where it is lost, whatever the kernel
does. On any other installation a kernel may do what nobody has seen: the factor is infinite, so
that an output inside the bound is explained by rounding, and of one outside nothing is said.
Functions that only compare and choose need no measurement: whatever computes them, all that it can
lose is what it takes for zero.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np

from bridge._typing import F64
from bridge.rounding.installation import Kernels
from bridge.rounding.measurements import coverage, dtype_of, installations_of, read
from bridge.rounding.rules.rounding import FLOAT32, FORMATS, Format

__all__ = [
    "BINADES",
    "COMPARING",
    "FIRST_BINADE",
    "ErrorModel",
    "coverage",
    "errors_by_row",
    "is_measured",
    "model_of",
    "row",
]

#: Binades from k = -127, which stands for everything below 2^-126, to k = 128, which stands for
#: everything that float32 cannot hold.
FIRST_BINADE: Final = -127
BINADES: Final = 256
#: More than a float64 form errs: the ends of an image are moved out by it before they are looked
#: up, so that no value just beyond a power of two is missed.
_SLACK: Final = 2.0**-40

Rows = np.ndarray[Any, np.dtype[np.int64]]
#: Errors as the file holds them: [first binade, last, ULPs], None where a number was lost.
Runs = Sequence[Sequence[float | None]]
#: Functions that only compare their argument with constants and return it or one of them: nothing
#: is rounded, and no kernel can make more of it.
COMPARING: Final = frozenset({"linear", "relu", "relu6", "hard_tanh"})


@dataclass(frozen=True)
class ErrorModel:
    """The largest absolute error for true values above and below zero, by binade.

    ``relative`` is (r, t) such that every error above zero is at most r f + t: t covers the
    binades in which a result can be lost whole, r what is more than that in the others.
    ``missed`` is the factor by which samples may be too small: 1 if there are none, infinite where
    the installation was not measured; ``versions`` are those of TensorFlow that were measured.
    """

    positive: F64
    negative: F64
    relative: tuple[float, float]
    missed: float
    versions: tuple[str, ...]

    def error(self, low: F64, high: F64) -> F64:
        """Return the largest error where the true value lies in [low, high].

        It is infinite where a kernel returns NaN or infinity for a finite true value.
        """
        with np.errstate(all="ignore"):
            first = _place(low - _SLACK * np.abs(low), below=True)
            last = _place(high + _SLACK * np.abs(high), below=False)
        last = np.maximum(first, last)
        # The largest of any run of rows is that of two runs, of a power of two rows each.
        level = np.frexp((last - first + 1).astype(np.float64))[1] - 1
        runs = self._runs
        result: F64 = np.maximum(runs[level, first], runs[level, last - (1 << level) + 1])
        return result

    @cached_property
    def digest(self) -> str:
        """Some digits that change with the measured errors."""
        rows = np.concatenate((self.negative[::-1], self.positive))
        return hashlib.sha256(rows.tobytes()).hexdigest()[:16]

    @cached_property
    def _runs(self) -> F64:
        """The largest error of 2^level rows from each one on, the most negative first."""
        levels = [np.concatenate((self.negative[::-1], self.positive))]
        while (half := 1 << (len(levels) - 1)) < levels[0].size:
            shifted = np.full_like(levels[-1], np.inf)
            shifted[:-half] = levels[-1][half:]
            levels.append(np.maximum(levels[-1], shifted))
        return np.stack(levels)


def _place(values: F64, *, below: bool) -> Rows:
    """Return the place of each value among the rows of both signs; zero is below or above it."""
    found = row(np.abs(values))
    negative = (values <= 0.0) if below else (values < 0.0)
    return np.where(negative, BINADES - 1 - found, BINADES + found)


def row(magnitude: F64) -> Rows:
    """Return the row of the table for each magnitude (>= 0); NaN goes to the last."""
    raw = np.ascontiguousarray(magnitude, np.float64).view(np.int64)
    found = np.clip(((raw >> 52) & 0x7FF) - 1023 - FIRST_BINADE, 0, BINADES - 1)
    rows: Rows = found.reshape(np.shape(magnitude))
    return rows


def model_of(
    activation: str, dtype: str = "float32", kernels: Kernels | None = None
) -> ErrorModel | None:
    """Return the error model of an activation in a type, or None if it was never measured.

    ``kernels`` are those that computed; None asks for any that were measured.
    """
    found = _models().get((activation, dtype))
    if found is None or kernels is None:
        return found
    return _model_at(activation, dtype, kernels)


def is_measured(activation: str, dtype: str, kernels: Kernels) -> bool:
    """Say whether an activation was measured in a type on the installation of these kernels."""
    if set(kernels.devices) != {"CPU"}:
        return False
    if any((each.activation, each.dtype) == (activation, dtype) for each in kernels.measured):
        return True
    places = installations_of(activation, dtype)
    return any(place.covers(kernels.installation, dtype) for place in places)


@lru_cache(maxsize=512)
def _model_at(activation: str, dtype: str, kernels: Kernels) -> ErrorModel:
    found, fmt = _models()[activation, dtype], FORMATS[dtype]
    if activation in COMPARING:
        lost = _flushed(fmt)
        return replace(
            found,
            positive=np.maximum(found.positive, lost),
            negative=np.maximum(found.negative, lost),
        )
    if not is_measured(activation, dtype, kernels):
        return replace(found, missed=math.inf)
    own = tuple(
        _Errors.of(each.positive, each.negative, fmt, exhaustive=each.exhaustive)
        for each in kernels.measured
        if (each.activation, each.dtype) == (activation, dtype)
    )
    if not own:
        return found
    known = _errors_of(activation, dtype)
    return _combine((*known, *own), fmt, found.versions, _sample_factor(activation))


def _flushed(fmt: Format) -> F64:
    """Return by row what a kernel loses that takes subnormal numbers for zero: all of them."""
    above = np.ldexp(1.0, np.arange(BINADES) + FIRST_BINADE + 1)
    return np.where(above <= fmt.tiny, above, 0.0)


@dataclass(frozen=True)
class _Errors:
    """What one measurement says of the absolute error, by sign and row."""

    rows: F64
    exhaustive: bool

    @classmethod
    def of(cls, positive: Runs, negative: Runs, fmt: Format, *, exhaustive: bool) -> _Errors:
        read_runs = errors_by_row if exhaustive else sampled_by_row
        return cls(np.stack([read_runs(runs, fmt) for runs in (positive, negative)]), exhaustive)


@lru_cache(maxsize=1)
def _models() -> dict[tuple[str, str], ErrorModel]:
    data = read()
    versions = {name: each["tensorflow"] for name, each in data["environments"].items()}
    seen: dict[tuple[str, str], set[str]] = {}
    for each in data["measurements"]:
        key = each["activation"], dtype_of(each)
        seen.setdefault(key, set()).add(versions[each["environment"]])
    return {
        (name, dtype): _combine(
            _errors_of(name, dtype), FORMATS[dtype], tuple(sorted(found)), _sample_factor(name)
        )
        for (name, dtype), found in seen.items()
        if dtype in FORMATS
    }


@lru_cache(maxsize=512)
def _errors_of(activation: str, dtype: str) -> tuple[_Errors, ...]:
    """Return what the file says of an activation in a type, kernel by kernel."""
    return tuple(
        _Errors.of(
            kernel["positive"],
            kernel["negative"],
            FORMATS[dtype],
            exhaustive=each["coverage"] == "exhaustive",
        )
        for each in read()["measurements"]
        if (each["activation"], dtype_of(each)) == (activation, dtype)
        for kernel in each["kernels"]
    )


@lru_cache(maxsize=1)
def _factors() -> dict[str, float]:
    """Return by how much samples of each activation were too small, where everything was tried."""
    missed: dict[str, float] = {}
    for each in read()["measurements"]:
        if "sample_missed" in each:
            name = each["activation"]
            missed[name] = max(missed.get(name, 1.0), each["sample_missed"])
    return missed


def _sample_factor(activation: str) -> float:
    factors = _factors()
    return factors.get(activation, max(factors.values(), default=1.0))


def _combine(
    measured: Sequence[_Errors], fmt: Format, versions: tuple[str, ...], factor: float
) -> ErrorModel:
    largest = np.max([each.rows for each in measured], axis=0)
    sampled = [each.rows for each in measured if not each.exhaustive]
    missed = 1.0
    if sampled:
        with np.errstate(divide="ignore", invalid="ignore"):
            over = factor * np.max(sampled, axis=0) / largest
        missed = max(1.0, float(np.nan_to_num(over, nan=0.0, posinf=0.0).max()))
    return ErrorModel(largest[0], largest[1], _relative(largest[0], fmt), missed, versions)


def _relative(errors: F64, fmt: Format) -> tuple[float, float]:
    """Return r and t: t is the largest error where half of a value may be lost, r what remains."""
    binade = np.arange(BINADES) + FIRST_BINADE
    value = np.ldexp(1.0, binade)
    lost = (errors >= 0.5 * value) | (binade < fmt.lowest)
    most = float(np.where(lost, errors, 0.0).max())
    with np.errstate(invalid="ignore"):
        beyond = np.where(lost, 0.0, (errors - most) / value)
    return max(0.0, float(beyond.max())), most


def errors_by_row(runs: Runs, fmt: Format = FLOAT32) -> F64:
    """Return the absolute error by row, from the file's runs of [first binade, last, ULPs]."""
    return np.nan_to_num(_ulps(runs), nan=0.0, posinf=np.inf) * _unit(fmt)


def sampled_by_row(runs: Runs, fmt: Format = FLOAT32) -> F64:
    """Return what a sample says of the absolute error by row.

    Near a zero of the function a sample of every exponent of z has few numbers of a binade, or
    none, and none of the worst. So each row has at least the finite ULPs of every row above it,
    and at least the finite error of every row below it.
    """
    ulps = _ulps(runs)
    finite = np.where(np.isfinite(ulps), ulps, 0.0)
    errors = np.maximum.accumulate(finite[::-1])[::-1] * _unit(fmt)
    return np.where(np.isinf(ulps), np.inf, np.maximum.accumulate(errors))


def _ulps(runs: Runs) -> F64:
    """Return the ULPs by row; NaN where no input was tried, infinite where a number was lost."""
    ulps = np.full(BINADES, np.nan)
    for first, last, found in runs:
        assert first is not None
        assert last is not None
        rows = slice(int(first) - FIRST_BINADE, int(last) - FIRST_BINADE + 1)
        ulps[rows] = np.inf if found is None else found
    return ulps


def _unit(fmt: Format) -> F64:
    binades = np.maximum(np.arange(BINADES) + FIRST_BINADE, fmt.lowest)
    unit: F64 = np.ldexp(1.0, binades - fmt.digits)
    return unit
