"""Runs in float64 judged by the bounds of float32: is the fault there, or is it gone?

No rule bounds float64's own rounding. But what is computed in float64 is nearer to the exact value
than float32's bound, by many digits; whatever is beyond that bound is wrong in float64 too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import JsonValue

from bridge._typing import AnyArray
from bridge.capsule import Array, Capsule, LayerOutput, LayerState, ModelState, Probe


def narrowed(capsule: Capsule) -> Capsule:
    """Return a run in float64 with its models said to be of float32, and what they made rounded.

    What layers received stays as it was. Other runs are returned as they are.
    """
    if not any("float64" in repr(layer.config) for state in capsule.manifest.states
               for layer in state.layers):  # fmt: skip
        return capsule
    made: dict[str, AnyArray] = {}
    probes = tuple(_probe(capsule, probe, made) for probe in capsule.manifest.probes)
    states = tuple(_state(state) for state in capsule.manifest.states)
    manifest = capsule.manifest.model_copy(update={"probes": probes, "states": states})
    return Capsule(manifest, {**capsule.arrays, **made})


def _probe(capsule: Capsule, probe: Probe, made: dict[str, AnyArray]) -> Probe:
    layers = tuple(
        layer.model_copy(update={"outputs": _rounded(capsule, layer, made), "perturbed": None})
        for layer in probe.layers
    )
    return probe.model_copy(update={"layers": layers, "outputs": _rounded(capsule, probe, made)})


def _rounded(
    capsule: Capsule, holder: Probe | LayerOutput, made: dict[str, AnyArray]
) -> tuple[Array, ...]:
    found = []
    for ref in holder.outputs:
        if ref.key is None or ref.dtype != "float64" or ref.key not in capsule.arrays:
            found.append(ref)
            continue
        key = f"f.{ref.key}"[:80]
        with np.errstate(over="ignore"):
            made[key] = np.asarray(capsule.array(ref)).astype(np.float32)
        found.append(ref.model_copy(update={"key": key, "dtype": "float32"}))
    return tuple(found)


def _state(state: ModelState) -> ModelState:
    layers = tuple(_layer(layer) for layer in state.layers)
    return state.model_copy(update={"layers": layers, "config": _told(state.config)})


def _layer(layer: LayerState) -> LayerState:
    inner = tuple(_layer(each) for each in layer.layers)
    return layer.model_copy(update={"config": _told(layer.config), "layers": inner})


def _told(item: JsonValue) -> Any:
    if isinstance(item, dict):
        return {key: _told(value) for key, value in item.items()}
    if isinstance(item, list):
        return [_told(each) for each in item]
    return "float32" if item == "float64" else item
