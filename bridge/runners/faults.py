"""Faults: defects with a known cause, put into a built model to see whether they are found.

A fault stands in one layer. It can be made to show in some ways of running the model only, as a
defect of a graph optimiser or of a compiler would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np


class FaultError(ValueError):
    """The layer cannot have this fault; the message says why."""


@dataclass(frozen=True)
class Fault:
    """A defect of the layer ``layer``; ``ways`` are those in which it shows, all if empty.

    ``unit`` says which unit, ``amount`` by how much, where the kind of fault asks for it.
    """

    kind: str
    layer: str
    ways: tuple[str, ...] = ()
    unit: int = 0
    amount: float = 0.0

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
    try:
        _KINDS[fault.kind](layer, fault)
    except KeyError:
        raise FaultError(
            f"there is no fault {fault.kind!r}; there are {', '.join(_KINDS)}"
        ) from None


def _weights(layer: Any, change: Callable[[np.ndarray[Any, Any]], Any], which: str) -> None:
    for weight in layer.weights:
        if which in weight.name.rpartition("/")[2]:
            value = np.array(weight)
            changed = change(value)
            weight.assign(value if changed is None else changed)
            return
    raise FaultError(f"layer {layer.name!r} has no {which}")


def _activation_lost(layer: Any, _fault: Fault) -> None:
    layer.activation = lambda z: z


def _activation_lost_in_unit(layer: Any, fault: Fault) -> None:
    import tensorflow as tf

    whole = layer.activation

    def but_one(z: Any) -> Any:
        here = tf.range(tf.shape(z)[-1]) == fault.unit
        return tf.where(here, z, whole(z))

    layer.activation = but_one


def _bias_lost(layer: Any, _fault: Fault) -> None:
    _weights(layer, np.zeros_like, "bias")


def _weight_moved(layer: Any, fault: Fault) -> None:
    def move(value: np.ndarray[Any, Any]) -> None:
        value.reshape(-1)[fault.unit % value.size] += fault.amount

    _weights(layer, move, "kernel")


def _columns_swapped(layer: Any, fault: Fault) -> None:
    def swap(value: np.ndarray[Any, Any]) -> None:
        one, other = fault.unit % value.shape[-1], (fault.unit + 1) % value.shape[-1]
        value[..., [one, other]] = value[..., [other, one]]

    _weights(layer, swap, "kernel")


def _kernel_transposed(layer: Any, _fault: Fault) -> None:
    def transpose(value: np.ndarray[Any, Any]) -> Any:
        axes = (1, 0, *range(2, value.ndim))
        if value.ndim < 2 or value.shape[0] != value.shape[1]:
            raise FaultError(f"the kernel of layer {layer.name!r} is not square")
        return np.ascontiguousarray(value.transpose(axes))

    _weights(layer, transpose, "kernel")


def _input_shifted(layer: Any, _fault: Fault) -> None:
    """Read the input one place to the side, as with the padding on the wrong side."""
    import tensorflow as tf

    _around(layer, lambda x: tf.roll(x, 1, axis=1))


def _precision_lost(layer: Any, _fault: Fault) -> None:
    """Hand on what bfloat16 keeps of the input."""
    import tensorflow as tf

    _around(layer, lambda x: tf.cast(tf.cast(x, tf.bfloat16), x.dtype))


def _around(layer: Any, before: Callable[[Any], Any]) -> None:
    whole = layer.call

    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        return whole(before(x), *args, **kwargs)

    layer.call = call


_KINDS: Final[Mapping[str, Callable[[Any, Fault], None]]] = {
    "activation-lost": _activation_lost,
    "activation-lost-in-unit": _activation_lost_in_unit,
    "bias-lost": _bias_lost,
    "columns-swapped": _columns_swapped,
    "input-shifted": _input_shifted,
    "kernel-transposed": _kernel_transposed,
    "precision-lost": _precision_lost,
    "weight-moved": _weight_moved,
}

#: Faults of the weights: they must be put in again when the weights are set.
OF_WEIGHTS: Final = frozenset({"bias-lost", "columns-swapped", "kernel-transposed", "weight-moved"})
