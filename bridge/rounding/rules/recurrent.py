"""Bounds of recurrent layers: cells, a step after another, and whole sequences."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Final, Protocol

import numpy as np
from pydantic import JsonValue

from bridge._typing import F64, AnyArray
from bridge.rounding.rules.activations import apply_activation
from bridge.rounding.rules.arithmetic import (
    Arithmetic,
    Matrix,
    Near,
    SumPart,
    constant_of,
    join,
    stack,
)
from bridge.rounding.rules.layer import Evaluation, Layer, ObservedRule, Rule, UnsupportedError
from bridge.rounding.rules.rounding import FLOAT32, FORMATS, MOST_TERMS
from bridge.rounding.rules.windows import check_size


class Cell(Protocol):
    """One step of a recurrent layer.

    ``gates`` counts the blocks of columns of its matrices. Where it has a ``memory``, a second
    state is kept beside the one that it shows.
    """

    @property
    def kernel(self) -> Matrix:
        """The input's matrix."""

    @property
    def gates(self) -> int:
        """The number of blocks of columns."""

    @property
    def memory(self) -> bool:
        """Whether there is a second state."""

    def entry(self, do: Arithmetic, x: Near, /) -> SumPart:
        """Return what the input adds to the gates, as (..., gates, units)."""

    def open(self, do: Arithmetic, entry: SumPart, h: Near, /) -> tuple[Near, ...]:
        """Return the gates for a state ``h``, each as (..., units)."""

    def keep(self, do: Arithmetic, gates: Sequence[Near], c: Near, /) -> Near:
        """Return the memory after ``c``."""

    def show(self, do: Arithmetic, gates: Sequence[Near], h: Near, c: Near, /) -> Near:
        """Return the state after ``h``, given the new memory."""


@dataclass(frozen=True)
class _Weights:
    kernel: Matrix
    recurrent: Matrix
    bias: F64 | None
    activation: JsonValue
    gate_activation: JsonValue = None

    @property
    def gates(self) -> int:
        """The number of blocks of columns."""
        return self.kernel.gates

    @property
    def memory(self) -> bool:
        """Whether there is a second state: not in most."""
        return False

    def entry(self, do: Arithmetic, x: Near) -> SumPart:
        """Return x W + b."""
        return _add(do, do.product(x, self.kernel), self._biases(0))

    def keep(self, _do: Arithmetic, _gates: Sequence[Near], c: Near) -> Near:
        """Return what stands for a memory where there is none."""
        return c

    def _biases(self, row: int) -> F64 | None:
        """Return a row of the biases by gate."""
        if self.bias is None:
            return None
        rows = self.bias.reshape(-1, self.kernel.gates, self.kernel.units)
        return np.asarray(rows[row]) if row < len(rows) else None


@dataclass(frozen=True)
class Simple(_Weights):
    """SimpleRNN: h' = f(x W + b + h U)."""

    def open(self, do: Arithmetic, entry: SumPart, h: Near) -> tuple[Near, ...]:
        """Return the new state itself."""
        z = do.settle((entry + do.product(h, self.recurrent)).gate(0))
        return (do.activate(self.activation, z),)

    def show(self, _do: Arithmetic, gates: Sequence[Near], _h: Near, _c: Near) -> Near:
        """Return the new state."""
        return gates[0]


@dataclass(frozen=True)
class LongShort(_Weights):
    """LSTM: i, f, o = s(x W + h U + b) and g = a(x W + h U + b); c' = f c + i g; h' = o a(c').

    The columns are in the order i, f, g, o.
    """

    @property
    def memory(self) -> bool:
        """Whether there is a second state: c."""
        return True

    def open(self, do: Arithmetic, entry: SumPart, h: Near) -> tuple[Near, ...]:
        """Return i, f, g, o."""
        z = do.settle(entry + do.product(h, self.recurrent))
        opened = do.activate(self.gate_activation, z.gate([0, 1, 3]))
        proposed = do.activate(self.activation, z.gate(2))
        return opened.gate(0), opened.gate(1), proposed, opened.gate(2)

    def keep(self, do: Arithmetic, gates: Sequence[Near], c: Near) -> Near:
        """Return f c + i g."""
        i, f, g, _ = gates
        return do.plus(do.times(f, c), do.times(i, g))

    def show(self, do: Arithmetic, gates: Sequence[Near], _h: Near, c: Near) -> Near:
        """Return o a(c)."""
        return do.times(gates[3], do.activate(self.activation, c))


