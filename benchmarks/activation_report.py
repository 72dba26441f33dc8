"""Writes what was measured of the activations as a table for people: benchmarks/ACTIVATIONS.md.

    python benchmarks/activation_report.py

``make bench-activations`` runs it after the measurement.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bridge.rounding.measurements import (  # noqa: E402
    dtype_of,
    installation_of_record,
)
from bridge.rounding.rules.rounding import FORMATS, Format  # noqa: E402

SOURCE: Final = ROOT / "bridge" / "rounding" / "data" / "activations.json"
OUT: Final = ROOT / "benchmarks" / "ACTIVATIONS.md"

_HEAD: Final = """# How far TensorFlow's activations are from their functions

Written by `make bench-activations` from `bridge/rounding/data/activations.json`, which holds the
same by binade. Every result of a kernel is compared with the function in float64.

- *ulp*: the largest error where |f| >= 1/2, in units in the last place, and the input that reaches
  it;
- *+ abs*: what remains below that, as an absolute error;
- *worst ulp*: the largest error for any result that is a normal number, and its input. It is about
  2^23 (2^10, 2^7) where a small result is flushed to zero or lost to cancellation;
- *lost*: inputs at which the result is NaN or infinity although f is a number;
- *NaN*: what becomes of NaN; *subnormal*: whether a subnormal argument counts or is read as zero;
- *inputs*: "all" are all finite numbers of the type, a "sample" 4,096 of every exponent.

The modes are explained in `benchmarks/activations.py`.
"""
_COLUMNS: Final = (
    "activation", "modes", "ulp", "at", "+ abs", "worst ulp", "at", "lost", "NaN", "subnormal",
    "inputs",
)  # fmt: skip


def number(bits: str, fmt: Format) -> str:
    """Return the number that bits in hexadecimal notation are."""
    whole = np.array([int(bits, 16)], f"u{fmt.dtype.itemsize}")
    return f"{float(whole.view(fmt.dtype)[0]):.9g}"


def subnormal(kernel: dict[str, Any], fmt: Format) -> str:
    """Say what a kernel makes of the largest subnormal number: read as zero, or what it is."""
    below = float(np.nextafter(np.array(fmt.tiny, fmt.dtype), np.array(0, fmt.dtype)))
    found = kernel["special"].get(str(float(f"{below:.9g}")))
    zero = kernel["special"]["0.0"]
    if found is None:
        return ""
    return "as zero" if float(found) == float(zero) else "counts"


def rows(data: dict[str, Any], place: str, dtype: str) -> Iterator[list[str]]:
    """Yield the rows of one table."""
    fmt = FORMATS[dtype]
    for record in data["measurements"]:
        if record["environment"] != place or dtype_of(record) != dtype:
            continue
        for kernel in record["kernels"]:
            at = kernel.get("a_ulp_at")
            lost = [number(bits, fmt) for bits in kernel["not_finite_at"]]
            yield [
                record["activation"],
                ", ".join(kernel["modes"]),
                f"{kernel['a_ulp']:g}",
                number(at, fmt) if at else "",
                f"{kernel['b_abs']:.2g}",
                f"{kernel['max_ulp']:g}",
                number(kernel["max_ulp_at"], fmt),
                ", ".join(lost[:2]) + (" ..." if len(lost) > 2 else ""),
                kernel["special"]["nan"],
                subnormal(kernel, fmt),
                "all" if record["coverage"] == "exhaustive" else "sample",
            ]


def main() -> None:
    """Write the tables, one for each environment and type."""
    data = json.loads(SOURCE.read_text())
    parts = [_HEAD]
    for place, about in data["environments"].items():
        where = installation_of_record(about)
        for dtype in FORMATS:
            found = [f"| {' | '.join(row)} |" for row in rows(data, place, dtype)]
            if found:
                parts += [
                    f"\n## {dtype}, {where.sentence}\n",
                    f"| {' | '.join(_COLUMNS)} |",
                    f"|{' --- |' * len(_COLUMNS)}",
                    *found,
                ]
    OUT.write_text("\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
