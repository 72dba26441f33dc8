"""The numbers and words that two runs printed, set side by side by the lines of the script."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from bridge.capsule import Capsule

_NUMBER: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|NaN|Inf|-Inf")
#: What stands between values and ends no number: "a 8; b 4".
_BETWEEN: Final = re.compile(r"[;,:]+(?=\s|$)")
#: The number in a name that Keras makes up: it counts what was made before, "dense_2".
_MADE_UP: Final = re.compile(r"(?<=[a-z\d])_\d+\b")
_HEADING: Final = re.compile(r"\[\d*,\d*\]|\[\d+\]|\[\[\d+\]\]|^\s*,\s,.*$", re.MULTILINE)


def parted_lines(r: Capsule, partner: Capsule) -> frozenset[int]:
    """Return the lines of the script that print something else in the other run."""
    mine, theirs = numbers_by_line(r), numbers_by_line(partner)
    words, their_words = _words_by_line(r), _words_by_line(partner)
    found = set()
    for line in {**mine, **words}:
        numbers, two = mine.get(line, []), theirs.get(line, [])
        # What R prints beside a value, as names of columns, the other does not.
        both_say = bool(words.get(line)) and bool(their_words.get(line))
        unlike = two and not _prints_all(numbers, two)
        if unlike or (both_say and words[line] != their_words[line]):
            found.add(line)
    return frozenset(found)


def printed_alike(r: Capsule, partner: Capsule) -> int:
    """Return how many numbers both runs print alike, 0 if any line parts."""
    if parted_lines(r, partner):
        return 0
    mine, theirs = numbers_by_line(r), numbers_by_line(partner)
    return sum(len(theirs[line]) for line in mine if line in theirs)


def _prints_all(texts: Sequence[str], values: Sequence[str]) -> bool:
    """Say whether R's print may be of all the values, in order: rows and columns have labels."""
    if len(texts) == len(values):
        return all(_prints_as(text, value) for text, value in zip(texts, values, strict=True))
    left = iter(texts)
    return all(any(_prints_as(text, value) for text in left) for value in values)


def numbers_by_line(run: Capsule) -> dict[int, list[str]]:
    """Return the numbers that a run printed, as text, by the line that printed them."""
    found: dict[int, list[str]] = defaultdict(list)
    for output in run.manifest.output:
        if output.stream == "stdout" and output.line is not None:
            text = _HEADING.sub(" ", output.text) if run.manifest.runner == "r" else output.text
            # R prints texts in quotes.
            words = _BETWEEN.sub(" ", text.replace('"', " ")).split()
            found[output.line] += [word for word in words if _NUMBER.fullmatch(word)]
    return found


def _words_by_line(run: Capsule) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for output in run.manifest.output:
        if output.stream == "stdout" and output.line is not None:
            text = _BETWEEN.sub(" ", _HEADING.sub(" ", output.text).replace('"', " "))
            words = [word for word in text.split() if not _NUMBER.fullmatch(word)]
            found[output.line] += [_MADE_UP.sub("", word) for word in words]
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
