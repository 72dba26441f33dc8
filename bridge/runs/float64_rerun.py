"""A recorded run as it would be in float64: the same numbers, in a wider type."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import Array, Capsule, LayerState, ModelState, Probe
from bridge.trace.model_inputs import as_fed

_NARROW: Final = frozenset({"float16", "bfloat16", "float32", "mixed_float16", "mixed_bfloat16"})
_WIDE: Final = "float64"


def widen(recorded: Capsule) -> Capsule:
    """Return a run whose models compute in float64, with the recorded weights and inputs.

    Inputs are those that the models received: R's doubles were rounded to float32 for them, and
    stay so. What the run made is left as it is.
    """
    arrays: dict[str, AnyArray] = {}

    def wide(ref: Array, received: bool = False) -> Array:
        if ref.key is None:
            return ref
        values = np.asarray(recorded.array(ref))
        if received:
            values = as_fed(values, "float32")
        if values.dtype.name not in _NARROW:
            return ref
        key = f"w{ref.key}"
        arrays[key] = values.astype(np.float64)
        return ref.model_copy(update={"key": key, "dtype": _WIDE})

    def layer(state: LayerState) -> LayerState:
        weights = tuple(w.model_copy(update={"array": wide(w.array)}) for w in state.weights)
        layers = tuple(layer(each) for each in state.layers)
        config = _widened(state.config)
        return state.model_copy(update={"weights": weights, "layers": layers, "config": config})

    def model(state: ModelState) -> ModelState:
        layers = tuple(layer(each) for each in state.layers)
        return state.model_copy(update={"layers": layers, "config": _widened(state.config)})

    def probe(each: Probe) -> Probe:
        return each.model_copy(update={"inputs": tuple(wide(ref, True) for ref in each.inputs)})

    manifest = recorded.manifest.model_copy(
        update={
            "states": tuple(map(model, recorded.manifest.states)),
            "probes": tuple(map(probe, recorded.manifest.probes)),
        }
    )
    return Capsule(manifest, {**recorded.arrays, **arrays})


def _widened(config: Any) -> Any:
    """Return a configuration in which every float type, and every policy of one, is float64."""
    if isinstance(config, dict):
        return {
            key: _type(value) if key == "dtype" else _widened(value)
            for key, value in config.items()
        }
    if isinstance(config, (list, tuple)):
        return [_widened(each) for each in config]
    return config


def _type(value: Any) -> Any:
    if isinstance(value, str):
        return _WIDE if value in _NARROW else value
    if isinstance(value, dict) and isinstance(value.get("config"), dict):
        # A policy: {"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}.
        name = value["config"].get("name")
        if name in _NARROW:
            return value | {"config": value["config"] | {"name": _WIDE}}
    return value
