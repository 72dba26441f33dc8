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
were tried whole, and the largest of any activation where there is none. Inside a bound that rests
on a sample is inside the true bound; outside, the factor says how far outside the true bound may
still lie.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np

from bridge.compare.measured import coverage, dtype_of, read
from bridge.compare.rules.erfc import F64
from bridge.compare.rules.rounding import FLOAT32, FORMATS, Format

__all__ = [
    "BINADES",
    "FIRST_BINADE",
    "ErrorModel",
    "coverage",
    "errors_by_row",
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
Runs = list[list[float | None]]


@dataclass(frozen=True)
class ErrorModel:
    """The largest absolute error for true values above and below zero, by binade.

    ``relative`` is (r, t) such that every error above zero is at most r f + t: t covers the
    binades in which a result can be lost whole, r what is more than that in the others.
    ``missed`` is 1 if every kernel was measured exhaustively, else the factor by which a sample may
    be too small; ``versions`` are those of TensorFlow that were measured.
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


def model_of(activation: str, dtype: str = "float32") -> ErrorModel | None:
    """Return the error model of an activation in a type, or None if it was never measured."""
    return _models().get((activation, dtype))


@lru_cache(maxsize=1)
def _models() -> dict[tuple[str, str], ErrorModel]:
    data = read()
    by_name: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in data["measurements"]:
        by_name.setdefault((record["activation"], dtype_of(record)), []).append(record)
    missed: dict[str, float] = {}
    for each in data["measurements"]:
        if "sample_missed" in each:
            name = each["activation"]
            missed[name] = max(missed.get(name, 1.0), each["sample_missed"])
    most = max(missed.values(), default=1.0)
    versions = {name: each["tensorflow"] for name, each in data["environments"].items()}
    return {
        (name, dtype): _combine(records, FORMATS[dtype], versions, missed.get(name, most))
        for (name, dtype), records in by_name.items()
        if dtype in FORMATS
    }


def _combine(
    records: list[dict[str, Any]], fmt: Format, versions: dict[str, str], missed: float
) -> ErrorModel:
    largest = np.zeros((2, BINADES))
    covered: dict[tuple[str, str], bool] = {}
    for record in records:
        exhaustive = record["coverage"] == "exhaustive"
        for kernel in record["kernels"]:
            for mode in kernel["modes"]:
                key = (record["environment"], mode)
                covered[key] = covered.get(key, False) or exhaustive
            for side, name in enumerate(("positive", "negative")):
                errors = (errors_by_row if exhaustive else sampled_by_row)(kernel[name], fmt)
                largest[side] = np.maximum(largest[side], errors)
    return ErrorModel(
        largest[0],
        largest[1],
        _relative(largest[0], fmt),
        1.0 if all(covered.values()) else missed,
        tuple(sorted({versions[record["environment"]] for record in records})),
    )


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
