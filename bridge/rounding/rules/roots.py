"""Reciprocal square roots: how far a kernel's may be off, of an argument known up to an error.

TensorFlow's kernels take the processor's estimate and improve it by one step of Newton's method, so
they are not correctly rounded. ``data/roots.json``, written by ``benchmarks/roots.py``, holds the
largest relative error of every way in which a layer reaches the kernel. The estimates differ
between makers of processors, so a measurement on one of them is no bound for another. What all of
them promise is a relative error of at most e = 1.5 2^-12 (Intel 64 and IA-32 Architectures
Software Developer's Manual, RSQRTPS; AMD64 Architecture Programmer's Manual, volume 5). One step
r (1 - (s r^2 - 1) / 2) makes 3/2 e^2 (1 + e / 3) of it; without fused multiply-add, the two
products of s r^2 are rounded, of which half counts, and so is the last sum; the other roundings are
of the order of e u. The larger of both is taken.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Final

import numpy as np

from bridge._typing import F64
from bridge.rounding.rules.layer import Layer, UnsupportedError
from bridge.rounding.rules.rounding import TINY, UNIT

_ESTIMATE: Final = 1.5 * 2.0**-12
#: What one step of Newton's method makes of an estimate, with its own roundings.
NEWTON: Final = 1.5 * _ESTIMATE**2 * (1.0 + _ESTIMATE) + 2.0 * UNIT * (1.0 + 4.0 * _ESTIMATE)


def check_measured(layer: Layer) -> None:
    """Refuse a layer whose root was taken where none was measured.

    Raises:
        UnsupportedError: it may have run on something else than a CPU.
    """
    if set(layer.devices) != {"CPU"}:
        where = " or ".join(layer.devices) or "a device that was not recorded"
        raise UnsupportedError(f"it ran on {where}, whose square roots were never measured")


@lru_cache(maxsize=1)
def relative_error() -> float:
    """Return the largest relative error of a kernel's reciprocal square root of a normal number."""
    text = files("bridge.rounding").joinpath("data", "roots.json").read_text("utf-8")
    data = json.loads(text)
    return max(
        NEWTON,
        *(
            float(kernel["max_relative"])
            for record in data["measurements"]
            for kernel in record["kernels"]
        ),
    )


def reciprocal_root(s: F64, error: F64, more: float = 0.0) -> tuple[F64, F64]:
    """Return 1/sqrt(s) and its error, for an ``s`` that a kernel knows up to ``error``.

    The kernel's own may be larger by up to ``more`` besides. The error is infinite where s may be
    zero, negative or subnormal: kernels return NaN or infinity there.
    """
    with np.errstate(all="ignore"):
        root = 1.0 / np.sqrt(s)
        most = 1.0 / np.sqrt(np.where(s - error >= TINY, s - error, np.nan))
        least = 1.0 / np.sqrt(s + error + more)
        off = np.maximum(most - root, root - least) + (relative_error() + 2.0**-50) * most
        return root, np.where(np.isfinite(off), off, np.inf)
