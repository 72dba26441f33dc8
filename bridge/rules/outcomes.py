"""What rules ask of a result: whether rows that differ have outputs that do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.capsule import Probe
from bridge.rules.run import Run


def one_for_all(run: Run, probe: Probe) -> bool:
    """Say whether a prediction is one for all of at least two rows that differ."""
    if len(probe.inputs) != 1 or len(probe.outputs) != 1:
        return False
    x, y = run.array(probe.inputs[0]), run.array(probe.outputs[0])
    if x is None or y is None or not x.ndim or not y.ndim or len(x) != len(y) or len(x) < 2:
        return False
    return constant(y) and not constant(x) and bool(np.all(np.isfinite(x)))


def constant(values: npt.NDArray[Any]) -> bool:
    """Say whether all rows of an array are the same."""
    return bool(np.all(values == values[:1]))
