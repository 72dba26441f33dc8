"""A recorded model built again, from its configuration and its weights; no code but Keras' own."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from bridge.capsule import Capsule, LayerState, ModelState, Probe
from bridge.faults.layers import Fault, FaultError, put_in
from bridge.trace.call_tracer import TracedCall
from bridge.trace.model_description import LookError

_OWN: Final = frozenset({"keras", "tf_keras", "builtins"})
_CODE: Final = frozenset({"Lambda", "TFOpLambda", "__lambda__", "function"})


def is_prediction(probe: Probe) -> bool:
    """Say whether a probe is of a model that returned something, so that it can be looked into."""
    return probe.kind in ("predict", "call") and probe.state is not None and bool(probe.outputs)


def rebuild(keras: Any, state: ModelState, recorded: Capsule) -> Any:
    """Build a recorded model again, with its recorded weights.

    Raises:
        LookError: it has no configuration, or one that needs code from elsewhere.
    """
    if state.config is None:
        raise LookError(f"the model cannot be built again: {state.why_no_config}")
    if found := foreign(state.config):
        raise LookError(f"the model has a part that is not Keras' own: {found}")
    if state.cls.rpartition(".")[2] not in ("Sequential", "Functional", "Model"):
        raise LookError(f"the model is of a class of its own: {state.cls}")
    kind = keras.Sequential if state.cls.endswith("Sequential") else keras.Model
    try:
        model = kind.from_config(copy.deepcopy(state.config))
    except Exception as error:  # a configuration from a stranger's file: Keras raises what it likes
        text = f"{type(error).__name__}: {error}"[:300]
        raise LookError(f"the model cannot be built again from its configuration: {text}") from None
    if not getattr(model, "inputs", None):
        raise LookError("the model was never given an input shape")
    if len(model.layers) != len(state.layers):
        raise LookError(
            f"built again, the model has {len(model.layers)} layers; {len(state.layers)} were "
            "recorded"
        )
    restore(model, state, recorded)
    return model


def restore(model: Any, state: ModelState, recorded: Capsule) -> None:
    """Give a model that was built from this state's configuration the state's weights."""
    for layer, recorded_layer in zip(model.layers, state.layers, strict=True):
        _set_weights(layer, recorded_layer, recorded)


def _set_weights(layer: Any, state: LayerState, recorded: Capsule) -> None:
    layer.set_weights([np.asarray(recorded.array(weight.array)) for weight in state.weights])
    settle(layer)


def settle(layer: Any) -> None:
    """Let layers that compute something from their weights, once they are there, do so.

    Normalization keeps the mean and deviation that it applies beside the weights that it was
    adapted to, and says so when it is restored from a file.
    """
    for each in [layer, *_inner(layer)]:
        if callable(getattr(each, "finalize_state", None)) and getattr(each, "built", False):
            each.finalize_state()


def forget(model: Any) -> None:
    """Make layers forget what they were given before; some remember it from batch to batch."""
    for each in _inner(model):
        if getattr(each, "stateful", False) and not hasattr(each, "layers"):
            reset = getattr(each, "reset_states", None) or getattr(each, "reset_state", None)
            if callable(reset):
                reset()


def _inner(layer: Any) -> Iterator[Any]:
    for each in getattr(layer, "layers", ()):
        yield each
        yield from _inner(each)


def foreign(config: Any) -> str:
    """Name a part of a configuration that would import or run code that is not Keras' own."""
    if isinstance(config, dict):
        module = config.get("module")
        if isinstance(module, str) and module.partition(".")[0] not in _OWN:
            return f"{module}.{config.get('class_name', '')}"
        if config.get("registered_name") and ">" in str(config["registered_name"]):
            return str(config["registered_name"])
        if config.get("class_name") in _CODE:
            return str(config["class_name"])
        config = list(config.values())
    if isinstance(config, (list, tuple)):
        return next((found for each in config if (found := foreign(each))), "")
    return ""


class Rebuilt:
    """Models by the numbers of their states.

    States of one configuration share a model, which is given the weights of the one that was asked
    for last. A model with a fault is nobody else's.
    """

    def __init__(self, keras: Any, recorded: Capsule) -> None:
        self._keras, self._recorded = keras, recorded
        self._sound: dict[str, tuple[Any, int]] = {}
        self._faulty: dict[int, tuple[Any, str]] = {}

    def sound(self, number: int) -> Any:
        """Return the model of a state.

        Raises:
            LookError: it cannot be built again.
        """
        state = self._recorded.manifest.states[number]
        key = json.dumps([state.cls, state.config], sort_keys=True)
        model, last = self._sound.get(key, (None, number))
        if model is None:
            model = rebuild(self._keras, state, self._recorded)
        elif last != number:
            restore(model, state, self._recorded)
        self._sound[key] = model, number
        return model

    def faulty(self, number: int, fault: Fault | None) -> tuple[Any, str]:
        """Return the model of a state with a fault put in, and "" or why it is without.

        A fault of no layer in particular is put into every layer that can have it.

        Raises:
            LookError: the model cannot be built again.
        """
        if fault is None:
            return self.sound(number), ""
        if number not in self._faulty:
            state = self._recorded.manifest.states[number]
            model = rebuild(self._keras, state, self._recorded)
            self._faulty[number] = model, _put(fault, model)
        return self._faulty[number]

    def sound_calls(self, number: int, calls: Sequence[TracedCall]) -> list[TracedCall]:
        """Return calls with the layers of the model without a fault in the place of their own."""
        layers = dict(_layers(self.sound(number)))
        return [replace(call, layer=layers.get(call.path, call.layer)) for call in calls]


def _layers(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the layers of a model, and of models that it uses as layers, by their paths."""
    for layer in model.layers:
        yield f"{prefix}{layer.name}", layer
        if hasattr(layer, "layers"):
            yield from _layers(layer, f"{prefix}{layer.name}/")


def _put(fault: Fault, model: Any) -> str:
    """Put a fault into a model; return "", or why it has none."""
    wanted = [layer for path, layer in _layers(model) if fault.layer in ("", path)]
    if not wanted:
        return f"the model has no layer {fault.layer!r}"
    refused = []
    for layer in wanted:
        try:
            put_in(fault, layer)
        except (FaultError, AttributeError) as error:
            refused.append(str(error))
    return refused[0] if len(refused) == len(wanted) else ""
