"""Faults of what a run asked for, put into a recording: weights, configuration, inputs.

Nothing is run. What the damaged recording would have made is found by running its models again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import Capsule, LayerState, ModelState, Probe, WeightRecord
from bridge.capsule.schema import Array
from bridge.facts.keras import generation_of
from bridge.facts.layers import class_name, default_of
from bridge.faults.catalogue import FAULTS

Rng = np.random.Generator


@dataclass(frozen=True)
class Damaged:
    """A recording with a fault; ``layer`` names the layer that has it, "" for an input."""

    capsule: Capsule
    layer: str
    detail: str


def damage(capsule: Capsule, kind: str, rng: Rng, probe: int = 0) -> Damaged | None:
    """Return the recording with a fault in what one of its predictions was made from.

    Args:
        capsule: the recording.
        kind: a kind of :data:`bridge.faults.catalogue.FAULTS` that is put into recordings.
        rng: chooses the place.
        probe: the index of the prediction; its model and its inputs become its own.

    Returns:
        None where nothing that was recorded for it can have the fault.

    Raises:
        KeyError: there is no such kind.
    """
    rule = _RULES[kind]
    found = next(
        (candidate for candidate in capsule.manifest.probes if candidate.index == probe), None
    )
    if found is None or found.state is None:
        return None
    return rule(_Recording(capsule, found, found.state, kind, rng))


@dataclass(frozen=True)
class _Recording:
    """One prediction of a recording."""

    capsule: Capsule
    probe: Probe
    number: int
    kind: str
    rng: Rng

    @property
    def state(self) -> ModelState:
        return self.capsule.manifest.states[self.number]

    def layers(self) -> list[LayerState]:
        """Return the layers that can have the fault, in an order of chance."""
        fits = FAULTS[self.kind].fits
        found = [layer for layer in self.state.layers if fits(class_name(layer.cls) or "")]
        return [found[place] for place in self.rng.permutation(len(found))]

    def default(self, layer: LayerState, key: str) -> Any:
        """Return Keras' default for an argument, None if it has none."""
        generation = generation_of(self.state.keras, layer.config)
        return next(iter(default_of(generation, class_name(layer.cls) or "", key) or ()), None)

    def array(self, array: Array) -> AnyArray:
        return np.asarray(self.capsule.array(array))

    def with_inputs(self, place: int, value: AnyArray, detail: str) -> Damaged:
        inputs = list(self.probe.inputs)
        key, inputs[place] = self._kept(f"input.{place}", inputs[place], value)
        probe = self.probe.model_copy(update={"inputs": tuple(inputs)})
        return Damaged(self._made(probe, self.state, {key: value}), "", detail)

    def with_weight(self, layer: str, place: int, value: AnyArray, detail: str) -> Damaged:
        layers = list(self.state.layers)
        at = next(number for number, member in enumerate(layers) if member.name == layer)
        weights = list(layers[at].weights)
        key, array = self._kept(f"{at}.{place}", weights[place].array, value)
        weights[place] = weights[place].model_copy(update={"array": array})
        layers[at] = layers[at].model_copy(update={"weights": tuple(weights)})
        state = self.state.model_copy(update={"layers": tuple(layers)})
        return Damaged(self._made(self.probe, state, {key: value}), layer, detail)

    def with_config(self, layer: str, key: str, value: Any, detail: str) -> Damaged:
        layers = tuple(
            member.model_copy(update={"config": member.config | {key: value}})
            if member.name == layer
            else member
            for member in self.state.layers
        )
        config = copy.deepcopy(self.state.config)
        for part in _configs(config, layer):
            part[key] = value
        state = self.state.model_copy(update={"layers": layers, "config": config})
        return Damaged(self._made(self.probe, state, {}), layer, detail)

    def with_state(self, state: ModelState, layer: str, detail: str) -> Damaged:
        return Damaged(self._made(self.probe, state, {}), layer, detail)

    def _kept(self, name: str, array: Array, value: AnyArray) -> tuple[str, Array]:
        key = f"d{self.probe.index}.{name}"
        changed = {"key": key, "dtype": value.dtype.name, "shape": value.shape}
        return key, array.model_copy(update=changed)

    def _made(self, probe: Probe, state: ModelState, arrays: Mapping[str, AnyArray]) -> Capsule:
        """Give the prediction a state of its own: others may be of the same."""
        manifest = self.capsule.manifest
        # How it was run is still known from what was executed; what it made is not.
        own = probe.model_copy(update={"state": len(manifest.states), "outputs": (), "layers": ()})
        probes = tuple(
            own if recorded.index == probe.index else recorded for recorded in manifest.probes
        )
        changed = {"probes": probes, "states": (*manifest.states, state)}
        return Capsule(manifest.model_copy(update=changed), {**self.capsule.arrays, **arrays})


