"""What rounding does to a layer, measured: repeated runs with every argument moved a little."""

from __future__ import annotations

import copy
import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import Capsule, ModelState
from bridge.errors import BridgeError, attempted
from bridge.rounding.layer_graph import find_layer
from bridge.rounding.rules import evaluate_chain, layer_of
from bridge.rounding.rules.layer import policy_name
from bridge.rounding.rules.rounding import FORMATS
from bridge.runs.model_execution import Sight, settle
from bridge.trace.call_tracer import CallGroup, TensorPlace, TracedCall, arrays
from bridge.trace.encoder import to_numpy

_WORDS: Final = {2: np.int16, 4: np.int32, 8: np.int64}


def moved(x: AnyArray, random: np.random.Generator) -> AnyArray:
    """Return the numbers, each moved to the next below, left as it is, or moved to the next above.

    The three are equally likely. What is not finite stays, and nothing becomes infinite. A zero of
    either sign has the smallest numbers as its neighbours.

    Args:
        x: numbers of any binary floating-point type of 16, 32 or 64 bits, in any shape.
        random: the source of chance.
    """
    word: Any = _WORDS[x.dtype.itemsize]
    bits = np.ascontiguousarray(x).view(word).reshape(x.shape)
    step = random.integers(-1, 2, x.shape, dtype=np.int8).astype(word)
    # As a word with the sign taken off, the next larger magnitude is one more.
    sign = bits & np.iinfo(word).min
    size = bits & np.iinfo(word).max
    largest = np.array(np.inf).astype(x.dtype).reshape(1).view(word)[0] - 1
    step = np.where((size > largest) | ((size == largest) & (step > 0)), 0, step)
    below_zero = (size == 0) & (step < 0)
    sign = np.where(below_zero, sign ^ np.iinfo(word).min, sign)
    size = np.where(below_zero, 1, size + step)
    found: AnyArray = (sign | size).astype(word).view(x.dtype).reshape(x.shape)
    return found


# Layers run again by themselves: as they are, or copied into float64.

#: Arrays and tensors by number.
Values = dict[int, Any]


class CannotError(BridgeError):
    """A layer run by itself would say nothing; the message is a sentence that says why."""


def evaluate(calls: Sequence[TracedCall], given: Values, layer_of: Callable[[Any], Any]) -> Any:
    """Make the calls one after another and return what the last one makes; tensors by number."""
    import tensorflow as tf

    known = dict(given)
    outputs: Any = None

    def fill(leaf: Any) -> Any:
        return known[leaf.number] if isinstance(leaf, TensorPlace) else leaf

    for call in calls:
        for number, mask in zip(call.inputs, call.masks, strict=True):
            if call.masked and mask in given:
                known[number]._keras_mask = known[mask]
        args, kwargs = tf.nest.map_structure(fill, (call.args, call.kwargs))
        outputs = arrays(layer_of(call.layer)(*args, **kwargs))
        known.update(zip(call.outputs, outputs, strict=True))
    return outputs[0]


def itself(layer: Any) -> Any:
    """Return the layer."""
    return layer


class Doubled:
    """The layers in float64, with the same weights."""

    def __init__(self, calls: Sequence[TracedCall]) -> None:
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
        output = to_numpy(evaluate(self._calls, values, self._copy))
        if output.dtype != np.float64:
            raise CannotError(f"in float64 it makes {output.dtype.name}")
        return output

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
        return type(config)(in_float64(item) for item in config)
    return config


def _is_float(dtype: Any) -> bool:
    return policy_name(dtype).removeprefix("mixed_") in FORMATS


def _hand_over(layer: Any, double: Any) -> None:
    if double is layer:
        return
    weights = [to_numpy(weight) for weight in layer.weights]
    if [tuple(weight.shape) for weight in double.weights] != [weight.shape for weight in weights]:
        raise CannotError("in float64 it has other weights")
    double.set_weights([
        weight.astype(np.float64) if weight.dtype.name in FORMATS else weight for weight in weights
    ])  # fmt: skip
    settle(double)


# What rounding does to a layer, measured: repeated runs with every argument moved a little.

#: How often a layer is run.
RUNS: Final = 32
#: The first rows that are used, at most, and the elements of inputs and outputs together.
MOST_ROWS: Final = 256
MOST_ELEMENTS: Final = 2**20
#: Weights beyond this number of elements are not moved so often.
MOST_WEIGHTS: Final = 2**23

#: The binary digits after the point of float64.
_DIGITS: Final = np.finfo(np.float64).nmant


@dataclass(frozen=True)
class Found:
    """As :class:`bridge.capsule.Perturbed`."""

    exact: AnyArray
    scale: AnyArray
    statistics: tuple[float, ...]
    rows: int


