"""The models of a recorded run, built again when they are asked for, sound or with a fault."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from bridge.capsule import Capsule
from bridge.faults.layers import Fault, FaultError, put_in
from bridge.runs.model_rebuild import rebuild, restore
from bridge.trace.call_tracer import Call


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

    def sound_calls(self, number: int, calls: Sequence[Call]) -> list[Call]:
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
