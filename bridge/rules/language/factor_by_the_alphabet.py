"""A factor is numbered by the alphabet, and not by what its words say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bridge.rules.losses import DISTANCES
from bridge.rules.models import Training, trainings
from bridge.rules.r_values import RObject
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run
from bridge.translate.syntax import RCall, nodes_in

RULE = Rule("R17", "factor-by-the-alphabet", cause="r-semantics", whose="R's rules")
#: What gives the codes of a factor, and what makes a factor of words.
_CODES: Final = frozenset({"as.integer", "as.numeric", "as.double", "data.matrix", "unclass"})
_FACTORS: Final = frozenset({"factor", "as.factor"})


@RULE.detector
def numbers(run: Run) -> Iterator[Finding]:
    """Find the codes of a factor of numbers, which are places among its levels."""
    for number, node in _numbered(run):
        levels = _levels(run, number, node)
        values = _as_numbers(levels)
        if values is None or np.array_equal(values, np.arange(len(values)) + values[0]):
            continue
        if _counts_classes(run, len(levels)):
            continue
        text = run.text.source(node.row)
        inner = node.arguments[0].value
        shown = text if len(text) <= 40 else f"{node.name}()"
        yield RULE.finding(
            f"{shown} gives places of levels, not numbers",
            "A factor holds the place of each level. Its levels are texts, in order of size or of "
            "the alphabet.",
            at=run.node_place(node, "1, 2, 3 ..."),
            evidence=[("levels", ", ".join(levels[:6])), ("given", f"1 to {len(levels)}")],
            help=run.help(
                "Go by way of the texts: as.numeric(as.character(x)).",
                run.text.replace(inner.row, f"as.character({run.text.source(inner.row)})")
                if inner is not None
                else None,
            ),
        )
        return


@RULE.detector
def amounts(run: Run) -> Iterator[Finding]:
    """Find words that are numbered by the alphabet, and a loss that takes these for amounts."""
    for number, node in _numbered(run):
        levels = _levels(run, number, node)
        if len(levels) < 3 or list(levels) != sorted(levels, key=_by_alphabet):
            continue
        if _as_numbers(levels) is not None:
            continue
        for training in trainings(run):
            if not _takes_amounts(training, len(levels)):
                continue
            yield RULE.finding(
                "Words are numbered by the alphabet, and taken for amounts",
                "A factor sorts its levels by the alphabet where they are not given. The loss "
                "compares their numbers as amounts.",
                at=run.node_place(node, "numbers the words"),
                also=(run.compile_place(training.state, "loss"),),
                evidence=[
                    (f"{place} stands for", level) for place, level in enumerate(levels[:5], 1)
                ],
                confidence="likely",
                help="Give the order: factor(x, levels = c(...)). Classes without an order want a "
                "softmax.",
                open=(f"Whether the order {', '.join(levels[:5])} is meant.",),
            )
            return


def _numbered(run: Run) -> Iterator[tuple[int, RCall]]:
    """Yield the calls that give the codes of a factor, with the numbers of their statements."""
    for number, statement in enumerate(run.tree[: run.variables.statements + 1], start=1):
        for node in nodes_in([statement], RCall):
            if node.name in _CODES and len(node.arguments) == 1:
                yield number, node


def _levels(run: Run, statement: int, node: RCall) -> tuple[str, ...]:
    """Return the levels of the factor whose codes are asked for, none where it is not known."""
    given = node.arguments[0].value
    if isinstance(given, RCall) and given.name in _FACTORS:
        # Levels that are given have the order that is wanted.
        if len(given.arguments) != 1:
            return ()
        words = run.variables.of(statement, given.arguments[0].value)
        return _sorted(words) if words is not None else ()
    value = run.variables.of(statement, given)
    return value.levels if value is not None else ()


def _sorted(value: RObject) -> tuple[str, ...]:
    if value.levels:
        return value.levels
    if value.words:
        return tuple(sorted(set(value.words), key=_by_alphabet))
    if value.numbers is None:
        return ()
    return tuple(f"{size:g}" for size in np.unique(value.numbers[~np.isnan(value.numbers)]))


def _by_alphabet(word: str) -> tuple[str, str]:
    return word.lower(), word.swapcase()


def _as_numbers(levels: Sequence[str]) -> npt.NDArray[Any] | None:
    """Return the numbers that all levels but NA are texts of, None where one is not."""
    try:
        return np.array([float(level) for level in levels]) if levels else None
    except ValueError:
        return None


def _counts_classes(run: Run, count: int) -> bool:
    """Say whether a model of the run has a class for each level: then the codes number them."""
    for training in trainings(run):
        width = training.end.width if training.end is not None else None
        if width is not None and width >= count > 1:
            return True
    return False


def _takes_amounts(training: Training, count: int) -> bool:
    """Say whether a model of one output is trained with the numbers of so many levels."""
    y = training.y
    if y is None or training.used.loss not in DISTANCES or y.size != len(y):
        return False
    values = np.unique(y)
    return len(values) == count and any(
        np.array_equal(values, np.arange(count) + first) for first in (0, 1)
    )
