"""Layers around a layer: TimeDistributed, Bidirectional, and RNN around one cell.

A wrapper's configuration holds that of the layer inside (``keras/src/layers/rnn`` of Keras 3.15,
``tf_keras/src/layers/rnn`` of TensorFlow 2.21), and its weights are the inner layers' own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
from pydantic import JsonValue

from bridge._typing import F64, AnyArray
from bridge.facts.layers import class_name
from bridge.rounding.rules import recurrent
from bridge.rounding.rules.arithmetic import Arithmetic, Near
from bridge.rounding.rules.layer import (
    Evaluation,
    Layer,
    ObservedRule,
    Rule,
    UnsupportedError,
    single,
)

#: The layer that each cell makes.
_CELLS: Final = {"SimpleRNNCell": "SimpleRNN", "LSTMCell": "LSTM", "GRUCell": "GRU"}
_MERGES: Final = ("concat", "sum", "mul", "ave", None)
_Outputs = Sequence[AnyArray]


def time_distributed(layer: Layer, inputs: _Outputs, outputs: _Outputs = ()) -> tuple[Evaluation]:
    """Evaluate a layer that does the same at every step: (rows, time, ...) to (rows, time, ...)."""
    inner = _inner(layer, layer.config.get("layer"), layer.weights)
    x = single(inputs)
    if x.ndim < 3:
        raise UnsupportedError(f"its input of shape {x.shape} has no time axis")
    steps = x.shape[:2]

    def apart(array: AnyArray) -> AnyArray:
        return array.reshape(steps[0] * steps[1], *array.shape[2:])

    def together(array: AnyArray) -> AnyArray:
        return array.reshape(*steps, *array.shape[1:])

    seen = [apart(y) for y in outputs if y.shape[:2] == steps]
    found = _evaluate(inner, [apart(x)], seen if seen and len(seen) == len(outputs) else None)
    if len(found) != 1:
        raise UnsupportedError(f"the layer inside has {len(found)} outputs")
    first = found[0]
    if first.value.shape[:1] != (steps[0] * steps[1],):
        raise UnsupportedError("the layer inside does not keep its rows apart")
    derive = None if first.derive is None else (lambda: np.asarray(together(first.bound)))
    return (replace(first, value=together(first.value), derive=derive),)


def rnn(layer: Layer, inputs: _Outputs, outputs: _Outputs = ()) -> tuple[Evaluation, ...]:
    """Evaluate an RNN layer around one of Keras' own cells."""
    cell = _inner(layer, layer.config.get("cell"), layer.weights)
    kind = _CELLS.get(class_name(cell.cls) or "")
    if kind is None:
        raise UnsupportedError(f"there is no rule for the cell {cell.cls}")
    config = {**cell.config, **{k: v for k, v in layer.config.items() if k != "cell"}}
    found = replace(layer, cls=kind, config=config)
    return _evaluate(found, inputs, outputs or None)


def bidirectional(layer: Layer, inputs: _Outputs, outputs: _Outputs = ()) -> tuple[Evaluation, ...]:
    """Evaluate a recurrent layer and one that goes the other way.

    Both are given the input; the first half of the initial states is the forward layer's. The
    sequence of the other one is turned round before the two are merged.
    """
    ahead, back = _directions(layer)
    merge = layer.config.get("merge_mode", "concat")
    if merge not in _MERGES:
        raise UnsupportedError(f"its merge_mode {merge!r} is not known")
    options = recurrent.options_of(ahead)
    back_options = recurrent.options_of(back)
    if (options.sequences, options.states) != (back_options.sequences, back_options.states):
        raise UnsupportedError("its two layers do not return alike")
    half = len(inputs) // 2
    if len(inputs) % 2 == 0:
        raise UnsupportedError(f"it has {len(inputs)} inputs; its rule takes one, and pairs")
    time = 0 if options.time_major else 1
    kept = 1 + (recurrent.STATES[class_name(ahead.cls) or ""] if options.states else 0)
    seen = _seen(outputs, merge, ahead, kept, time)
    first = _evaluate(ahead, [inputs[0], *inputs[1 : half + 1]], seen and seen[0])
    last = _evaluate(back, [inputs[0], *inputs[half + 1 :]], seen and seen[1])
    turned = _turned(last[0], time) if options.sequences else last[0]
    more = [*first[kept:], *(_turned(state, time) for state in last[kept:])]
    constant = recurrent.movable(ahead) * recurrent.movable(back)
    do = Arithmetic(layer.arithmetic(), layer.generation, bounded=True, constant=constant)
    return (*_merged(do, first[0], turned, merge), *first[1:kept], *last[1:kept], *more)


def _evaluate(layer: Layer, inputs: _Outputs, outputs: _Outputs | None) -> tuple[Evaluation, ...]:
    # The rules' own index imports this module.
    from bridge.rounding import rules

    return rules.evaluate(layer, inputs, received=False, outputs=outputs)


