"""How numbers are printed.

Three rules. A value is printed so that reading it back gives the same float64. A magnitude is
printed with few digits, but a number that is not 0 never looks like 0, and a ratio on one side of
1 never looks as if it stood on the other. Nothing is ever averaged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

#: Printed where there is no number.
NONE: Final = "\N{EN DASH}"


@dataclass(frozen=True)
class PrintedNumber:
    """A number of ``report.json`` as it is printed, with ``value``, its spelling there."""

    text: str
    value: str

    def __str__(self) -> str:
        """Return the printed form."""
        return self.text

    def __bool__(self) -> bool:
        """Say whether the number is other than 0; no number counts as 0."""
        return self.value not in ("", "0", "0.0", "-0.0")

    def __html__(self) -> str:
        """Return the printed form with the full number beside it, for HTML."""
        if not self.value:
            return self.text
        if self.value == self.text:
            return Markup('<data value="{0}">{0}</data>').format(self.value)
        return Markup('<data value="{0}" title="{0}">{1}</data>').format(self.value, self.text)


def spelled(value: float) -> str:
    """Return ``value`` as ``report.json`` spells it: shortest form, or a word if not finite."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


def exact(value: float | None) -> PrintedNumber:
    """Return ``value`` in the shortest form that reads back as the same float64.

    A float32 is printed as the float64 that it is (0.10000000149011612), because the shorter 0.1
    would hide that it differs from a float64 of 0.1.
    """
    if value is None:
        return PrintedNumber(NONE, "")
    text = _not_finite(value) or repr(value)
    return PrintedNumber(text.removesuffix(".0"), spelled(value))


def magnitude(value: float | None) -> PrintedNumber:
    """Return ``value`` with three significant digits."""
    if value is None:
        return PrintedNumber(NONE, "")
    return PrintedNumber(_not_finite(value) or f"{value:.3g}", spelled(value))


def ratio(value: float | None) -> PrintedNumber:
    """Return ``value`` with as many digits as show on which side of 1 it is, at least three."""
    if value is None:
        return PrintedNumber(NONE, "")
    text = _not_finite(value)
    if text is None:
        for digits in range(3, 18):
            text = f"{value:.{digits}g}"
            if (float(text) == 1) == (value == 1):
                break
    return PrintedNumber(text or "", spelled(value))


def ulp(value: float | None) -> PrintedNumber:
    """Return a gap in units in the last place: an integer if it is one, else three digits."""
    if value is None:
        return PrintedNumber(NONE, "")
    text = _not_finite(value)
    if text is None:
        if value == int(value) and abs(value) < 1e15:
            text = f"{int(value):,}"
        elif float(f"{value:.3g}") == value:
            text = f"{value:.3g}"
        else:
            # The trailing zeros of 2.00 say that the gap is not exactly 2.
            text = f"{value:.1f}" if 100 <= abs(value) < 1e6 else f"{value:#.3g}"
    return PrintedNumber(text, spelled(value))


def count(value: int | None) -> PrintedNumber:
    """Return a count with its thousands apart."""
    if value is None:
        return PrintedNumber(NONE, "")
    return PrintedNumber(f"{value:,}", str(value))


def seconds(value: float) -> PrintedNumber:
    """Return a duration in seconds."""
    return PrintedNumber(f"{magnitude(value)} s", spelled(value))


def mebibytes(value: float) -> PrintedNumber:
    """Return a size in MiB, or nothing where none was measured."""
    if not value:
        return PrintedNumber(NONE, "")
    text = f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
    return PrintedNumber(f"{text} MiB", spelled(value))


def _not_finite(value: float) -> str | None:
    """Return R's word for a number that is not finite."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return None
