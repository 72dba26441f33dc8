"""What rules ask of a result: whether rows that differ have outputs that do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.capsule import Probe
from bridge.rules.run import Run, same


def one_for_all(run: Run, probe: Probe) -> bool:
    """Say whether a prediction is one for all of at least two rows that differ."""
    if len(probe.inputs) != 1 or len(probe.outputs) != 1:
        return False
    x, y = run.array(probe.inputs[0]), run.array(probe.outputs[0])
    if x is None or y is None or not x.ndim or not y.ndim or len(x) != len(y) or len(x) < 2:
        return False
    if constant(x) or not np.all(np.isfinite(x)):
        return False
    return constant(y) or _one_before(run, probe, y)


def _one_before(run: Run, probe: Probe, y: npt.NDArray[Any]) -> bool:
    """Say whether the layer that gave ``y`` was given the same in every row.

    Its kernel may then compute the last rows otherwise than the first, and differ in the last bit.
    """
    for layer in probe.layers:
        outputs = [run.array(record) for record in layer.outputs]
        if len(outputs) != 1 or not same(outputs[0], y):
            continue
        given = [run.array(record) for record in layer.inputs]
        return bool(given) and all(x is not None and x.ndim > 0 and constant(x) for x in given)
    return False


def constant(values: npt.NDArray[Any]) -> bool:
    """Say whether all rows of an array are the same."""
    return bool(np.all(values == values[:1]))
