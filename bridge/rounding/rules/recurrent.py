"""SimpleRNN, LSTM and GRU, of both generations of Keras, at inference and without a mask.

Where every state was seen (the layer returned its sequence), each step is judged on the state that
it really had: the value of a step is then conditional on the step before it as it was observed. An
LSTM's memory is never seen; its error is carried along, damped by the forget gate. Where only the
last state was seen, errors are carried through all steps, and the bound grows with their number; a
bound that excludes nothing of the size of the layer's results is given up.

The formulas and the order of the gates follow ``keras/src/layers/rnn`` of Keras 3.15 and
``tf_keras/src/layers/rnn`` of TensorFlow 2.21. Their fused kernels for graphics processors may
multiply with fewer digits and have no rule here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
from pydantic import JsonValue

from bridge._typing import F64, AnyArray
from bridge.rounding.rules.activate import apply_activation
from bridge.rounding.rules.arithmetic import Arithmetic, constant_of
from bridge.rounding.rules.cells import Cell, Gated, LongShort, Simple
from bridge.rounding.rules.geometry import check_size
from bridge.rounding.rules.layer import Evaluation, Layer, ObservedRule, Rule, UnsupportedError
from bridge.rounding.rules.near import Matrix
from bridge.rounding.rules.recurrence import Recurrence
from bridge.rounding.rules.rounding import FORMATS, MOST_TERMS


@dataclass(frozen=True)
class Options:
    """How a layer goes over time, by its configuration."""

    sequences: bool
    states: bool
    backwards: bool
    time_major: bool


def recurrent(
    layer: Layer,
    inputs: Sequence[AnyArray],
    outputs: Sequence[AnyArray] = (),
    *,
    cell_of: Callable[[Layer], Cell],
) -> tuple[Evaluation, ...]:
    """Evaluate a recurrent layer on its input and its initial states, which are zero if not given.

    The input is (rows, time, features), or (time, rows, features) where the layer is time-major;
    each state is (rows, units). The outputs are the sequence of states (rows, time, units) or the
    last one (rows, units), followed by the last states where the layer returns them. After those
    there may be one output more: the sequence of a layer that returns its last state only, seen by
    asking the same layer for it. It counts where it ends with the very state that was returned.
    """
    fmt = layer.arithmetic()
    _must_be_known(layer)
    options = options_of(layer)
    cell = cell_of(layer)
    x = np.asarray(inputs[0], np.float64)
    features = cell.kernel.w.shape[0]
    if x.ndim != 3 or x.shape[-1] != features or not x.size:
        raise UnsupportedError(f"its input of shape {x.shape} does not fit {features} rows")
    x = x if options.time_major else x.swapaxes(0, 1)
    x = x[::-1] if options.backwards else x
    shape = (*x.shape[:2], cell.kernel.units)
    check_size(shape if options.sequences else shape[1:])
    states = _initial(layer, cell, inputs[1:], x.shape[1])
    wanted = 1 + (len(states) if options.states else 0)
    more = not options.sequences and len(outputs) == wanted + 1
    seen = None
    if more or options.sequences:
        seen = _seen(outputs[-1 if more else 0 :], options, shape)
    do = Arithmetic(fmt, layer.generation, True, seen is None, movable(layer))
    every = options.sequences or seen is not None
    made = _evaluations(layer, Recurrence(cell, do, x, states, seen, every), options)
    if options.sequences or seen is None:
        return made[:wanted]
    if np.array_equal(seen[-1], outputs[0]):
        return made[1], *made[1:wanted], made[0]
    alone = Recurrence(cell, replace(do, lengths=True), x, states, None, False)
    return *_evaluations(layer, alone, options)[:wanted], made[0]


def _evaluations(layer: Layer, found: Recurrence, options: Options) -> tuple[Evaluation, ...]:
    samples = [
        apply_activation(
            layer.config.get(key), layer.generation, np.zeros((1, 1)), fmt=found.do.fmt
        )
        for key in ("activation", "recurrent_activation")
        if key in layer.config
    ]
    # A bound is a sum of the kernels' errors and of roundings, to first order; the square leaves
    # room for the rest.
    missed = max(each.missed for each in samples) ** 2
    sampled = " and ".join(dict.fromkeys(each.sampled for each in samples if each.sampled))

    def turned(values: F64) -> F64:
        return values if options.time_major or values.ndim != 3 else values.swapaxes(0, 1)

    def bound(number: int) -> F64:
        return turned(found.bounds[number])

    return tuple(
        Evaluation(turned(value), partial(bound, number), missed, sampled)
        for number, value in enumerate(found.values)
    )


def movable(layer: Layer) -> float:
    """Return the product of the constants that may be moved between a layer's activations."""
    specs = (layer.config.get(key) for key in ("activation", "recurrent_activation"))
    fmt = layer.arithmetic()
    return math.prod(constant_of(spec, layer.generation, fmt) for spec in specs)


def options_of(layer: Layer) -> Options:
    """Return how a recurrent layer goes over time.

    Raises:
        UnsupportedError: a switch of its configuration is neither true nor false.
    """
    return Options(
        sequences=flag(layer, "return_sequences"),
        states=flag(layer, "return_state"),
        backwards=flag(layer, "go_backwards"),
        time_major=flag(layer, "time_major"),
    )


