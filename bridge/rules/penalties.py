"""Penalties on weights, as a model's loss holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bridge.capsule import LayerState, ModelState, WeightRecord
from bridge.rules.run import Run


def argument_of(record: WeightRecord) -> str:
    """Return the argument of a layer that says how a weight is penalised."""
    return f"{record.name.rpartition('/')[2]}_regularizer"


def strength(layer: LayerState, record: WeightRecord) -> Mapping[str, float]:
    """Return the factors l1 and l2 of a weight's penalty, as far as it has any."""
    found = layer.config.get(argument_of(record))
    config = found.get("config") if isinstance(found, dict) else None
    if not isinstance(config, dict):
        return {}
    factors = {name: config.get(name) for name in ("l1", "l2")}
    return {k: float(v) for k, v in factors.items() if isinstance(v, (int, float)) and v}


def of_weight(factors: Mapping[str, float], values: npt.NDArray[Any]) -> float:
    """Return the penalty of a weight's elements."""
    exact = np.asarray(values, np.float64)
    squares, absolute = float(np.sum(exact**2)), float(np.sum(np.abs(exact)))
    return factors.get("l2", 0.0) * squares + factors.get("l1", 0.0) * absolute


def penalty(run: Run, state: ModelState) -> float:
    """Return the penalties of a model as it was, 0 where it has none that are known."""
    found = 0.0
    for layer in state.layers:
        for record in layer.weights:
            values, factors = run.array(record.array), strength(layer, record)
            if factors and values is not None:
                found += of_weight(factors, values)
    return found