@dataclass(frozen=True)
class Gated(_Weights):
    """GRU: z, r = s(x W + b + h U + b'); h' = z h + (1 - z) a(x W + b + r * (h U + b')).

    The columns are in the order z, r, candidate. Without ``after``, the reset gate is applied
    before the product, (r * h) U, and there is no b'.
    """

    after: bool = True

    def open(self, do: Arithmetic, entry: SumPart, h: Near) -> tuple[Near, ...]:
        """Return z and the candidate."""
        if self.after:
            inner = _add(do, do.product(h, self.recurrent), self._biases(1))
            z, r = self._opened(do, entry, inner.gate([0, 1]))
            reset = do.single(do.times(r, do.settle(inner.gate(2))))
        else:
            first, last = self._halves
            z, r = self._opened(do, entry, do.product(h, first))
            reset = do.product(do.times(r, h), last).gate(0)
        return z, do.activate(self.activation, do.settle(entry.gate(2) + reset))

    def show(self, do: Arithmetic, gates: Sequence[Near], h: Near, _c: Near) -> Near:
        """Return z h + (1 - z) times the candidate."""
        z, candidate = gates
        return do.blend(z, h, candidate)

    def _opened(self, do: Arithmetic, entry: SumPart, inner: SumPart) -> tuple[Near, Near]:
        opened = do.activate(self.gate_activation, do.settle(entry.gate([0, 1]) + inner))
        return opened.gate(0), opened.gate(1)

    @cached_property
    def _halves(self) -> tuple[Matrix, Matrix]:
        columns = 2 * self.recurrent.units
        return Matrix(self.recurrent.w[:, :columns], 2), Matrix(self.recurrent.w[:, columns:], 1)


def _add(do: Arithmetic, part: SumPart, bias: F64 | None) -> SumPart:
    return part if bias is None else part + do.single(Near(bias))


# Going over time with a cell: together where the states were seen, else one after the other.

#: Elements of the gates that are worked on at a time.
_BLOCK: Final = 2**20


