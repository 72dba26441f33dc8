"""Faults: defects with a known cause, put into a built model to see whether they are found.

A fault stands in one layer. It can be made to show in some ways of running the model only, as a
defect of a graph optimiser or of a compiler would.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from bridge.errors import BridgeError
from bridge.facts.layers import LAYERS
from bridge.faults.kernels import to_bf16, wrap

#: What a prediction is told whose graph has no op that the fault could stand in.
IDLE: Final = "the fault changes nothing: no op that is executed can have it"


class FaultError(BridgeError, ValueError):
    """The layer cannot have this fault; the message says why."""


@dataclass(frozen=True)
class Fault:
    """A defect of the layer ``layer``; ``ways`` are those in which it shows, all if empty.

    ``unit`` says which unit, ``amount`` by how much, ``scope`` which ops of the executed graph,
    where the kind of fault asks for it. A fault of the graph may stand in no layer in particular.
    """

    kind: str
    layer: str
    ways: tuple[str, ...] = ()
    unit: int = 0
    amount: float = 0.0
    scope: str = ""

    def shows(self, way: str) -> bool:
        """Say whether it shows when a model is run in this way."""
        return not self.ways or way in self.ways

    def params(self) -> dict[str, Any]:
        """Return the fault as JSON."""
        return asdict(self)

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Fault:
        """Read what :meth:`params` returned."""
        return cls(**{**params, "ways": tuple(params.get("ways", ()))})


def put_in(fault: Fault, layer: Any) -> None:
    """Put the fault into a layer that has its weights.

    Raises:
        FaultError: it cannot have this fault.
    """
    if fault.kind not in _KINDS:
        raise FaultError(f"there is no fault {fault.kind!r}; there are {', '.join(_KINDS)}")
    _KINDS[fault.kind](layer, fault)


def _weights(layer: Any, change: Callable[[np.ndarray[Any, Any]], Any], which: str) -> None:
    for weight in layer.weights:
        if which in weight.name.rpartition("/")[2]:
            value = np.array(weight)
            changed = change(value)
            weight.assign(value if changed is None else changed)
            return
    raise FaultError(f"layer {layer.name!r} has no {which}")


def _activation_lost(layer: Any, _fault: Fault) -> None:
    facts = LAYERS.get(type(layer).__name__)
    if facts is not None and facts.activates and not hasattr(layer, "activation"):
        layer.call = lambda z, *_args, **_kwargs: z
        return
    _activated(layer)
    layer.activation = lambda z: z


def _activated(layer: Any) -> None:
    """Raise :class:`FaultError` if the layer has no activation that could be lost."""
    if getattr(getattr(layer, "activation", None), "__name__", "linear") == "linear":
        raise FaultError(f"layer {layer.name!r} has no activation")


def _activation_lost_in_unit(layer: Any, fault: Fault) -> None:
    _activated(layer)
    whole, ops = layer.activation, _ops(layer)

    def but_one(z: Any) -> Any:
        here = np.arange(z.shape[-1]) == fault.unit % z.shape[-1]
        return ops.where(here, z, whole(z))

    layer.activation = but_one


def _bias_lost(layer: Any, _fault: Fault) -> None:
    _weights(layer, np.zeros_like, "bias")


def _weight_moved(layer: Any, fault: Fault) -> None:
    def move(value: np.ndarray[Any, Any]) -> None:
        value.reshape(-1)[fault.unit % value.size] += fault.amount

    _weights(layer, move, "kernel")


def _columns_swapped(layer: Any, fault: Fault) -> None:
    def swap(value: np.ndarray[Any, Any]) -> None:
        left, right = fault.unit % value.shape[-1], (fault.unit + 1) % value.shape[-1]
        value[..., [left, right]] = value[..., [right, left]]

    _weights(layer, swap, "kernel")


def _kernel_transposed(layer: Any, _fault: Fault) -> None:
    def transpose(value: np.ndarray[Any, Any]) -> Any:
        axes = (1, 0, *range(2, value.ndim))
        if value.ndim < 2 or value.shape[0] != value.shape[1]:
            raise FaultError(f"the kernel of layer {layer.name!r} is not square")
        return np.ascontiguousarray(value.transpose(axes))

    _weights(layer, transpose, "kernel")


def _input_shifted(layer: Any, _fault: Fault) -> None:
    """Read the input one place to the side, the last place coming first."""
    ops = _ops(layer)
    _around(layer, lambda x: ops.roll(x, 1, axis=1))


def _padding_shifted(layer: Any, _fault: Fault) -> None:
    """Pad one place more before the input, and one less after it."""
    if getattr(layer, "padding", None) != "same":
        raise FaultError(f"layer {layer.name!r} pads nothing")
    ops, whole = _ops(layer), layer.call
    step = int(np.ravel(layer.strides)[0])

    @functools.wraps(whole)
    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        longer = ops.concatenate([ops.zeros_like(x[:, :1]), x], axis=1)
        return whole(longer, *args, **kwargs)[:, : -(-x.shape[1] // step)]

    layer.call = call


def _gelu_approximate(layer: Any, _fault: Fault) -> None:
    keras = _keras_of(layer)
    if getattr(getattr(layer, "activation", None), "__name__", "") != "gelu":
        raise FaultError(f"layer {layer.name!r} has no gelu")
    layer.activation = lambda z: keras.activations.gelu(z, approximate=True)


def _epsilon_changed(layer: Any, fault: Fault) -> None:
    if not isinstance(getattr(layer, "epsilon", None), float):
        raise FaultError(f"layer {layer.name!r} has no epsilon")
    layer.epsilon = fault.amount or 10 * layer.epsilon


def _training_mode(layer: Any, _fault: Fault) -> None:
    """Run as in training: with the moments of the batch, or dropping some of the input."""
    if "training" not in inspect.signature(layer.call).parameters:
        raise FaultError(f"layer {layer.name!r} does the same in training")
    whole = layer.call

    @functools.wraps(whole)
    def call(*args: Any, **kwargs: Any) -> Any:
        return whole(*args[:1], **(kwargs | {"training": True}))

    layer.call = call


def _precision_lost(layer: Any, _fault: Fault) -> None:
    """Hand on what bfloat16 keeps of the input."""
    keras = _keras_of(layer)
    lower = to_bf16
    if hasattr(keras, "ops"):
        # Another back end than TensorFlow's may run it.
        def lower(x: Any) -> Any:
            return keras.ops.cast(keras.ops.cast(x, "bfloat16"), "float32")

    _around(layer, lower)


def _faulty_kernel(layer: Any, fault: Fault) -> None:
    wrap(layer, fault.kind)


def _around(layer: Any, before: Callable[[Any], Any]) -> None:
    whole = layer.call

    @functools.wraps(whole)
    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        return whole(before(x), *args, **kwargs)

    layer.call = call


def _keras_of(layer: Any) -> Any:
    return importlib.import_module(type(layer).__module__.partition(".")[0])


def _ops(layer: Any) -> Any:
    """Return functions on tensors of the layer's back end; what is used has NumPy's names."""
    keras = _keras_of(layer)
    if hasattr(keras, "ops"):
        return keras.ops
    import tensorflow as tf

    return tf.experimental.numpy


_KINDS: Final[Mapping[str, Callable[[Any, Fault], None]]] = {
    "activation-lost": _activation_lost,
    "activation-lost-in-unit": _activation_lost_in_unit,
    "bias-lost": _bias_lost,
    "columns-swapped": _columns_swapped,
    "epsilon-changed": _epsilon_changed,
    "flush-to-zero": _faulty_kernel,
    "gelu-approximate": _gelu_approximate,
    "input-shifted": _input_shifted,
    "kernel-bf16": _faulty_kernel,
    "kernel-tf32": _faulty_kernel,
    "kernel-transposed": _kernel_transposed,
    "padding-shifted": _padding_shifted,
    "precision-lost": _precision_lost,
    "training-mode": _training_mode,
    "weight-moved": _weight_moved,
}

#: The kinds of faults that can be put into a layer.
KINDS: Final[frozenset[str]] = frozenset(_KINDS)

#: Faults of the weights: they must be put in again when the weights are set.
OF_WEIGHTS: Final = frozenset({
    "bias-lost", "columns-swapped", "kernel-transposed", "weight-moved",
})  # fmt: skip
