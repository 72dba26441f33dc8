"""The change of a script that gives each class a unit of its own."""

from __future__ import annotations

import numpy as np

from bridge.rules.models import Training, whole
from bridge.rules.run import Run, is_one_dimensional
from bridge.translate.script_text import Cut


def unit_for_each(run: Run, training: Training) -> tuple[Cut | None, ...]:
    """Return the edits that give classes numbered in one column a unit each.

    Two classes keep one unit, with a sigmoid and the binary loss; (None,) where they are not
    numbered from 0, or the change is not known.
    """
    y, end, compiled = training.y, training.end, training.used.call
    if y is None or end is None or not whole(y) or not is_one_dimensional(y):
        return (None,)
    classes = np.unique(y)
    if len(classes) < 2 or not np.array_equal(classes, np.arange(len(classes))):
        return (None,)
    if len(classes) == 2:
        sigmoid = () if end.activation == "sigmoid" else (run.set_activation(end.by, "sigmoid"),)
        return (*sigmoid, run.set_argument(compiled, "loss", '"binary_crossentropy"'))
    weighted = [layer for layer in training.state.layers if layer.weights]
    call = run.maker(weighted[-1]) if weighted else None
    softmax = () if end.activation == "softmax" else (run.set_activation(end.by, "softmax"),)
    return (
        run.set_number(call, "units", len(classes)),
        *softmax,
        run.set_argument(compiled, "loss", '"sparse_categorical_crossentropy"'),
    )