def flag(layer: Layer, key: str, default: bool = False) -> bool:
    """Return a switch of the configuration.

    Raises:
        UnsupportedError: it is neither true nor false.
    """
    found = layer.config.get(key, default)
    if not isinstance(found, bool):
        raise UnsupportedError(f"its {key} is neither true nor false")
    return found


def _must_be_known(layer: Layer) -> None:
    """Refuse what the layer's inputs do not tell of."""
    if set(layer.devices) != {"CPU"}:
        where = " or ".join(layer.devices) or "a device that was not recorded"
        raise UnsupportedError(f"it ran on {where}, whose kernels may multiply with fewer digits")
    if layer.masked:
        raise UnsupportedError("it was given a mask, and its rule does not know masks")
    drops = any(layer.number(key, 0.0) for key in ("dropout", "recurrent_dropout"))
    if drops and layer.training is not False:
        raise UnsupportedError("it drops units at random in training")


def _initial(layer: Layer, cell: Cell, given: Sequence[AnyArray], rows: int) -> tuple[F64, ...]:
    """Return the states before the first step.

    Keras 3 prefers an initial state that it is given to the one that a stateful layer has kept;
    Keras 2 does only where the kept one is zero, which is not recorded.
    """
    wanted = 2 if cell.memory else 1
    if flag(layer, "stateful") and not (given and layer.generation == 3):
        raise UnsupportedError("it is stateful, and the state before this call was not recorded")
    if not given:
        return (np.zeros((rows, cell.kernel.units)),) * wanted
    shapes = [each.shape for each in given]
    if shapes != [(rows, cell.kernel.units)] * wanted:
        raise UnsupportedError(f"its initial states have shapes {shapes}")
    return tuple(np.asarray(each, np.float64) for each in given)


def _seen(outputs: Sequence[AnyArray], options: Options, shape: tuple[int, ...]) -> F64 | None:
    """Return the states that were observed, time first, if they are what the layer returns."""
    if not outputs or outputs[0].ndim != 3 or outputs[0].dtype.name not in FORMATS:
        return None
    seen = outputs[0] if options.time_major else outputs[0].swapaxes(0, 1)
    return seen.astype(np.float64) if seen.shape == shape else None


def _weights(layer: Layer, gates: int) -> tuple[Matrix, Matrix, F64 | None]:
    """Return the two matrices and the biases, which must fit each other."""
    weights = layer.numbers("kernel", "recurrent_kernel", optional=("bias",))
    kernel, recurrent, bias = weights["kernel"], weights["recurrent_kernel"], weights.get("bias")
    shapes = " and ".join(str(weight.shape) for weight in weights.values())
    unfit = UnsupportedError(f"its weights have shapes {shapes}")
    if kernel.ndim != 2 or recurrent.ndim != 2 or not kernel.size or not recurrent.size:
        raise unfit
    units = recurrent.shape[0]
    if kernel.shape[1] != gates * units or recurrent.shape[1] != gates * units:
        raise unfit
    if layer.config.get("units", units) != units:
        raise UnsupportedError("its units do not agree with its weights")
    if flag(layer, "use_bias", bias is not None) is (bias is None):
        raise UnsupportedError("its use_bias does not agree with its weights")
    rows = 1 if bias is None or bias.ndim == 1 else 2
    if bias is not None and bias.shape not in ((gates * units,), (2, gates * units)):
        raise unfit
    if rows == 2 and gates != 3:
        raise unfit
    if sum(kernel.shape[:1]) + units + 3 > MOST_TERMS:
        raise UnsupportedError(f"{kernel.shape[0] + units} products are too many for a bound")
    return Matrix(kernel, gates), Matrix(recurrent, gates), bias


def _activation(layer: Layer, key: str) -> JsonValue:
    if key not in layer.config:
        raise UnsupportedError(f"its {key} was not recorded")
    return layer.config[key]


def _simple(layer: Layer) -> Cell:
    return Simple(*_weights(layer, 1), _activation(layer, "activation"))


def _long_short(layer: Layer) -> Cell:
    specs = (_activation(layer, key) for key in ("activation", "recurrent_activation"))
    return LongShort(*_weights(layer, 4), *specs)


def _gated(layer: Layer) -> Cell:
    first, second = (_activation(layer, key) for key in ("activation", "recurrent_activation"))
    kernel, recurrent, bias = _weights(layer, 3)
    if bias is None and "reset_after" not in layer.config:
        raise UnsupportedError("its reset_after was not recorded")
    after = flag(layer, "reset_after", bias is not None and bias.ndim == 2)
    if bias is not None and after is not (bias.ndim == 2):
        raise UnsupportedError("its reset_after does not agree with its biases")
    return Gated(kernel, recurrent, bias, first, second, after)


_CELLS: Final[Mapping[str, Callable[[Layer], Cell]]] = {
    "SimpleRNN": _simple,
    "LSTM": _long_short,
    "GRU": _gated,
}

#: How many states each of them has.
STATES: Final[Mapping[str, int]] = {"SimpleRNN": 1, "LSTM": 2, "GRU": 1}

RULES: Final[Mapping[str, Rule]] = {
    name: partial(recurrent, cell_of=cell_of) for name, cell_of in _CELLS.items()
}
OBSERVED: Final[Mapping[str, ObservedRule]] = {
    name: partial(recurrent, cell_of=cell_of) for name, cell_of in _CELLS.items()
}