@dataclass(frozen=True)
class Recurrence:
    """A cell with what it is given: ``x`` as (time, rows, features), each state as (rows, units).

    ``seen`` are the states as they were observed after each step, None where they were not.
    """

    cell: Cell
    do: Arithmetic
    x: F64
    states: tuple[F64, ...]
    seen: F64 | None
    every: bool

    @cached_property
    def values(self) -> tuple[F64, ...]:
        """The output and the last states in float64."""
        return tuple(near.value for near in self._run(replace(self.do, bounded=False)))

    @cached_property
    def bounds(self) -> tuple[F64, ...]:
        """The bounds of the output and of the last states.

        One that allows every number as large as those that were returned says nothing, and is
        given up.
        """
        return tuple(_telling(near) for near in self._run(self.do))

    def _run(self, do: Arithmetic) -> tuple[Near, ...]:
        width = self.cell.gates * self.states[0].shape[-1]
        rows = self.x.shape[1]
        most = max(1, _BLOCK // max(1, width))
        parts = [
            self._rows(do, slice(first, first + most), max(1, _BLOCK // (min(most, rows) * width)))
            for first in range(0, rows, most)
        ]
        shown, *last = zip(*parts, strict=True)
        return join(list(shown), 1 if self.every else 0), *(join(list(state), 0) for state in last)

    def _rows(self, do: Arithmetic, rows: slice, most: int) -> tuple[Near, ...]:
        """Go over time, at most so many steps at once, with some of the rows."""
        h, *memory = (Near(state[rows]) for state in self.states)
        c = memory[0] if memory else h
        shown: list[Near] = []
        step = self._together if self.seen is not None else self._apart
        for first in range(0, len(self.x), most):
            piece, h, c = step(do, rows, slice(first, min(first + most, len(self.x))), h, c)
            if self.every:
                shown.append(piece)
        output = join(shown, 0) if self.every else h
        return (output, h, c) if memory else (output, h)

    def _together(
        self, do: Arithmetic, rows: slice, steps: slice, h: Near, c: Near
    ) -> tuple[Near, Near, Near]:
        """Take steps of which each has the state that was seen before it."""
        assert self.seen is not None
        seen = self.seen[steps, rows]
        before = self._as_held(np.concatenate((h.value[np.newaxis], seen[:-1])))
        entry = self.cell.entry(do, Near(self.x[steps, rows]))
        gates = self.cell.open(do, entry, before)
        kept = c
        if self.cell.memory:
            memories: list[Near] = []
            for time in range(len(seen)):
                c = self.cell.keep(do, [gate.at(time) for gate in gates], c)
                memories.append(c)
            kept = stack(memories)
        output = self.cell.show(do, gates, before, kept)
        if steps.stop < len(self.x):
            return output, Near(seen[-1]), c
        return output, output.at(-1), c

    def _as_held(self, seen: F64) -> Near:
        """Return states that were seen as the layer may have held them.

        A compiler may keep more digits of a narrow type than it hands out.
        """
        if self.do.fmt.name == FLOAT32.name:
            return Near(seen)
        return Near(seen, self.do.fmt.unit * np.abs(seen) + self.do.fmt.tiny)

    def _apart(
        self, do: Arithmetic, rows: slice, steps: slice, h: Near, c: Near
    ) -> tuple[Near, Near, Near]:
        """Take one step after the other, each with the state that the last one made."""
        entry = self.cell.entry(do, Near(self.x[steps, rows]))
        outputs: list[Near] = []
        known, most = do.bounded, 2.0 * _largest(self.values[1]) if do.bounded else 0.0
        for time in range(len(entry.value)):
            # Once every error is larger than what will be returned, the bound will say nothing.
            known = known and bool((h.error <= most).any())
            now = do if known else replace(do, bounded=False)
            gates = self.cell.open(now, entry.at(time), h)
            c = self.cell.keep(now, gates, c)
            h = self.cell.show(now, gates, h, c)
            if do.bounded and not known:
                h, c = h.unknown, c.unknown
            if self.every:
                outputs.append(h)
        return stack(outputs) if outputs else h, h, c


def _telling(near: Near) -> F64:
    most = _largest(near.value)
    with np.errstate(all="ignore"):
        idle = (near.value - near.error < -most) & (near.value + near.error > most)
    return np.where(idle, np.inf, near.error)


def _largest(values: F64) -> float:
    """Return the largest magnitude among the finite numbers, 0 if there is none."""
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))


# SimpleRNN, LSTM and GRU, of both generations of Keras, at inference and without a mask.


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
    evaluations = _evaluations(layer, Recurrence(cell, do, x, states, seen, every), options)
    if options.sequences or seen is None:
        return evaluations[:wanted]
    if np.array_equal(seen[-1], outputs[0]):
        return evaluations[1], *evaluations[1:wanted], evaluations[0]
    alone = Recurrence(cell, replace(do, lengths=True), x, states, None, False)
    return *_evaluations(layer, alone, options)[:wanted], evaluations[0]


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
    missed = max(sample.missed for sample in samples) ** 2
    sampled = " and ".join(dict.fromkeys(sample.sampled for sample in samples if sample.sampled))

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
    if drops and layer.training:
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
    shapes = [state.shape for state in given]
    if shapes != [(rows, cell.kernel.units)] * wanted:
        raise UnsupportedError(f"its initial states have shapes {shapes}")
    return tuple(np.asarray(state, np.float64) for state in given)


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
