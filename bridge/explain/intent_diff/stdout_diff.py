"""What two runs printed, line by line: whether R's text can be what the other run computed.

R prints the nearest number with the digits that it shows, so a printed number and a value agree
where they are apart by no more than half a unit of the last digit. Words are only compared where
both runs print some. Nothing is concluded from a print alone: R's layout is not ours.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from typing import Final

from bridge.capsule import Capsule

_NUMBER: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|NaN|Inf|-Inf")
_HEADING: Final = re.compile(r"\[\d*,\d*\]|\[\d+\]|\[\[\d+\]\]|^\s*,\s,.*$", re.MULTILINE)


def parted_lines(r: Capsule, other: Capsule) -> frozenset[int]:
    """Return the lines of the script that print something else in the other run."""
    mine, theirs = numbers_by_line(r), numbers_by_line(other)
    words, their_words = _words_by_line(r), _words_by_line(other)
    found = set()
    for line in {**mine, **words}:
        one, two = mine.get(line, []), theirs.get(line, [])
        both_say = line in words and line in their_words
        unlike = two and (
            len(one) != len(two)
            or not all(_prints_as(text, value) for text, value in zip(one, two, strict=True))
        )
        if unlike or (both_say and words[line] != their_words[line]):
            found.add(line)
    return frozenset(found)


def numbers_by_line(run: Capsule) -> dict[int, list[str]]:
    """Return the numbers that a run printed, as text, by the line that printed them."""
    found: dict[int, list[str]] = defaultdict(list)
    for each in run.manifest.output:
        if each.stream == "stdout" and each.line is not None:
            text = _HEADING.sub(" ", each.text) if run.manifest.runner == "r" else each.text
            found[each.line] += [word for word in text.split() if _NUMBER.fullmatch(word)]
    return found


def _words_by_line(run: Capsule) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for each in run.manifest.output:
        if each.stream == "stdout" and each.line is not None:
            text = _HEADING.sub(" ", each.text).replace('"', " ")
            found[each.line] += [w for w in text.split() if not _NUMBER.fullmatch(w)]
    return found


def _prints_as(text: str, value: str) -> bool:
    """Say whether ``text`` may be R's print of ``value``: they agree in the digits that are there.

    Half a unit of the last digit, and what writing both as doubles may add to that.
    """
    x, y = float(text.replace("Inf", "inf")), float(value.replace("Inf", "inf"))
    if x == y or (math.isnan(x) and math.isnan(y)):
        return True
    if not (math.isfinite(x) and math.isfinite(y)):
        return False
    mantissa, _, power = text.lower().partition("e")
    digits = len(mantissa.partition(".")[2])
    half = 0.5 * 10.0 ** (-digits + int(power or 0))
    return abs(x - y) <= half + math.ulp(x) + math.ulp(y)
