"""Words joined as people write them, and values as R writes them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence


def listed(words: Sequence[str], nothing: str = "") -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``, or ``nothing``."""
    if len(words) < 2:
        return words[0] if words else nothing
    return f"{', '.join(words[:-1])} and {words[-1]}"


def capitalised(text: str) -> str:
    """Return ``text`` as a sentence begins; a name of code that comes first stays as it is."""
    is_code = not set("()[]_$=").isdisjoint(text.partition(" ")[0])
    return text if is_code else f"{text[:1].upper()}{text[1:]}"


def plural(number: int, noun: str, many: str = "") -> str:
    """Return ``1 case`` or ``2,000 cases``."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def fenced(text: str, language: str = "") -> str:
    """Return ``text`` as a fenced block of Markdown whose fence is longer than any fence within."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    inside = text.rstrip("\n")
    return f"{fence}{language}\n{inside}\n{fence}"


def r_number(value: float | int | bool) -> str:
    """Return a number as R writes it: whole ones are integers where R has them."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return f"{value}L" if abs(value) < 2**31 else repr(value)
    if math.isnan(value):
        return "NaN"
    return repr(value) if math.isfinite(value) else ("Inf" if value > 0 else "-Inf")
