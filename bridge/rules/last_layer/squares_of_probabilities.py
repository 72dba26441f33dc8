"""Class probabilities are trained with a distance between numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from bridge.rules.models import Training, is_one_hot
from bridge.rules.retrained import judged, retrained, rows_of
from bridge.rules.rule import Finding, Rule
from bridge.rules.run import Run, same

RULE = Rule(
    "L13",
    "squares-of-probabilities",
    cause="maths",
    needs=("fit again",),
    explains=("T02", "T04", "D08", "P08"),
)
#: Where to look: a loss that is still so much of what a constant answer leaves. Decides nothing.
_LEFT: Final = 0.5
_DISTANCES: Final = frozenset({"meansquarederror", "meanabsoluteerror"})


@RULE.detector
def detect(run: Run) -> Iterator[Finding]:
    """Find classifiers trained with a distance that a cross entropy brings much nearer.

    Both are measured by the distance that the script asks for, from the same starts.
    """
    for judgement in judged(run):
        instead = _instead(judgement.training)
        if not instead or not judgement.left > _LEFT:
            continue
        found = retrained(run, judgement.training, "loss", instead)
        if found is None or not found.most or not max(found.changed) < judgement.chance:
            continue
        end = judgement.training.end
        assert end is not None, "its activation is known"
        yield RULE.finding(
            "Class probabilities are trained with a distance between numbers",
            f"Where the {end.activation} is almost 0 or 1 the gradient of that distance"
            " almost vanishes, and a rare class is given up. The cross entropy gets there from the "
            "same starts.",
            at=run.compile_place(judgement.training.state, "loss") or judgement.training.probe.line,
            also=(run.layer_place(end.by, "activation", "gives probabilities"),),
            evidence=rows_of(found, f"trained with {instead}", judgement.chance),
            help=run.help(
                f"Take the loss {instead}.",
                run.set_argument(judgement.training.used.call, "loss", f'"{instead}"'),
            ),
            confidence="likely",
        )
        return


def _instead(training: Training) -> str:
    """Return the cross entropy that fits a classifier trained with a distance, "" if none does."""
    y, end = training.y, training.end
    if training.used.loss not in _DISTANCES or y is None or end is None or same(training.x, y):
        return ""
    if end.activation == "softmax" and is_one_hot(y):
        return "categorical_crossentropy"
    binary = end.activation == "sigmoid" and bool(np.all((y == 0) | (y == 1)))
    return "binary_crossentropy" if binary else ""