def wanting(recorded: Capsule, state: ModelState, sight: Sight, unit: CallGroup) -> bool:
    """Say whether no rule speaks for a unit, so that repeated runs should.

    A rule is asked by giving it the first row: there may be one, and not for such a layer.
    """
    calls = [sight.calls[place] for place in unit.calls]
    if not unit.is_chain or any(call.arguments for call in calls):
        return True
    found = [(call, find_layer(state.layers, call.path)) for call in calls]
    if any(layer is None for _, layer in found):
        # Operations of Keras 3 are called in the graph, and are not among the layers.
        return True

    def evaluate_once() -> None:
        layers = [
            layer_of(recorded, state, layer, masked=call.masked)
            for call, layer in found
            if layer is not None
        ]
        inputs = [sight.values[calls[0].inputs[which]][:1] for _, which in unit.inputs]
        evaluate_chain(layers, inputs)

    try:
        return attempted("asking whether a layer has a rule", evaluate_once) is not None
    except BridgeError:
        # Mostly an UnsupportedError: the rule does not speak.
        return True


class Perturber:
    """Perturbs the units of one run.

    Args:
        sight: the run.
        until: the time of the process (of the processor, in seconds) when nothing new is begun.
        memory: what was found before, in runs of the same model as well.
    """

    def __init__(
        self, sight: Sight, until: float = math.inf, memory: dict[Any, Found] | None = None
    ) -> None:
        self._sight = sight
        self._until = until
        self._memory = {} if memory is None else memory

    def perturb(self, unit: CallGroup) -> Found | str:
        """Return what repeated runs did, or a sentence that says why there are none."""
        try:
            key = self._key(unit)
            if key not in self._memory:
                if time.process_time() > self._until:
                    return "no time was left for repeated runs"
                self._memory[key] = self._perturb(unit)
            return self._memory[key]
        except CannotError as error:
            return f"repeated runs say nothing: {error}"
        except Exception as error:  # a layer of a stranger's may raise anything
            return f"the layer cannot be run by itself: {type(error).__name__}: {error}"[:500]

    def _perturb(self, unit: CallGroup) -> Found:
        calls = [self._sight.calls[place] for place in unit.calls]
        given = self._inputs_of(unit)
        result = self._result(calls[-1])
        rows = _rows([*given.values(), result], len(result))
        whole = {number: np.asarray(x) for number, x in given.items()}
        first = {number: _first(x, rows, len(result)) for number, x in whole.items()}
        weights = _weights(calls)
        if sum(weight.size for _, weight in weights) > MOST_WEIGHTS:
            raise CannotError(f"its weights have more than {MOST_WEIGHTS:,} elements")
        doubled = Doubled(calls)
        exact = doubled(first)
        dtype = result.dtype
        if exact.shape[1:] != result.shape[1:]:
            raise CannotError(f"in float64 its output has shape {exact.shape}")
        repeats = _PerturbedRuns(calls, first, weights, dtype)
        try:
            begun = time.process_time()
            runs = [repeats.eagerly()]
            if time.process_time() + RUNS * (time.process_time() - begun) > self._until:
                raise CannotError("they would take too long")
            runs += [repeats.eagerly() for _ in range(1, RUNS // 2)]
            runs += [repeats.as_graph() for _ in range(RUNS // 2)]
        finally:
            repeats.restore()
        found = _measure(exact, runs, dtype, rows)
        self._check(doubled, whole, first, found, dtype)
        return found

    def _key(self, unit: CallGroup) -> Any:
        """Return what decides about the runs of a unit, the weights of the model aside."""
        calls = [self._sight.calls[place] for place in unit.calls]
        given = (
            (x.dtype.name, x.shape, hashlib.sha256(x.tobytes()).digest())
            for x in map(np.asarray, self._inputs_of(unit).values())
        )
        return (*((call.path, call.node) for call in calls), *given)

    def _inputs_of(self, unit: CallGroup) -> Values:
        """Return what the unit received, and the masks that came with it, by number."""
        found: Values = {}
        for place, which in unit.inputs:
            call = self._sight.calls[place]
            wanted = [call.inputs[which]]
            mask = call.masks[which]
            wanted += [mask] if call.masked and mask is not None else []
            for number in wanted:
                if number not in self._sight.values:
                    raise CannotError("not everything that it was given could be seen")
                found[number] = self._sight.values[number]
        return found

    def _result(self, call: TracedCall) -> AnyArray:
        if len(call.outputs) != 1:
            raise CannotError(f"it has {len(call.outputs)} outputs")
        result = self._sight.values[call.outputs[0]]
        if result.dtype.name not in FORMATS or result.ndim == 0:
            raise CannotError(f"its output is {result.dtype.name} of shape {result.shape}")
        return result

    def _check(
        self, doubled: Doubled, whole: Values, first: Values, found: Found, dtype: np.dtype[Any]
    ) -> None:
        """Make sure that the float64 result is one: the same again, and the same for all rows.

        Where it is, float64 deviates less than the layer's own type by as many binary digits as
        it has more. Half of them is far from both that and no difference at all.
        """
        again = doubled(first)
        near = np.ldexp(found.scale, -(_DIGITS - FORMATS[dtype.name].digits) // 2)
        if not _alike(again, found.exact, near):
            raise CannotError("it is random, or remembers what it was given before")
        if any(len(x) != len(whole[number]) for number, x in first.items() if x.ndim):
            every = doubled(whole)[: found.rows]
            if not _alike(every, found.exact, near):
                raise CannotError("what it makes of some rows depends on the others")


def _alike(a: AnyArray, b: AnyArray, near: AnyArray) -> bool:
    with np.errstate(invalid="ignore"):
        same = (np.abs(a - b) <= near) | (a == b) | (np.isnan(a) & np.isnan(b))
    return bool(same.all())


def _rows(values: Sequence[AnyArray], count: int) -> int:
    """Return how many rows are used; all of them where something has another number of rows."""
    cut = [x for x in values if x.ndim and len(x) == count]
    whole = sum(x.size for x in values) - sum(x.size for x in cut)
    per_row = sum(x.size for x in cut) // max(count, 1)
    if whole + per_row > MOST_ELEMENTS:
        raise CannotError(f"it was given more than {MOST_ELEMENTS:,} elements at once")
    return max(1, min(count, MOST_ROWS, (MOST_ELEMENTS - whole) // max(per_row, 1)))


def _first(x: AnyArray, rows: int, count: int) -> AnyArray:
    return x[:rows] if x.ndim and len(x) == count else x


def _weights(calls: Sequence[TracedCall]) -> list[tuple[Any, AnyArray]]:
    """Return the weights of the layers, each once, with their elements."""
    found = {
        id(weight): (weight, to_numpy(weight))
        for call in calls
        for weight in getattr(call.layer, "weights", ())
    }
    return list(found.values())


class _PerturbedRuns:
    """Runs of the layers as they are, each with everything moved anew."""

    def __init__(
        self,
        calls: Sequence[TracedCall],
        given: Values,
        weights: Sequence[tuple[Any, AnyArray]],
        dtype: np.dtype[Any],
    ) -> None:
        self._calls, self._given, self._weights, self._dtype = calls, given, weights, dtype
        self._types = _types(calls, given, weights)
        self._random = np.random.default_rng(0)
        self._graph: Callable[..., Any] | None = None

    def eagerly(self) -> AnyArray:
        return self._kept(evaluate(self._calls, self._moved(), itself))

    def as_graph(self) -> AnyArray:
        import tensorflow as tf

        given = self._moved()
        numbers = list(given)
        if self._graph is None:
            self._graph = tf.function(
                lambda values: evaluate(
                    self._calls, dict(zip(numbers, values, strict=True)), itself
                ),
                autograph=False,
            )
        return self._kept(self._graph(list(given.values())))

    def restore(self) -> None:
        """Give the layers back their own weights."""
        for variable, values in self._weights:
            variable.assign(values)

    def _moved(self) -> Values:
        import tensorflow as tf

        for variable, values in self._weights:
            variable.assign(self._near(values, self._types[id(variable)]))
        return {
            number: tf.constant(self._near(x, self._types[number]))
            for number, x in self._given.items()
        }

    def _near(self, x: AnyArray, dtype: np.dtype[Any]) -> AnyArray:
        """Move numbers; a layer that computes in a narrower type rounds them to that first."""
        if x.dtype.name not in FORMATS:
            return x
        return moved(x.astype(dtype), self._random).astype(x.dtype)

    def _kept(self, output: Any) -> AnyArray:
        found = to_numpy(output)
        if found.dtype != self._dtype:
            raise CannotError(f"by itself it makes {found.dtype.name}")
        return found


def _types(
    calls: Sequence[TracedCall], given: Values, weights: Sequence[tuple[Any, AnyArray]]
) -> dict[int, np.dtype[Any]]:
    """Return the type in which each input, by number, and each weight, by identity, is used."""
    found = {number: x.dtype for number, x in given.items()}
    found |= {id(weight): x.dtype for weight, x in weights}
    for call in reversed(calls):
        computes = FORMATS.get(str(getattr(call.layer, "compute_dtype", "")))
        own = [id(weight) for weight in getattr(call.layer, "weights", ())]
        for key in (*own, *call.inputs):
            held = FORMATS.get(found[key].name) if key in found else None
            if computes is not None and held is not None and computes.digits < held.digits:
                found[key] = computes.dtype
    return found


def _measure(exact: AnyArray, runs: Sequence[AnyArray], dtype: np.dtype[Any], rows: int) -> Found:
    """Return the scale at each element, and each run's largest distance in it."""
    with np.errstate(all="ignore"):
        squares = np.zeros(exact.shape)
        for y in runs:
            squares += _distance(y, exact) ** 2
        scale = np.maximum(np.sqrt(squares / len(runs)), FORMATS[dtype.name].ulp(exact))
        scale = np.where(np.isnan(scale), np.inf, scale)
        statistics = []
        for y in runs:
            ratio = _distance(y, exact) / scale
            statistics.append(float(np.nan_to_num(ratio, nan=0.0).max(initial=0.0)))
    return Found(exact, scale, tuple(statistics), rows)


def _distance(y: AnyArray, exact: AnyArray) -> AnyArray:
    """Return |y - exact|; 0 where both are the same infinity or none is a number."""
    wide = y.astype(np.float64)
    same = (wide == exact) | (np.isnan(wide) & np.isnan(exact))
    gap = np.abs(wide - exact)
    return np.where(same, 0.0, np.where(np.isnan(gap), np.inf, gap))
