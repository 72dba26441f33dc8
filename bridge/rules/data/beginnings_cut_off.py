"""Sequences are cut to a length, and what tells their classes apart was in the part cut off."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bridge.capsule import Call
from bridge.capsule.values import ArrayValue, Items, Scalar, Value
from bridge.rules.models import trainings
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, name_of, number

RULE = Rule("D20", "beginnings-cut-off", cause="user-script", explains=("M06", "M07", "D08", "T02"))
_OTHER: Final = {"pre": "post", "post": "pre"}
_CUT: Final = {"pre": "beginning", "post": "end"}
Sequences = list[tuple[float, ...]]


@dataclass(frozen=True)
class _Padded:
    """A call of pad_sequences: what it was given, the end that it cuts, and what it made."""

    call: Call
    given: Sequences
    length: int
    end: str
    made: npt.NDArray[Any]

    def cut(self, sequence: tuple[float, ...], end: str) -> tuple[float, ...]:
        """Return what is left of a sequence that is cut at an end."""
        return sequence[-self.length :] if end == "pre" else sequence[: self.length]


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find sequences of other classes that are the same once they are cut, or cut off their mark.

    Cut at the other end they stay apart; or one place tells all classes apart, and is cut off.
    """
    for padded in _padded(run):
        long = [n for n, sequence in enumerate(padded.given) if len(sequence) > padded.length]
        for training in trainings(run):
            x, y = training.x, training.y
            if not long or x is None or y is None or x.shape[1:] != padded.made.shape[1:]:
                continue
            labels = [np.asarray(row).tobytes() for row in y]
            alike = _alike(padded, x, labels)
            whole = np.array_equal(x, padded.made)
            marked = whole and not alike and _is_mark_lost(padded, labels)
            if not alike and not marked:
                continue
            cut = [tuple(map(float, padded.made[n])) for n in long]
            mixed = sum(row in alike for row in cut)
            part = _CUT[padded.end]
            yield RULE.finding(
                f"The {part} that tells the classes apart is cut off",
                f'truncating = "{padded.end}" cuts the {part} of sequences longer than maxlen. '
                + (
                    "Sequences that were not the same are then, and have other targets."
                    if alike
                    else "One place in it tells all classes apart, and no place that is left does."
                ),
                at=run.place(padded.call, "maxlen", "what is longer is cut"),
                also=(training.probe.line,),
                evidence=(
                    ("sequences", f"{len(padded.given):,}"),
                    ("longer than maxlen", f"{len(long):,}"),
                    ("cut, and the same as others with other targets", f"{mixed:,}"),
                ),
                confidence="proven" if alike else "likely",
                # Where a few are the same by chance, most still can be told apart.
                decides=marked or mixed == len(cut),
                help=run.help(
                    "Cut the other end, or let maxlen be that of the longest sequence.",
                    run.set_argument(padded.call, "truncating", f'"{_OTHER[padded.end]}"'),
                ),
            )
            return


def _alike(padded: _Padded, x: npt.NDArray[Any], labels: Sequence[bytes]) -> set[tuple[float, ...]]:
    """Return the rows that stand for several sequences and targets, which the other end tells."""
    targets: dict[tuple[float, ...], set[bytes]] = defaultdict(set)
    for row, label in zip(x, labels, strict=False):
        targets[tuple(map(float, row))].add(label)
    sources: dict[tuple[float, ...], set[tuple[float, ...]]] = defaultdict(set)
    for row, sequence in zip(padded.made, padded.given, strict=True):
        if len(sequence) > padded.length:
            sources[tuple(map(float, row))].add(sequence)
    other = _OTHER[padded.end]
    return {
        row
        for row, found in sources.items()
        if len(found) > 1
        and len(targets.get(row, ())) > 1
        and len({padded.cut(sequence, other) for sequence in found}) > 1
    }


def _is_mark_lost(padded: _Padded, labels: Sequence[bytes]) -> bool:
    """Say whether a place that is cut off every sequence tells the classes, and none left does."""
    if len(labels) != len(padded.given):
        return False
    off = min(len(sequence) for sequence in padded.given) - padded.length
    ahead = padded.end == "pre"
    lost = [
        [sequence[n if ahead else -1 - n] for sequence in padded.given] for n in range(max(off, 0))
    ]
    left = [list(column) for column in padded.made.T]
    return any(_tells(place, labels) for place in lost) and not any(
        _tells(place, labels) for place in left
    )


def _tells(place: Sequence[float], labels: Sequence[bytes]) -> bool:
    """Say whether the elements at a place go with the classes one to one, each more than once."""
    pairs = set(zip(place, labels, strict=True))
    values, classes = {value for value, _ in pairs}, {label for _, label in pairs}
    single = any(labels.count(label) < 2 for label in classes)
    return len(pairs) == len(values) == len(classes) > 1 and not single


def _padded(run: Run) -> Iterator[_Padded]:
    for call in run.asked:
        result = call.result
        length = number(call.kwargs.get("maxlen"))
        if name_of(call) != "pad_sequences" or not isinstance(result, ArrayValue) or not length:
            continue
        values = run.capsule.arrays.get(result.key) if result.key is not None else None
        first = call.args[0] if call.args else call.kwargs.get("sequences")
        given = [_numbers(run, item) for item in first.items] if isinstance(first, Items) else []
        known = [sequence for sequence in given if sequence is not None]
        if values is None or values.ndim != 2 or len(known) < len(given) or not known:
            continue
        end = call.kwargs.get("truncating")
        word = end.v if isinstance(end, Scalar) else "pre"
        if word in _OTHER and len(known) == len(values):
            yield _Padded(call, known, int(length), word, values)


def _numbers(run: Run, value: Value) -> tuple[float, ...] | None:
    """Return the elements of a sequence, None where they are not known."""
    if isinstance(value, ArrayValue):
        values = run.capsule.arrays.get(value.key) if value.key is not None else None
        return tuple(map(float, values)) if values is not None and values.ndim == 1 else None
    items = value.items if isinstance(value, Items) else (value,)
    found = [number(item) for item in items]
    return tuple(item for item in found if item is not None) if None not in found else None
