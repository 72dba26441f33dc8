"""Stretches of a recorded model as models of their own: built, given whole numbers, and run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import ModelState
from bridge.exact import Draw, Setting, Source, Stretch, Tensor
from bridge.exact.expected import Numbers, as_exact
from bridge.exact.records import Part
from bridge.facts.keras import generation_of
from bridge.facts.layers import is_merging
from bridge.faults.layers import OF_WEIGHTS, Fault, put_in
from bridge.rounding.rules import Layer, UnsupportedError


def tensors_of(model: Any) -> dict[str, Tensor]:
    """Return what each layer and input of a model makes, by name; "" is a Sequential's input."""
    found = {layer.name: _output(layer) for layer in model.layers}
    if type(model).__name__ == "Sequential":
        found[""] = model.inputs[0]
    return {
        name: Tensor(tuple(tensor.shape), _dtype(tensor))
        for name, tensor in found.items()
        if hasattr(tensor, "shape") and hasattr(tensor, "dtype") and len(tensor.shape) > 0
    }


def _output(layer: Any) -> Any:
    try:
        return layer.output
    except (AttributeError, ValueError):
        # It has several, or none.
        return None


def _dtype(tensor: Any) -> str:
    return str(getattr(tensor.dtype, "name", tensor.dtype))


@dataclass(frozen=True)
class Task:
    """A stretch to be run: of which model, built from which, with which numbers."""

    label: str
    number: int
    state: ModelState
    model: Any
    tensors: Mapping[str, Tensor]
    stretch: Stretch
    bare: tuple[str, ...]
    whole: bool


class Built:
    """One stretch as a Keras model, made of copies of the model's layers.

    ``until`` ends it with a layer before the end; ``every`` asks for every layer's output. The
    ``model`` itself is run where the stretch is all of it and nothing else is asked.
    """

    def __init__(
        self,
        keras: Any,
        model: Any,
        tensors: Mapping[str, Tensor],
        stretch: Stretch,
        *,
        until: str = "",
        every: bool = False,
        fault: Fault | None = None,
    ) -> None:
        self._keras = keras
        self._tensors = tensors
        self._stretch = stretch
        self._fault = fault
        self._ways: dict[str, Callable[..., Any]] = {}
        self.names = self._wanted(until)
        self.outputs = self.names if every else (until,) if until else stretch.outputs
        if stretch.whole and not until and not every and fault is None:
            self.model = model
        else:
            self.model = self._build(model)
        self._layers = {layer.name: layer for layer in self.model.layers}
        if fault is not None and fault.kind not in OF_WEIGHTS and fault.layer in self._layers:
            put_in(fault, self._layers[fault.layer])

    def _wanted(self, until: str) -> tuple[str, ...]:
        """Return the layers that are needed for the output of ``until``, in order."""
        names = tuple(layer.name for layer in self._stretch.layers)
        if not until:
            return names
        needed = {until}
        for name in reversed(names):
            if name in needed:
                needed.update(each.name for each in self._stretch.feeds[name] if not each.fresh)
        return tuple(name for name in names if name in needed)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The names of the fresh inputs that are needed, in the stretch's order."""
        needed = {each.name for name in self.names for each in self._stretch.feeds[name]
                  if each.fresh}  # fmt: skip
        return tuple(name for name in self._stretch.inputs if name in needed)

    def _build(self, model: Any) -> Any:
        originals = {layer.name: layer for layer in model.layers}
        starts = {name: self._start(name) for name in self.inputs}
        made: dict[Source, Any] = {Source(name, True): starts[name] for name in self.inputs}
        for state in self._stretch.layers:
            if state.name not in self.names:
                continue
            config = originals[state.name].get_config()
            if state.name in self._stretch.bare:
                config = {**config, "activation": "linear"}
            layer = type(originals[state.name]).from_config(config)
            given = [made[source] for source in self._stretch.feeds[state.name]]
            several = len(given) > 1 or is_merging(state.cls)
            made[Source(state.name, False)] = layer(given if several else given[0])
        outputs = [made[Source(name, False)] for name in self.outputs]
        inputs = list(starts.values())
        return self._keras.Model(_plain(inputs), _plain(outputs))

    def _start(self, name: str) -> Any:
        tensor = self._tensors[name]
        label = self._stretch.start(name)
        return self._keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=label)

    def give(self, weights: Mapping[str, Mapping[str, AnyArray]]) -> None:
        """Set the weights, by layer and name, and the fault again if it is one of weights."""
        for state in self._stretch.layers:
            if state.name in self._layers and state.weights:
                mine = weights[state.name]
                self._layers[state.name].set_weights([mine[each.name] for each in state.weights])
        fault = self._fault
        if fault is not None and fault.kind in OF_WEIGHTS and fault.layer in self._layers:
            put_in(fault, self._layers[fault.layer])

    def run(self, setting: Setting, inputs: Sequence[AnyArray]) -> list[AnyArray]:
        """Run the model and return its outputs."""
        if setting.way == "predict":
            rows = setting.rows or len(inputs[0])
            return _arrays(self.model.predict(_plain(inputs), batch_size=rows, verbose=0))
        made = self._way(setting.way, inputs)
        count = len(inputs[0])
        step = setting.rows or count
        parts = [
            _arrays(made(*(x[row : row + step] for x in inputs))) for row in range(0, count, step)
        ]
        return [np.concatenate(same) for same in zip(*parts, strict=True)]

    def _way(self, way: str, inputs: Sequence[AnyArray]) -> Callable[..., Any]:
        if way not in self._ways:
            self._ways[way] = self._made_way(way, inputs)
        return self._ways[way]

    def _made_way(self, way: str, inputs: Sequence[AnyArray]) -> Callable[..., Any]:
        import tensorflow as tf

        def called(*given: Any) -> Any:
            return self.model(_plain(given), training=False)

        if way == "eager":
            return lambda *given: called(*(tf.constant(x) for x in given))
        signature = [tf.TensorSpec((None, *x.shape[1:]), x.dtype) for x in inputs]
        traced = tf.function(called, input_signature=signature, jit_compile=way == "xla")
        return lambda *given: traced(*(tf.constant(x) for x in given))


