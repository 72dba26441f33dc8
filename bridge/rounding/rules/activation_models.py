"""The measured error of an activation's kernels, and which of them a model rests on."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np
from pydantic import JsonValue

from bridge._typing import F64
from bridge.capsule import ModelState
from bridge.facts.keras import ALIASES
from bridge.rounding.measurements import Kernels, dtype_of, installations_of, read
from bridge.rounding.rules.rounding import FLOAT32, FORMATS, Format

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
    if any((kernel.activation, kernel.dtype) == (activation, dtype) for kernel in kernels.measured):
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
        _Errors.of(kernel.positive, kernel.negative, fmt, exhaustive=kernel.exhaustive)
        for kernel in kernels.measured
        if (kernel.activation, kernel.dtype) == (activation, dtype)
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
    versions = {
        name: environment["tensorflow"] for name, environment in data["environments"].items()
    }
    seen: dict[tuple[str, str], set[str]] = {}
    for measurement in data["measurements"]:
        key = measurement["activation"], dtype_of(measurement)
        seen.setdefault(key, set()).add(versions[measurement["environment"]])
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
            exhaustive=measurement["coverage"] == "exhaustive",
        )
        for measurement in read()["measurements"]
        if (measurement["activation"], dtype_of(measurement)) == (activation, dtype)
        for kernel in measurement["kernels"]
    )


@lru_cache(maxsize=1)
def _factors() -> dict[str, float]:
    """Return by how much samples of each activation were too small, where everything was tried."""
    missed: dict[str, float] = {}
    for measurement in read()["measurements"]:
        if "sample_missed" in measurement:
            name = measurement["activation"]
            missed[name] = max(missed.get(name, 1.0), measurement["sample_missed"])
    return missed


def _sample_factor(activation: str) -> float:
    factors = _factors()
    return factors.get(activation, max(factors.values(), default=1.0))


def _combine(
    measured: Sequence[_Errors], fmt: Format, versions: tuple[str, ...], factor: float
) -> ErrorModel:
    largest = np.max([kernel.rows for kernel in measured], axis=0)
    sampled = [kernel.rows for kernel in measured if not kernel.exhaustive]
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


# Which measured kernels the bounds of a model may rest on, read from its configuration.

#: Names of a configuration that stand for kernels of other names.
_STANDS_FOR: Final = {
    **{name: (kernel,) for name, kernel in ALIASES.items()},
    "gelu": ("gelu", "gelu_tanh"),
    "hard_sigmoid": ("hard_sigmoid_2", "hard_sigmoid_3"),
    "softmax": ("softmax_pair",),
    "log_softmax": ("softmax_pair", "log"),
}
#: Functions whose errors are derived from the operations that they do (:mod:`.families`).
_DERIVED: Final = frozenset(
    {"leaky_relu", "prelu", "hard_shrink", "soft_shrink", "squareplus", "threshold",
     "thresholded_relu"}
)  # fmt: skip


def measured_kernels(states: Iterable[ModelState]) -> tuple[tuple[str, str], ...]:
    """Return the kernels that the layers of models may run, as (activation, type), in order."""
    found: set[tuple[str, str]] = set()
    for state in states:
        layers = (value for layer in state.layers for value in (layer.cls, layer.config))
        found |= set(kernels_of([state.config, *layers]))
    return tuple(sorted(found))


def kernels_of(configs: Iterable[JsonValue]) -> tuple[tuple[str, str], ...]:
    """Return the kernels that classes and configurations speak of, as (activation, type), in order.

    Whatever in a configuration is spelled like an activation counts as one: the name of a function,
    of a layer or of an operation. What is named too much costs a measurement, and nothing else.
    """
    words = {word for config in configs for word in _words(config)}
    types = {word.removeprefix("mixed_") for word in words} & set(FORMATS)
    names = {name for word in words for name in _kernels(word.rpartition(".")[2])}
    # A short type's fused kernels compute in float32.
    return tuple(sorted((name, dtype) for name in names for dtype in types | {FLOAT32.name}))


def _words(config: JsonValue) -> Iterator[str]:
    """Yield every text of a configuration, at any depth."""
    if isinstance(config, str):
        yield config
    elif isinstance(config, list):
        for item in config:
            yield from _words(item)
    elif isinstance(config, dict):
        for item in config.values():
            yield from _words(item)


def _kernels(word: str) -> tuple[str, ...]:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).lower()
    if snake in _STANDS_FOR:
        return _STANDS_FOR[snake]
    return (snake,) if snake in _measured() else ()


@lru_cache(maxsize=1)
def _measured() -> frozenset[str]:
    known = {measurement["activation"] for measurement in read()["measurements"]}
    return frozenset(known - COMPARING - _DERIVED - {"log"})
