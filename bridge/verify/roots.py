"""The relative error of reciprocal square roots in kernels, read a second time from its sources.

Processors estimate 1 / sqrt(s) with a relative error of at most e = 1.5 2^-12 (Intel 64 and IA-32
Architectures Software Developer's Manual, RSQRTPS). A step of Newton's method,
r - r (s r^2 - 1) / 2, leaves 3/2 e^2 + e^3 / 2; half of two rounded products and a rounded sum are
2 u more, and what is rounded besides is of the order of e u. Where a kernel was measured to be
worse, that counts.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Final

from bridge.verify.exact import UPWARDS
from bridge.verify.kinds import FLOAT32

_FILE: Final = Path(__file__).parent.parent / "compare" / "data" / "roots.json"
_ESTIMATE: Final = 1.5 * 2.0**-12


@lru_cache(maxsize=1)
def relative_error() -> float:
    """Return the largest relative error of a kernel's reciprocal square root."""
    newton = 1.5 * _ESTIMATE**2 * (1.0 + _ESTIMATE) + 2.0 * FLOAT32.u * (1.0 + 4.0 * _ESTIMATE)
    measured = [
        float(kernel["max_relative"])
        for record in json.loads(_FILE.read_text("utf-8"))["measurements"]
        for kernel in record["kernels"]
    ]
    return UPWARDS * max(newton, *measured)