@dataclass
class Models:
    """The Keras models of one stretch: one for all ways, and others with a fault, if there is one.

    ``states`` has the numbers of the states that were told, by name.
    """

    keras: Any
    task: Task
    fault: Fault | None
    states: dict[str, int] = field(default_factory=dict)
    _holds: dict[int, Part] = field(default_factory=dict)
    _built: dict[tuple[str, bool, bool], Built] = field(default_factory=dict)
    _exact: dict[str, Mapping[str, AnyArray]] = field(default_factory=dict)

    def exact(self, draw: Draw) -> Mapping[str, AnyArray]:
        """Return what every layer must make of a draw's numbers."""
        if draw.style not in self._exact:
            self._exact = {draw.style: _exact(self.task, draw)}
        return self._exact[draw.style]

    def get(self, way: str, until: str = "", *, every: bool = False, faulty: bool = False) -> Built:
        """Return the model for a way, built when it is first needed."""
        fault = self.fault if faulty and self.fault and self.fault.shows(way) else None
        key = (until, every, fault is not None)
        if key not in self._built:
            task = self.task
            self._built[key] = Built(
                self.keras, task.model, task.tensors, task.stretch,
                until=until, every=every, fault=fault,
            )  # fmt: skip
        return self._built[key]

    def give(self, built: Built, part: Part, draw: Draw) -> None:
        """Give a model the weights of a draw if it has others."""
        if self._holds.get(id(built)) != part:
            built.give(draw.weights)
            self._holds[id(built)] = part


def _exact(task: Task, draw: Draw) -> Mapping[str, AnyArray]:
    """Return what every layer of a stretch must make; nothing if that is not known."""
    stretch = task.stretch
    generation = generation_of(task.model.__class__.__module__.partition(".")[0], {})
    layers = {
        layer.name: Layer(layer.name, layer.cls, layer.config, draw.weights[layer.name], generation)
        for layer in stretch.layers
    }
    inputs = {
        stretch.start(name): as_exact(x)
        for name, x in zip(stretch.inputs, draw.inputs, strict=True)
    }
    try:
        exact = Numbers(layers, stretch.nodes(), inputs, stretch.outputs).exact
    except UnsupportedError:
        return {}
    return {name: each.value for name, each in exact.items()}


def _plain(items: Sequence[Any]) -> Any:
    """Return one item as it is, and several as a list."""
    return items[0] if len(items) == 1 else list(items)


def _arrays(made: Any) -> list[AnyArray]:
    items = made if isinstance(made, (list, tuple)) else [made]
    return [np.asarray(each) for each in items]
