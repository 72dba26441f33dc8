"""Single faults: a layer that does something else than its configuration says.

Each fault takes a layer and its inputs and returns what the faulty layer makes, or None where the
fault cannot be had there. The layer itself is left as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

Rng = np.random.Generator
Call = Callable[..., Any]
Fault = Callable[[Any, Call, Sequence[Any], Rng], Any]


@contextmanager
def _attribute(layer: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(layer, name)
    setattr(layer, name, value)
    try:
        yield
    finally:
        setattr(layer, name, before)


@contextmanager
def _weights(layer: Any, values: Sequence[Any]) -> Iterator[None]:
    before = layer.get_weights()
    layer.set_weights(list(values))
    try:
        yield
    finally:
        layer.set_weights(before)


def _identity(x: Any) -> Any:
    return x


def _has_activation(layer: Any) -> bool:
    return getattr(getattr(layer, "activation", None), "__name__", "linear") != "linear"


def _kernel_at(layer: Any) -> int | None:
    values = layer.get_weights()
    return next((k for k, value in enumerate(values) if value.ndim >= 2), None)


def activation_lost(layer: Any, call: Call, given: Sequence[Any], _rng: Rng) -> Any:
    """The activation is not applied."""
    if type(layer).__name__ in ("ReLU", "LeakyReLU", "ELU", "PReLU", "Softmax"):
        return given[0]
    if not _has_activation(layer):
        return None
    with _attribute(getattr(layer, "cell", layer), "activation", _identity):
        return call(layer, given)


def activation_lost_in_a_unit(layer: Any, call: Call, given: Sequence[Any], rng: Rng) -> Any:
    """The activation is not applied in one unit."""
    lost = activation_lost(layer, call, given, rng)
    if lost is None or type(layer).__name__ in ("SimpleRNN", "LSTM", "GRU"):
        return None
    right, wrong = np.asarray(call(layer, given)).copy(), np.asarray(lost)
    unit = int(rng.integers(right.shape[-1]))
    right[..., unit] = wrong[..., unit]
    return right


def bias_lost(layer: Any, call: Call, given: Sequence[Any], _rng: Rng) -> Any:
    """The bias is not added."""
    names = [str(w.name).rpartition("/")[2].partition(":")[0] for w in layer.weights]
    if not any("bias" in name for name in names):
        return None
    values = [
        np.zeros_like(value) if "bias" in name else value
        for name, value in zip(names, layer.get_weights(), strict=True)
    ]
    with _weights(layer, values):
        return call(layer, given)


def columns_swapped(layer: Any, call: Call, given: Sequence[Any], rng: Rng) -> Any:
    """Two columns of the kernel are swapped."""
    place = _kernel_at(layer)
    values = layer.get_weights()
    if place is None or values[place].shape[-1] < 2:
        return None
    one, other = rng.choice(values[place].shape[-1], 2, replace=False)
    kernel = values[place].copy()
    kernel[..., [one, other]] = kernel[..., [other, one]]
    with _weights(layer, [*values[:place], kernel, *values[place + 1 :]]):
        return call(layer, given)


def kernel_transposed(layer: Any, call: Call, given: Sequence[Any], _rng: Rng) -> Any:
    """The kernel's last two axes are exchanged."""
    place = _kernel_at(layer)
    values = layer.get_weights()
    if place is None or values[place].shape[-1] != values[place].shape[-2]:
        return None
    if values[place].shape[-1] < 2:
        return None
    kernel = np.ascontiguousarray(np.swapaxes(values[place], -1, -2))
    with _weights(layer, [*values[:place], kernel, *values[place + 1 :]]):
        return call(layer, given)


def axis_wrong(layer: Any, call: Call, given: Sequence[Any], _rng: Rng) -> Any:
    """The layer works along another axis of the same length, or softmax along the rows."""
    kind = type(layer).__name__
    x = np.asarray(given[0])
    softmax = kind == "Softmax" or (kind == "Activation" and layer.activation.__name__ == "softmax")
    if softmax and x.ndim == 2:
        part = np.exp(x - x.max(axis=0))
        return part / part.sum(axis=0)
    if kind == "Dropout" or len(given) > 1 or x.ndim < 3 or x.shape[1] != x.shape[2]:
        return None
    return call(layer, [np.ascontiguousarray(np.swapaxes(x, 1, 2))])


def window_shifted(layer: Any, call: Call, given: Sequence[Any], _rng: Rng) -> Any:
    """Stride or padding are wrong: every window begins one step too early."""
    kind = type(layer).__name__
    if ("Conv" not in kind and "Pooling" not in kind) or kind.startswith("Global"):
        return None
    x = np.asarray(given[0])
    shifted = np.zeros_like(x)
    shifted[:, 1:] = x[:, :-1]
    return call(layer, [shifted])


def dtype_lowered(layer: Any, call: Call, given: Sequence[Any], rng: Rng) -> Any:
    """The layer computes with numbers of half precision."""
    if not layer.weights or np.asarray(given[0]).dtype != np.float32:
        return None
    import ml_dtypes

    low = np.float16 if rng.random() < 0.5 else ml_dtypes.bfloat16

    def lowered(values: Any) -> Any:
        with np.errstate(over="ignore"):
            return np.asarray(values).astype(low).astype(np.float32)

    with _weights(layer, [lowered(value) for value in layer.get_weights()]):
        return lowered(call(layer, [lowered(x) for x in given]))


def _one_weight(layer: Any, rng: Rng) -> tuple[list[Any], Any, int] | None:
    place = _kernel_at(layer)
    if place is None:
        return None
    values = [value.copy() for value in layer.get_weights()]
    flat = values[place].reshape(-1)
    return values, flat, int(rng.integers(flat.size))


def weight_moved(by: float) -> Fault:
    """Return the fault that adds ``by`` to one weight."""

    def fault(layer: Any, call: Call, given: Sequence[Any], rng: Rng) -> Any:
        found = _one_weight(layer, rng)
        if found is None:
            return None
        values, flat, at = found
        flat[at] += np.float32(by)
        with _weights(layer, values):
            return call(layer, given)

    return fault


def bit_flipped(layer: Any, call: Call, given: Sequence[Any], rng: Rng) -> Any:
    """One bit of one weight is flipped (not the exponent's highest, which makes it infinite)."""
    found = _one_weight(layer, rng)
    if found is None:
        return None
    values, flat, at = found
    flat.view(np.uint32)[at] ^= np.uint32(1 << int(rng.integers(30)))
    with _weights(layer, values):
        return call(layer, given)


#: Faults of structure: the layer computes something else.
STRUCTURAL: Final[dict[str, Fault]] = {
    "activation lost": activation_lost,
    "activation lost in a unit": activation_lost_in_a_unit,
    "bias lost": bias_lost,
    "columns swapped": columns_swapped,
    "kernel transposed": kernel_transposed,
    "axis wrong": axis_wrong,
    "stride or padding wrong": window_shifted,
}

#: Faults of numbers. Those of weights are seen twice: recorded with the model, and hidden.
NUMERIC: Final[dict[str, Fault]] = {
    "type lowered": dtype_lowered,
    "one weight + 1e-3": weight_moved(1e-3),
    "one weight + 1e-5": weight_moved(1e-5),
    "one bit": bit_flipped,
}

FAULTS: Final[dict[str, Fault]] = {**STRUCTURAL, **NUMERIC}
OF_WEIGHTS: Final = frozenset({"one weight + 1e-3", "one weight + 1e-5", "one bit"})
