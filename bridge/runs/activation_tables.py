"""What is kept of a measurement: the largest error by sign and binade, and where it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bridge._typing import F64
from bridge.rounding.rules.models import BINADES, FIRST_BINADE, errors_by_row, sampled_by_row
from bridge.rounding.rules.rounding import Format

Bits = np.ndarray[Any, np.dtype[Any]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

_BINADE: Final = np.arange(BINADES) + FIRST_BINADE


@dataclass(frozen=True)
class Summary:
    """The largest error of each run of inputs whose true values lie in one row of the table."""

    rows: I64
    errors: F64
    bits: Bits


class Table:
    """The largest error, by sign and binade of the true value, and the input that reached it."""

    def __init__(self) -> None:
        self.error = np.zeros(2 * BINADES)
        self.at = np.zeros(2 * BINADES, np.uint32)
        self.seen = np.zeros(2 * BINADES, np.bool_)

    def take(self, summary: Summary) -> None:
        """Take in a part of the measurement."""
        self.seen[summary.rows] = True
        for number in np.flatnonzero(summary.errors > self.error[summary.rows]):
            row = summary.rows[number]
            if summary.errors[number] > self.error[row]:
                self.error[row] = summary.errors[number]
                self.at[row] = summary.bits[number]


def summarize(bits: Bits, true: F64, rows: I64, y: Any, fmt: Format) -> Summary:
    """Compare the results ``y`` for the inputs ``bits`` with their true values."""
    result = y.astype(np.float64)
    with np.errstate(all="ignore"):
        error = np.abs(result - true)
    unlike = ~np.isfinite(error)
    if unlike.any():
        # A true value that rounds to infinity may be infinity, and none at all NaN; anything else
        # is an error.
        overflow = np.abs(true) >= fmt.overflow
        right = overflow & np.isinf(result) & (np.signbit(result) == (true < 0))
        right |= np.isnan(true) & np.isnan(result)
        error[unlike] = np.where(right[unlike], 0.0, np.inf)
    starts = np.concatenate(([0], np.flatnonzero(rows[1:] != rows[:-1]) + 1))
    stops = np.append(starts[1:], rows.size)
    worst = [
        start + int(error[start:stop].argmax()) for start, stop in zip(starts, stops, strict=True)
    ]
    return Summary(rows[starts], error[worst], bits[worst])


def row_of(true: F64) -> I64:
    """Return the row of the table for each value: binade, plus BINADES if it is negative.

    The first row holds everything below 2^-126, zero among it, and the last all that overflows.
    """
    raw = true.view(np.int64)
    binade = np.clip(((raw >> 52) & 0x7FF) - 1023 - FIRST_BINADE, 0, BINADES - 1)
    rows: I64 = binade + BINADES * (raw < 0)
    return rows


def group(
    tables: dict[str, Table],
    specials: dict[str, dict[str, str]],
    ops: dict[str, dict[str, int]],
    fmt: Format,
) -> list[dict[str, Any]]:
    """Describe the tables; modes with the same table and special values share one entry."""
    groups: list[dict[str, Any]] = []
    for mode, table in tables.items():
        new = describe(table, fmt) | {"special": specials[mode]}
        for old in groups:
            if all(old[part] == value for part, value in new.items()):
                old["modes"][mode] = ops[mode]
                break
        else:
            groups.append({"modes": {mode: ops[mode]}, **new})
    return groups


def describe(table: Table, fmt: Format) -> dict[str, Any]:
    """Return a table as data: errors in units in the last place of each binade, rounded up.

    ``a_ulp`` and ``b_abs`` sum it up for people, as error <= a_ulp * ulp(f) + b_abs: the first is
    the largest error where |f| >= 1/2, the second what then remains below.
    """
    unit = _unit(fmt)
    error, at = table.error.reshape(2, BINADES), table.at.reshape(2, BINADES)
    seen = table.seen.reshape(2, BINADES)
    ulps = ulps_of(table, fmt)
    finite = np.isfinite(error)
    normal = np.where(finite & (fmt.lowest <= _BINADE), ulps, 0.0)
    large = np.where(finite & (_BINADE >= -1), ulps, 0.0)
    most, widest = int(normal.argmax()), int(np.where(finite, error, 0.0).argmax())
    a_ulp = float(large.max())
    b_abs = float(np.where(finite & (_BINADE < -1), error - a_ulp * unit, 0.0).max())

    def named(bits: Any) -> str:
        return f"0x{int(bits):0{2 * fmt.dtype.itemsize}x}"

    return {
        "max_ulp": float(normal.ravel()[most]),
        "max_ulp_at": named(table.at[most]),
        "max_abs": float(table.error[widest]),
        "max_abs_at": named(table.at[widest]),
        "a_ulp": a_ulp,
        "a_ulp_at": named(table.at[int(large.argmax())]),
        "b_abs": max(0.0, b_abs),
        "not_finite_at": [named(bits) for bits in at[~finite]],
        "positive": runs(ulps[0], seen[0]),
        "negative": runs(ulps[1], seen[1]),
    }


def ulps_of(table: Table, fmt: Format) -> F64:
    """Return the errors of a table in units in the last place, rounded up, by sign and binade."""
    ulps: F64 = np.vectorize(round_up)(table.error.reshape(2, BINADES) / _unit(fmt))
    return ulps


def _unit(fmt: Format) -> F64:
    unit: F64 = np.ldexp(1.0, np.maximum(_BINADE, fmt.lowest) - fmt.digits)
    return unit


def round_up(value: float) -> float:
    """Return the next number of four significant digits; infinity stays."""
    if value == 0.0 or not np.isfinite(value):
        return float(value)
    step = 10.0 ** (np.floor(np.log10(value)) - 3)
    return float(f"{np.ceil(value / step) * step:.6g}")


def runs(ulps: F64, seen: Any) -> list[list[float | None]]:
    """Return [first binade, last binade, ULPs] of each run of equal numbers; None: not finite."""
    found: list[list[float | None]] = []
    for binade, value in zip(_BINADE[seen].tolist(), ulps[seen].tolist(), strict=True):
        ulp = value if np.isfinite(value) else None
        if found and found[-1][2] == ulp and found[-1][1] == binade - 1:
            found[-1][1] = binade
        else:
            found.append([binade, binade, ulp])
    return found


def sample_missed(sample: dict[str, Any], full: dict[str, Any], fmt: Format) -> float:
    """Return the largest factor between the envelope of all inputs and that of a sample.

    What flushing to zero loses is left out: the smallest binade holds it in every sample.
    """
    worst = 1.0
    for side in ("positive", "negative"):
        for kernel in full["kernels"]:
            seen = [
                sampled_by_row(other[side], fmt)
                for other in sample["kernels"]
                if set(other["modes"]) & set(kernel["modes"])
            ]
            low = np.min(seen, axis=0)
            high = np.maximum.accumulate(errors_by_row(kernel[side], fmt))
            told = np.isfinite(high) & (high > 2.0 * fmt.tiny)
            worst = max(worst, float((high[told] / low[told]).max(initial=1.0)))
    return round_up(worst)