def _configs(config: Any, name: str) -> Iterator[dict[str, Any]]:
    """Yield the configurations of the layer ``name`` within that of its model."""
    if isinstance(config, dict):
        if config.get("name") == name:
            yield config
        for part in config.values():
            yield from _configs(part, name)
    elif isinstance(config, list):
        for part in config:
            yield from _configs(part, name)


def _kernels(layer: LayerState) -> list[int]:
    """Return the places of the weights that are matrices, or stacks of them."""
    return [place for place, weight in enumerate(layer.weights) if len(weight.array.shape) >= 2]


def _of_weights(change: Callable[[AnyArray, Rng], tuple[AnyArray, str] | None]) -> _Rule:
    def rule(recording: _Recording) -> Damaged | None:
        for layer in recording.layers():
            for place in _kernels(layer):
                value = recording.array(layer.weights[place].array)
                found = change(value, recording.rng)
                if found is not None and not np.array_equal(found[0], value):
                    name = layer.weights[place].name
                    detail = f"{name} of {layer.name}: {found[1]}"
                    return recording.with_weight(layer.name, place, found[0], detail)
        return None

    return rule


def _by_columns(value: AnyArray, _rng: Rng | None = None) -> tuple[AnyArray, str]:
    read = np.ascontiguousarray(value.reshape(-1).reshape(value.shape, order="F"))
    return read, "read by columns"


def _transposed(value: AnyArray, _rng: Rng) -> tuple[AnyArray, str] | None:
    if value.shape[-1] != value.shape[-2]:
        return None
    return np.ascontiguousarray(np.swapaxes(value, -1, -2)), "transposed"


def _swapped(value: AnyArray, rng: Rng) -> tuple[AnyArray, str] | None:
    if value.shape[-1] < 2:
        return None
    left, right = sorted(int(column) for column in rng.choice(value.shape[-1], 2, replace=False))
    changed = value.copy()
    changed[..., [left, right]] = value[..., [right, left]]
    return changed, f"columns {left} and {right} exchanged"


def _stale(recording: _Recording) -> Damaged | None:
    """Take the weights of another moment of the same model."""
    state = recording.state
    others = [
        moment
        for moment in recording.capsule.manifest.states
        if moment.id == state.id and moment is not state and _alike(moment.layers, state.layers)
    ]
    for moment in others:
        for mine, theirs in zip(state.layers, moment.layers, strict=True):
            if any(
                weight.array.key != two.array.key and not np.array_equal(
                    recording.array(weight.array), recording.array(two.array)
                )
                for weight, two in zip(mine.weights, theirs.weights, strict=True)
            ):  # fmt: skip
                changed = state.model_copy(update={"layers": moment.layers})
                return recording.with_state(changed, mine.name, "the weights of another moment")
    return None


def _alike(left: Sequence[LayerState], right: Sequence[LayerState]) -> bool:
    def shapes(weights: Sequence[WeightRecord]) -> list[tuple[int, ...]]:
        return [weight.array.shape for weight in weights]

    return [(layer.name, shapes(layer.weights)) for layer in left] == [
        (layer.name, shapes(layer.weights)) for layer in right
    ]


def _input_by_columns(recording: _Recording) -> Damaged | None:
    for place, input_ in enumerate(recording.probe.inputs):
        value = recording.array(input_)
        if value.ndim >= 2:
            changed, how = _by_columns(value)
            if not np.array_equal(changed, value):
                return recording.with_inputs(place, changed, f"{input_.name}: {how}")
    return None


def _integers(recording: _Recording) -> Iterator[tuple[int, Array, AnyArray]]:
    for place, input_ in enumerate(recording.probe.inputs):
        value = recording.array(input_)
        if value.dtype.kind in "iu":
            yield place, input_, value


