"""Layers run again by themselves: as they are, or copied into float64."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bridge._typing import AnyArray
from bridge.errors import BridgeError
from bridge.rounding.rules.layer import policy_name
from bridge.rounding.rules.rounding import FORMATS
from bridge.runs.model_rebuild import settle
from bridge.trace.call_tracer import Call, Tensor, arrays
from bridge.trace.encoder import to_numpy

#: Arrays and tensors by number.
Values = dict[int, Any]


class CannotError(BridgeError):
    """A layer run by itself would say nothing; the message is a sentence that says why."""


def evaluate(calls: Sequence[Call], given: Values, layer_of: Callable[[Any], Any]) -> Any:
    """Make the calls one after another and return what the last one makes; tensors by number."""
    import tensorflow as tf

    known = dict(given)
    made: Any = None

    def fill(leaf: Any) -> Any:
        return known[leaf.number] if isinstance(leaf, Tensor) else leaf

    for call in calls:
        for number, mask in zip(call.inputs, call.masks, strict=True):
            if call.masked and mask in given:
                known[number]._keras_mask = known[mask]
        args, kwargs = tf.nest.map_structure(fill, (call.args, call.kwargs))
        made = arrays(layer_of(call.layer)(*args, **kwargs))
        known.update(zip(call.outputs, made, strict=True))
    return made[0]


def itself(layer: Any) -> Any:
    """Return the layer."""
    return layer


class Doubled:
    """The layers in float64, with the same weights."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls = calls
        self._copies: dict[int, Any] = {}

    def __call__(self, given: Values) -> AnyArray:
        """Return what the layers make of the arrays with these numbers.

        Raises:
            CannotError: they cannot be made to compute in float64.
        """
        import tensorflow as tf

        values = {
            number: tf.constant(x.astype(np.float64) if x.dtype.name in FORMATS else x)
            for number, x in given.items()
        }
        if not self._copies:
            for call in self._calls:
                self._copies.setdefault(id(call.layer), _copied(call.layer))
            # The first run makes the weights, which are then given their elements.
            evaluate(self._calls, values, self._copy)
            for call in self._calls:
                _hand_over(call.layer, self._copy(call.layer))
        made = to_numpy(evaluate(self._calls, values, self._copy))
        if made.dtype != np.float64:
            raise CannotError(f"in float64 it makes {made.dtype.name}")
        return made

    def _copy(self, layer: Any) -> Any:
        return self._copies[id(layer)]


def _copied(layer: Any) -> Any:
    """Return the layer again in float64; an operation has no type of its own."""
    if not hasattr(layer, "weights"):
        return layer
    return type(layer).from_config(in_float64(copy.deepcopy(layer.get_config())))


def in_float64(config: Any) -> Any:
    """Return a configuration in which every float type in which something computes is float64."""
    if isinstance(config, dict):
        return {
            key: "float64" if key == "dtype" and _is_float(value) else in_float64(value)
            for key, value in config.items()
        }
    if isinstance(config, (list, tuple)):
        return type(config)(in_float64(each) for each in config)
    return config


def _is_float(dtype: Any) -> bool:
    return policy_name(dtype).removeprefix("mixed_") in FORMATS


def _hand_over(layer: Any, double: Any) -> None:
    if double is layer:
        return
    weights = [to_numpy(weight) for weight in layer.weights]
    if [tuple(each.shape) for each in double.weights] != [each.shape for each in weights]:
        raise CannotError("in float64 it has other weights")
    double.set_weights([
        each.astype(np.float64) if each.dtype.name in FORMATS else each for each in weights
    ])  # fmt: skip
    settle(double)
