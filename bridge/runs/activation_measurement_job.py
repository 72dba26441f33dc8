"""Measures activation kernels in a process of the run's kind, in seconds.

Every way in which a kernel is reached is tried: eagerly, in a graph, compiled, behind a matrix
product with which it may be fused, and on tensors that are shorter than a vector. In a short type
all finite numbers are tried. In float32 the ends come first, what is subnormal, next to zero, next
to powers of two and at the ends of the range, then 4,096 significands of every exponent: as many
as in the samples whose factor against all numbers is known (``sample_missed`` of
:mod:`bridge.rounding.rules.models`), so that the factor holds of these as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge.capsule import Environment, KernelErrors
from bridge.process import job_setup
from bridge.process.jobs import Context
from bridge.rounding.installation import Installation, installation_of
from bridge.rounding.rules.models import BINADES
from bridge.rounding.rules.rounding import FLOAT32, FORMATS, Format
from bridge.runs.activation_kernels import Array, Subject, modes_of, short_mode, subjects
from bridge.runs.activation_tables import Bits, Table, row_of, runs, summarize, ulps_of
from bridge.trace.encoder import Data
from bridge.trace.spool import SpoolWriter

#: Elements of one call.
_CHUNK: Final = 1 << 17


def run(_context: Context, params: dict[str, Any]) -> None:
    """Write a ``kernel`` event for each of ``params["kernels"]`` that exists."""
    spool = SpoolWriter(Path(params["spool"]))
    os.chdir(params["workdir"])
    spool.event("environment", environment=job_setup.describe_environment())
    for name, dtype in params["kernels"]:
        found = measure_here(name, dtype)
        if found is not None:
            spool.event("kernel", found=found.model_dump(mode="json"))
    spool.event("end")


def measure_here(name: str, dtype: str) -> KernelErrors | None:
    """Measure an activation in a type in this process; None if it has no kernel for the type."""
    import tensorflow as tf

    try:
        found = measure(_subjects()[name], FORMATS[dtype])
    except (tf.errors.OpError, TypeError, ValueError):
        return None
    return KernelErrors.model_validate(found, strict=False)


def installation_here() -> Installation:
    """Return the installation that this process runs on."""
    found = Environment.model_validate(job_setup.describe_environment(), strict=False)
    return installation_of(found)


@lru_cache(maxsize=1)
def _subjects() -> dict[str, Subject]:
    return subjects()


def measure(subject: Subject, fmt: Format) -> Data:
    """Return the largest errors of an activation's kernels in a type, over all ways to them."""
    table = Table()
    modes = modes_of(subject, scalar=False, fmt=fmt, size=_CHUNK if fmt.name == FLOAT32.name
                     else numbers(fmt).size)  # fmt: skip
    plain = subject.keras2 or subject.keras3
    assert plain is not None
    modes["short"] = short_mode(plain, fmt)
    for bits in chunks(fmt):
        x = bits.view(fmt.dtype)
        true = subject.form(x.astype(np.float64))
        rows = row_of(true)
        seen: list[Array] = []
        for mode in modes.values():
            y = np.ascontiguousarray(mode(x))
            raw = y.view(bits.dtype)
            if not any(np.array_equal(raw, other) for other in seen):
                seen.append(raw)
                table.take(summarize(bits, true, rows, y, fmt))
    ulps = ulps_of(table, fmt)
    there = table.seen.reshape(2, BINADES)
    return {
        "activation": subject.name,
        "dtype": fmt.name,
        "exhaustive": fmt.name != FLOAT32.name,
        "positive": runs(ulps[0], there[0]),
        "negative": runs(ulps[1], there[1]),
    }


def chunks(fmt: Format) -> Iterator[Bits]:
    """Yield the inputs as bits, as many at a time as one call takes."""
    if fmt.name != FLOAT32.name:
        yield numbers(fmt)
        return
    everything = np.concatenate((ends(), sample()))
    for start in range(0, everything.size, _CHUNK):
        part = everything[start : start + _CHUNK]
        yield np.concatenate((part, np.repeat(part[-1:], _CHUNK - part.size)))


def numbers(fmt: Format) -> Bits:
    """Return all finite numbers of a short type."""
    sign = 1 << (8 * fmt.dtype.itemsize - 1)
    finite = int(np.array([np.inf], fmt.dtype).view(f"u{fmt.dtype.itemsize}")[0])
    both = (np.arange(finite), np.arange(sign, sign + finite))
    bits: Bits = np.concatenate(both).astype(f"u{fmt.dtype.itemsize}")
    return bits


def ends() -> Bits:
    """Return float32 numbers on both sides of zero, of every power of two and of the range."""
    near = np.arange(-8, 9)
    powers = (np.arange(256) << 23)[:, None] + near
    found = np.unique(np.clip(powers, 0, 0x7F7FFFFF)).astype(np.uint32)
    return np.concatenate((found, found | np.uint32(1 << 31)))


@lru_cache(maxsize=1)
def sample() -> Bits:
    """Return 4,096 float32 significands of each exponent: evenly spread, the ends among them."""
    spread = np.arange(4096, dtype=np.uint32) << np.uint32(11)
    low = np.random.default_rng(1).integers(0, 2048, (255, 4096), dtype=np.uint32)
    low[:, 0] = 0
    low[:, -1] = 2047
    finite = (np.arange(255, dtype=np.uint32)[:, None] << np.uint32(23)) | (spread + low)
    both: Bits = np.concatenate((finite.ravel(), finite.ravel() | np.uint32(1 << 31)))
    return both
