"""Error models of activation kernels, as they were measured.

``data/activations.json`` is written by ``benchmarks/activations.py``. It holds, for every kernel
(an activation, the ways that reach it, a version of TensorFlow, a class of processors), sign and
binade [2^k, 2^(k+1)) of the true value f(z), the largest |y - f(z)| over the inputs z that were
tried: all finite float32 numbers ("exhaustive"), or 4,096 significands of every exponent
("stratified"; all that can be done for kernels that only see a few numbers at a time).

A sample misses the worst input. How far it does is measured as well, where everything was tried:
``sample_missed`` is the largest factor between the envelope of all inputs and that of the sample.
Inside a bound that rests on a sample is inside the true bound; outside, the factor says how far
outside the true bound may still lie.

A layer may have been executed by any of an activation's kernels, so the model used is the largest
error over all of them. It is looked up as an envelope: the largest error over all binades from
zero up to that of the given magnitude. Whichever float32 z an interval of arguments contains, the
error at z is then covered, because f(z) lies between the ends of the interval's image.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import numpy as np

from bridge.compare.rules.erfc import F64

#: Binades from k = -127, which stands for everything below 2^-126, to k = 128, which stands for
#: everything that float32 cannot hold.
FIRST_BINADE: Final = -127
BINADES: Final = 256


@dataclass(frozen=True)
class ErrorModel:
    """Envelopes of the absolute error for true values above and below zero, by binade.

    ``relative`` is (r, t) such that every error above zero is at most r f + t: t covers the
    binades in which a result can be lost whole, r the others. ``missed`` is 1 if every kernel was
    measured exhaustively, else the factor by which a sample may be too small; ``versions`` are
    those of TensorFlow that were measured.
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
        above = np.where(high >= 0.0, self.positive[row(np.maximum(high, 0.0))], 0.0)
        below = np.where(low <= 0.0, self.negative[row(np.maximum(-low, 0.0))], 0.0)
        return np.maximum(above, below)


def row(magnitude: F64) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the row of the table for each magnitude (>= 0); NaN goes to the last."""
    raw = np.ascontiguousarray(magnitude, np.float64).view(np.int64)
    found = np.clip(((raw >> 52) & 0x7FF) - 1023 - FIRST_BINADE, 0, BINADES - 1)
    return found.reshape(np.shape(magnitude))


def model_of(activation: str) -> ErrorModel | None:
    """Return the error model of an activation, or None if it was never measured."""
    return _models().get(activation)


@lru_cache(maxsize=1)
def _models() -> dict[str, ErrorModel]:
    text = files("bridge.compare").joinpath("data", "activations.json").read_text("utf-8")
    data = json.loads(text)
    by_name: dict[str, list[dict[str, Any]]] = {}
    for record in data["measurements"]:
        by_name.setdefault(record["activation"], []).append(record)
    missed = max((each.get("sample_missed", 1.0) for each in data["measurements"]), default=1.0)
    versions = {name: each["tensorflow"] for name, each in data["environments"].items()}
    return {name: _combine(records, versions, missed) for name, records in by_name.items()}


def _combine(records: list[dict[str, Any]], versions: dict[str, str], missed: float) -> ErrorModel:
    envelopes = np.zeros((2, BINADES))
    covered: dict[tuple[str, str], bool] = {}
    for record in records:
        for kernel in record["kernels"]:
            for mode in kernel["modes"]:
                key = (record["environment"], mode)
                exhaustive = record["coverage"] == "exhaustive"
                covered[key] = covered.get(key, False) or exhaustive
            for side, name in enumerate(("positive", "negative")):
                envelopes[side] = np.maximum(envelopes[side], errors_by_row(kernel[name]))
    relative = _relative(envelopes[0])
    np.maximum.accumulate(envelopes, axis=1, out=envelopes)
    return ErrorModel(
        envelopes[0],
        envelopes[1],
        relative,
        1.0 if all(covered.values()) else missed,
        tuple(sorted({versions[record["environment"]] for record in records})),
    )


def _relative(errors: F64) -> tuple[float, float]:
    value = np.ldexp(1.0, np.arange(BINADES) + FIRST_BINADE)
    lost = errors >= 0.5 * value
    return float(np.where(lost, 0.0, errors / value).max()), float(
        np.where(lost, errors, 0.0).max()
    )


def errors_by_row(runs: list[list[float | None]]) -> F64:
    """Return the absolute error by row, from the file's runs of [first binade, last, ULPs]."""
    errors = np.zeros(BINADES)
    for first, last, ulps in runs:
        assert first is not None
        assert last is not None
        binades = np.arange(int(first), int(last) + 1)
        unit = np.ldexp(1.0, np.maximum(binades, -126) - 23)
        errors[binades - FIRST_BINADE] = np.inf if ulps is None else ulps * unit
    return errors