def _float_for_int(recording: _Recording) -> Damaged | None:
    for place, input_, value in _integers(recording):
        return recording.with_inputs(place, value.astype(np.float32), f"{input_.name}: as float32")
    return None


def _factor_codes(recording: _Recording) -> Damaged | None:
    for place, input_, value in _integers(recording):
        return recording.with_inputs(place, value + value.dtype.type(1), f"{input_.name}: 1 more")
    return None


def _index_base(recording: _Recording) -> Damaged | None:
    for layer in recording.layers():
        axis = layer.config.get("axis")
        counted = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
        if isinstance(counted, int) and counted > 0:
            moved: Any = [counted + 1] if isinstance(axis, list) else counted + 1
            detail = f"axis of {layer.name}: {axis} counted from 1"
            return recording.with_config(layer.name, "axis", moved, detail)
    return None


def _null_dropped(recording: _Recording) -> Damaged | None:
    for layer in recording.layers():
        for key, value in layer.config.items():
            if isinstance(value, list) and None in value[1:]:
                left = [value[0], *(item for item in value[1:] if item is not None)]
                detail = f"{key} of {layer.name}: NULL dropped"
                return recording.with_config(layer.name, key, left, detail)
    return None


#: What a careless wrapper might send for an argument. Nothing is here that changes which weights
#: there are, or the shape of a result: then no model results.
_SENT: Final[Mapping[str, tuple[Any, ...]]] = {
    "activation": ("relu", "tanh"),
    "epsilon": (1e-5, 1e-7),
    "go_backwards": (True,),
    "negative_slope": (0.3,),
    "alpha": (0.01, 0.2),
}


def _settable(recording: _Recording) -> Iterator[tuple[LayerState, str, Any, Any, tuple[Any, ...]]]:
    """Yield layer, argument, what it is, Keras' default, and what else might have been sent."""
    for layer in recording.layers():
        for key, others in _SENT.items():
            default = recording.default(layer, key)
            if key in layer.config and default is not None:
                yield layer, key, layer.config[key], default, others


def _argument_dropped(recording: _Recording) -> Damaged | None:
    for layer, key, said, default, _ in _settable(recording):
        if said != default and said is not None:
            detail = f"{key} of {layer.name}: {said!r} dropped"
            return recording.with_config(layer.name, key, default, detail)
    return None


def _default_changed(recording: _Recording) -> Damaged | None:
    for layer, key, said, default, others in _settable(recording):
        left = [choice for choice in others if choice != default]
        if said == default and left:
            sent = left[int(recording.rng.integers(len(left)))]
            detail = f"{key} of {layer.name}: {sent!r} where {default!r} is the default"
            return recording.with_config(layer.name, key, sent, detail)
    return None


def _argument_truncated(recording: _Recording) -> Damaged | None:
    for layer in recording.layers():
        for key, said in layer.config.items():
            if key in ("momentum", "epsilon", "rate", "dropout", "recurrent_dropout"):
                # They do nothing in a prediction, or make nonsense of it when they are cut to 0.
                continue
            if not isinstance(said, float) or said == int(said):
                continue
            usual = recording.default(layer, key)
            if isinstance(usual, float) and np.float32(said) == np.float32(usual):
                # What is Keras' default was given by nobody, and so was not cut off either. Keras 2
                # keeps some of them as float32.
                continue
            detail = f"{key} of {layer.name}: {said} cut to {int(said)}"
            return recording.with_config(layer.name, key, float(int(said)), detail)
    return None


_Rule = Callable[[_Recording], Damaged | None]

_RULES: Final[Mapping[str, _Rule]] = {
    "column-major": _of_weights(_by_columns),
    "column-major-input": _input_by_columns,
    "float-for-int": _float_for_int,
    "null-dropped": _null_dropped,
    "index-base": _index_base,
    "factor-codes": _factor_codes,
    "argument-dropped": _argument_dropped,
    "argument-truncated": _argument_truncated,
    "default-changed": _default_changed,
    "weights-transposed": _of_weights(_transposed),
    "weights-swapped": _of_weights(_swapped),
    "weights-stale": _stale,
}

#: The kinds of faults that can be put into recordings.
KINDS: Final[frozenset[str]] = frozenset(_RULES)
