"""The measured errors of activation kernels, read a second time from the file that holds them.

Every record lists, for each sign and binade [2^k, 2^(k+1)) of the true value, the largest error in
units in the last place that was seen there, as runs [first k, last k, units]; no number of units
means that a kernel returned NaN or infinity. A layer may have been computed by any of the recorded
kernels. A record that is not exhaustive has missed inputs, so that the errors that it saw for
smaller values count for larger ones too, and the units that it saw for larger ones for smaller.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge.certify.exact import F64, Ints
from bridge.certify.kinds import KINDS, Kind

#: Read as a file: the package that it lies in is not to be imported.
_FILE: Final = Path(__file__).parent.parent / "compare" / "data" / "activations.json"
#: The binades of the file: -127 stands for everything below the normal numbers of float32.
_LOWEST, _HIGHEST = -127, 128
_COUNT: Final = _HIGHEST - _LOWEST + 1
_BINADES: Final = range(_LOWEST, _HIGHEST + 1)
#: How far an end of an image may be off before a power of two is missed: more than forms err.
_MARGIN: Final = 2.0**-38


@dataclass(frozen=True)
class Errors:
    """The largest error of a kernel for true values in each binade, from -2^129 to 2^129.

    ``rows`` has one entry for each binade: the negative ones from the largest magnitude down, then
    the positive ones up.
    """

    rows: F64

    def between(self, low: F64, high: F64) -> F64:
        """Return the largest error where the true value is between ``low`` and ``high``."""
        with np.errstate(all="ignore"):
            low, high = low - _MARGIN * np.abs(low), high + _MARGIN * np.abs(high)
        first = np.where(low <= 0.0, _COUNT - 1 - _binade(low), _COUNT + _binade(low))
        last = np.where(high < 0.0, _COUNT - 1 - _binade(high), _COUNT + _binade(high))
        pairs, which = np.unique(np.stack([first, last]), axis=1, return_inverse=True)
        most = [self.rows[a : max(a, b) + 1].max() for a, b in pairs.T.tolist()]
        return np.asarray(np.array(most, np.float64)[which.ravel()])

    @property
    def above_zero(self) -> F64:
        """The errors of positive values, from the smallest binade up."""
        return self.rows[_COUNT:]


def relative(errors: Errors, kind: Kind) -> tuple[float, float]:
    """Return r and t such that every error of a positive value f is at most r f + t.

    t covers the binades in which as much as half of a value may be lost, r what is more than that.
    """
    binades = np.arange(_LOWEST, _HIGHEST + 1)
    value, above = np.ldexp(1.0, binades), errors.above_zero
    lost = (above >= value / 2.0) | (binades < kind.lowest)
    t = float(above[lost].max(initial=0.0))
    return float(((above[~lost] - t) / value[~lost]).max(initial=0.0)), t


def errors_of(activation: str, kind: Kind) -> Errors | None:
    """Return the errors of an activation's kernels in a type; None if they were not measured."""
    found = _read().get((activation, kind.name))
    if found is None:
        return None
    rows = [found.rows]
    for each in kind.kernels:
        if (each.activation, each.dtype) == (activation, kind.name):
            kernel = {"positive": each.positive, "negative": each.negative}
            rows.append(_rows(kernel, kind, exhaustive=each.exhaustive))
    return Errors(np.max(rows, axis=0))


def flushing(errors: Errors, kind: Kind) -> Errors:
    """Return the errors of kernels that may take subnormal numbers for zero besides."""
    whole = 2.0 ** (np.arange(_LOWEST, _HIGHEST + 1) + 1.0)
    lost = np.where(whole <= kind.tiny, whole, 0.0)
    return Errors(np.maximum(errors.rows, np.concatenate([lost[::-1], lost])))


def digest(activation: str, dtype: str) -> str:
    """Return some digits that change with the measured errors of an activation; "" for none."""
    found = _read().get((activation, dtype))
    return "" if found is None else hashlib.sha256(found.rows.tobytes()).hexdigest()[:16]


def _binade(values: F64) -> Ints:
    _, exponent = np.frexp(np.where(np.isfinite(values), values, np.finfo(np.float64).max))
    exponent = np.where(values == 0.0, _LOWEST, exponent - 1)
    return np.asarray(np.clip(exponent, _LOWEST, _HIGHEST) - _LOWEST, np.int64)


@lru_cache(maxsize=1)
def _read() -> dict[tuple[str, str], Errors]:
    found: dict[tuple[str, str], F64] = defaultdict(lambda: np.zeros(2 * _COUNT))
    for record in json.loads(_FILE.read_text("utf-8"))["measurements"]:
        kind = KINDS.get(record.get("dtype", "float32"))
        if kind is None:
            continue
        key, exhaustive = (record["activation"], kind.name), record["coverage"] == "exhaustive"
        for kernel in record["kernels"]:
            found[key] = np.maximum(found[key], _rows(kernel, kind, exhaustive=exhaustive))
    return {name: Errors(rows) for name, rows in found.items()}


def _rows(kernel: Mapping[str, Any], kind: Kind, *, exhaustive: bool) -> F64:
    """Return the errors of one kernel, the negative values first."""
    sides = []
    for name in ("negative", "positive"):
        errors = _errors(kernel[name], kind)
        if not exhaustive:
            seen = np.where(np.isfinite(errors), errors, 0.0)
            units = np.array([_unit(binade, kind) for binade in _BINADES])
            seen = np.maximum.accumulate((seen / units)[::-1])[::-1] * units
            errors = np.maximum(errors, np.maximum.accumulate(seen))
        sides.append(errors)
    return np.concatenate([sides[0][::-1], sides[1]])


def _errors(runs: Sequence[Sequence[Any]], kind: Kind) -> F64:
    errors = np.zeros(_COUNT)
    for first, last, units in runs:
        for binade in range(first, last + 1):
            errors[binade - _LOWEST] = np.inf if units is None else units * _unit(binade, kind)
    return errors


def _unit(binade: int, kind: Kind) -> float:
    return float(2.0 ** (max(binade, kind.lowest) - kind.bits))