def _inner(layer: Layer, spec: JsonValue, weights: Mapping[str, AnyArray]) -> Layer:
    """Return a layer inside as a layer of its own."""
    spec = spec if isinstance(spec, dict) else {}
    cls, config = spec.get("class_name"), spec.get("config")
    if not isinstance(cls, str) or not isinstance(config, dict):
        raise UnsupportedError("the layer inside was not recorded")
    module, registered = spec.get("module"), spec.get("registered_name")
    if isinstance(registered, str) and ">" in registered:
        cls = registered
    elif isinstance(module, str):
        cls = f"{module}.{cls}"
    name = config.get("name")
    found = replace(
        layer,
        name=name if isinstance(name, str) else layer.name,
        cls=cls,
        config=config,
        weights=weights,
    )
    if found.compute_dtype != layer.compute_dtype:
        raise UnsupportedError(
            f"the layer inside computes in {found.compute_dtype}, it in {layer.compute_dtype}"
        )
    return found


def _directions(layer: Layer) -> tuple[Layer, Layer]:
    """Return the forward and the backward layer."""
    spec, own = layer.config.get("layer"), layer.config.get("backward_layer")
    ahead = _inner(layer, spec, {})
    back = _inner(layer, spec if own is None else own, {})
    if own is None:
        turned = not recurrent.options_of(ahead).backwards
        back = replace(back, config={**back.config, "go_backwards": turned})
    for inner in (ahead, back):
        if class_name(inner.cls) not in recurrent.RULES:
            raise UnsupportedError(f"there is no rule for {inner.cls} in two directions")
    ahead_names = {ahead.name, f"forward_{ahead.name}"}
    back_names = {f"backward_{back.name}"} | (set() if own is None else {back.name})
    groups: dict[str, dict[str, AnyArray]] = {}
    for name, weight in layer.weights.items():
        path, _, last = name.rpartition("/")
        groups.setdefault(path, {})[last] = weight
    parts = {path: set(path.split("/")) for path in groups}
    forward = [path for path in groups if parts[path] & ahead_names]
    backward = [path for path in groups if parts[path] & back_names]
    if len(groups) != 2 or len(forward) != 1 or len(backward) != 1 or forward == backward:
        raise UnsupportedError("which of its weights are of which direction was not recorded")
    return (
        replace(ahead, weights=groups[forward[0]]),
        replace(back, weights=groups[backward[0]]),
    )


def _seen(
    outputs: _Outputs, merge: JsonValue, ahead: Layer, kept: int, time: int
) -> tuple[list[AnyArray], list[AnyArray]] | None:
    """Return what each direction was seen to return, where the merge keeps them apart.

    Each returns ``kept`` arrays. After the outputs there may be the sequences of both directions,
    as the wrapper returns them unmerged.
    """
    kernel = ahead.weights.get("recurrent_kernel")
    if kernel is None or kernel.ndim == 0 or merge not in ("concat", None) or not outputs:
        return None
    parts, rest = outputs[:2], outputs[2:]
    if merge == "concat":
        units = kernel.shape[0]
        parts, rest = [outputs[0][..., :units], outputs[0][..., units:]], outputs[1:]
    states, more = rest[: 2 * kept - 2], rest[2 * kept - 2 :]
    if len(parts) != 2 or len(states) != 2 * kept - 2 or len(more) not in (0, 2):
        return None
    if any(part.ndim < 2 for part in (*parts, *more)):
        return None
    first, last = parts
    last = np.flip(last, time) if last.ndim == 3 else last
    return (
        [first, *states[: kept - 1], *more[:1]],
        [last, *states[kept - 1 :], *(np.flip(state, time) for state in more[1:])],
    )


def _turned(found: Evaluation, axis: int) -> Evaluation:
    """Return the evaluation of a sequence that goes the other way."""
    return replace(
        found, value=np.flip(found.value, axis), derive=lambda: np.flip(found.bound, axis)
    )


def _merged(
    do: Arithmetic, a: Evaluation, b: Evaluation, merge: JsonValue
) -> tuple[Evaluation, ...]:
    """Return the outputs of both directions as one, or as they are."""
    if merge is None:
        return a, b
    missed = max(a.missed, b.missed)
    sampled = " and ".join(dict.fromkeys(part for part in (a.sampled, b.sampled) if part))
    make = partial(Evaluation, missed=missed, sampled=sampled)
    if merge == "concat":
        value = np.concatenate((a.value, b.value), axis=-1)
        return (make(value, lambda: np.concatenate((a.bound, b.bound), axis=-1)),)
    if a.value.shape != b.value.shape:
        raise UnsupportedError("its two layers do not return alike")

    def near(bounded: bool) -> Near:
        now = replace(do, bounded=bounded)
        p, q = (Near(x.value, x.bound) if bounded else Near(x.value) for x in (a, b))
        if merge == "mul":
            return now.times(p, q)
        found = now.plus(p, q)
        if merge == "sum":
            return found
        # Halving is exact but for numbers that are flushed to zero.
        return Near(found.value / 2.0, found.error / 2.0 + do.fmt.tiny)

    def bound() -> F64:
        return near(bounded=True).error

    return (make(near(bounded=False).value, bound),)


RULES: Final[Mapping[str, Rule]] = {
    "TimeDistributed": time_distributed,
    "Bidirectional": bidirectional,
    "RNN": rnn,
}
OBSERVED: Final[Mapping[str, ObservedRule]] = {
    "TimeDistributed": time_distributed,
    "Bidirectional": bidirectional,
    "RNN": rnn,
}
