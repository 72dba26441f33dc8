"""The change of a script that gives each class a unit of its own."""

from __future__ import annotations

import numpy as np

from bridge.rules.models import Ending, Training, is_one_hot, whole
from bridge.rules.run import Run, is_one_dimensional
from bridge.translate.script_text import Cut


def unit_for_each(run: Run, training: Training) -> tuple[Cut | None, ...]:
    """Return the edits that give classes numbered in one column, or one-hot, a unit each.

    Two classes keep one unit, with a sigmoid and the binary loss; (None,) where they are not
    numbered from 0, or the change is not known.
    """
    y, end, compiled = training.y, training.end, training.used.call
    if y is None or end is None or not whole(y):
        return (None,)
    count = len(np.unique(y))
    if is_one_hot(y):
        return (*_units(run, training, y.shape[-1]), *_softmax(run, end))
    if not is_one_dimensional(y) or count < 2 or not np.array_equal(np.unique(y), np.arange(count)):
        return (None,)
    if count == 2:
        sigmoid = () if end.activation == "sigmoid" else (run.set_activation(end.by, "sigmoid"),)
        return (*sigmoid, run.set_argument(compiled, "loss", '"binary_crossentropy"'))
    return (
        *_units(run, training, count),
        *_softmax(run, end),
        run.set_argument(compiled, "loss", '"sparse_categorical_crossentropy"'),
    )


def _units(run: Run, training: Training, count: int) -> tuple[Cut | None, ...]:
    weighted = [layer for layer in training.state.layers if layer.weights]
    return (run.set_number(run.maker(weighted[-1]) if weighted else None, "units", count),)


def _softmax(run: Run, end: Ending) -> tuple[Cut | None, ...]:
    return () if end.activation == "softmax" else (run.set_activation(end.by, "softmax"),)
