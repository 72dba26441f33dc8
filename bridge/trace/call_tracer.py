"""Watching a model while it runs: every call of its layers, as units that can be judged."""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from bridge.trace.model_description import (
    LookError,
    call_numbers,
    called,
    is_graph,
    nodes_in_order,
    plain,
)


@dataclass(frozen=True)
class TensorPlace:
    """The place of a tensor in the arguments of a call: its number."""

    number: int


@dataclass(frozen=True)
class TracedCall:
    """A call of a layer; tensors are numbers.

    ``args`` and ``kwargs`` are what it was called with, a :class:`TensorPlace` for each tensor.
    ``names`` says where each of ``inputs`` comes from. ``masks`` are those that the inputs carry,
    None where they carry none; ``masked`` says that the layer takes notice. ``arguments`` are
    those of the call that are not the input, as :class:`bridge.capsule.LayerOutput` tells them.
    """

    layer: Any
    path: str
    node: int
    args: Any
    kwargs: Any
    inputs: tuple[int, ...]
    names: tuple[str, ...]
    outputs: tuple[int, ...]
    masks: tuple[int | None, ...]
    masked: bool
    arguments: dict[str, Any]

    @property
    def mask_places(self) -> frozenset[int]:
        """Which of the inputs are masks that the call was given as arguments."""
        given = (value for name, value in self.arguments.items() if "mask" in name)
        return frozenset(
            place["input"] for place in given if isinstance(place, dict) and "input" in place
        )


@dataclass
class _Met:
    """A call as it was met: of a layer, or of a model with what it called in turn."""

    layer: Any
    inside: _Frame | None = None
    args: Any = ()
    kwargs: Any = field(default_factory=dict)
    inputs: tuple[int, ...] = ()
    masks: tuple[int | None, ...] = ()
    outputs: tuple[int, ...] = ()


@dataclass
class _Frame:
    """A run of a model: what it called, in order."""

    model: Any
    met: list[_Met] = field(default_factory=list)


class Watch:
    """What passed in one run of a model.

    Args:
        keras: the package, ``tf_keras`` or ``keras``.
        model: the model; only its own layers, and those of models among them, are told.
    """

    def __init__(self, keras: Any, model: Any) -> None:
        self._keras = keras
        self._model = model
        self._root: _Frame | None = None
        self._frame: _Frame | None = None
        self._inside_a_layer = False
        self._numbers: dict[int, int] = {}
        #: Every tensor that passed, by number; kept, so that no other can get its identity.
        self.tensors: list[Any] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note the calls that are made inside."""
        # In Keras 3 what is not a layer may be called too: the operations of keras.ops.
        kinds = [getattr(self._keras, "Operation", None), self._keras.layers.Layer]
        before = [(kind, kind.__call__) for kind in kinds if kind is not None]
        for kind, original in before:
            kind.__call__ = self._noting(kind, original)
        try:
            yield
        finally:
            for kind, original in before:
                kind.__call__ = original

    def calls(self) -> list[TracedCall]:
        """Return the calls in the order in which they were made.

        Raises:
            LookError: they cannot be told apart.
        """
        if self._root is None:
            raise LookError("the model made no call that could be seen")
        return list(self._calls(self._root, "", 0, {}))

    def number(self, tensor: Any) -> int:
        """Return the number of a tensor; the same object has the same number."""
        found = self._numbers.get(id(tensor))
        if found is None:
            found = self._numbers[id(tensor)] = len(self.tensors)
            self.tensors.append(tensor)
        return found

    def _noting(self, kind: type, original: Callable[..., Any]) -> Callable[..., Any]:
        layers = self._keras.layers.Layer

        @functools.wraps(original)
        def noting(layer: Any, *args: Any, **kwargs: Any) -> Any:
            # A layer of Keras 3 passes here twice: it is an operation as well.
            passing = isinstance(layer, layers) and kind is not layers
            if passing or self._inside_a_layer:
                return original(layer, *args, **kwargs)
            if self._frame is None:
                if layer is not self._model or self._root is not None:
                    return original(layer, *args, **kwargs)
                self._root = _Frame(layer)
                return self._run(self._root, original, layer, args, kwargs)
            met = _Met(layer)
            self._frame.met.append(met)
            if is_graph(layer):
                met.inside = _Frame(layer)
                return self._run(met.inside, original, layer, args, kwargs)
            return self._note(met, original, layer, args, kwargs)

        return noting

    def _run(
        self, frame: _Frame, original: Callable[..., Any], model: Any, args: Any, kwargs: Any
    ) -> Any:
        before, self._frame = self._frame, frame
        try:
            return original(model, *args, **kwargs)
        finally:
            self._frame = before

    def _note(
        self, met: _Met, original: Callable[..., Any], layer: Any, args: Any, kwargs: Any
    ) -> Any:
        met.args, met.kwargs = self._numbered(args), self._numbered(kwargs)
        met.inputs = tuple(self.number(array) for array in arrays((args, kwargs)))
        met.masks = tuple(self._mask(number) for number in met.inputs)
        self._inside_a_layer = True
        try:
            result = original(layer, *args, **kwargs)
        finally:
            self._inside_a_layer = False
        met.outputs = tuple(self.number(array) for array in arrays(result))
        return result

    def _numbered(self, item: Any) -> Any:
        import tensorflow as tf

        return tf.nest.map_structure(
            lambda leaf: TensorPlace(self.number(leaf)) if _is_array(leaf) else leaf, item
        )

    def _mask(self, number: int) -> int | None:
        mask = getattr(self.tensors[number], "_keras_mask", None)
        return None if mask is None else self.number(mask)

    def _calls(
        self, frame: _Frame, prefix: str, run: int, makers: dict[int, str]
    ) -> Iterator[TracedCall]:
        """Set what was met beside what the model says it calls.

        ``run`` is the number of its own call, ``makers`` has the layer that last made a tensor.
        """
        nodes, numbers = nodes_in_order(frame.model), call_numbers(frame.model)
        if [id(met.layer) for met in frame.met] != [id(called(node)) for node in nodes]:
            raise LookError("the calls of the model's layers cannot be told apart")
        times = Counter(id(met.layer) for met in frame.met)
        inputs = [tensor._keras_history[0].name for tensor in frame.model.inputs]
        for met, node in zip(frame.met, nodes, strict=True):
            number = run * times[id(met.layer)] + numbers[id(node)]
            path = f"{prefix}{met.layer.name}"
            if met.inside is not None:
                yield from self._calls(met.inside, f"{path}/", number, makers)
                continue
            arguments = arguments_of(met.layer, node)
            names = tuple(self._names(met, node, inputs, makers))
            makers |= dict.fromkeys(met.outputs, path)
            yield TracedCall(
                layer=met.layer,
                path=path,
                node=number,
                args=met.args,
                kwargs=met.kwargs,
                inputs=met.inputs,
                names=names,
                outputs=met.outputs,
                # A mask that it was given as an argument stands for the one of its input.
                masks=(None,) * len(met.masks) if "mask" in arguments else met.masks,
                masked=_takes_mask(met.layer, arguments)
                and (any(mask is not None for mask in met.masks) or _is_given_mask(arguments)),
                arguments=arguments,
            )

    def _names(
        self, met: _Met, node: Any, inputs: list[str], makers: dict[int, str]
    ) -> Iterator[str]:
        """Say where each input comes from: a layer, an input of the model, or nowhere."""
        fed = _fed(node)
        fed += [None] * (len(met.inputs) - len(fed))
        for number, symbol in zip(met.inputs, fed, strict=False):
            history = getattr(symbol, "_keras_history", None)
            if number in makers:
                yield makers[number]
            elif history is None:
                yield "constant"
            else:
                yield "x" if inputs == [history[0].name] else history[0].name


def arrays(item: Any) -> list[Any]:
    """Return the tensors and arrays in lists and dicts, in the order of ``tf.nest``."""
    import tensorflow as tf

    return [leaf for leaf in tf.nest.flatten(item) if _is_array(leaf)]


def _is_array(leaf: Any) -> bool:
    import tensorflow as tf

    if isinstance(leaf, (tf.RaggedTensor, tf.SparseTensor)):
        raise LookError(f"a layer was given or made a {type(leaf).__name__}")
    return bool(tf.is_tensor(leaf)) or isinstance(leaf, np.ndarray)


def _fed(node: Any) -> list[Any]:
    """Return the symbols and arrays that a node is fed, in the order of :func:`arrays`."""
    import tensorflow as tf

    leaves = tf.nest.flatten(_call_arguments(node))
    return [leaf for leaf in leaves if hasattr(leaf, "_keras_history") or _is_array(leaf)]


def _call_arguments(node: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if _is_of_keras_2(node):
        return tuple(node.call_args), dict(node.call_kwargs)
    return tuple(node.arguments.args), dict(node.arguments.kwargs)


def _is_of_keras_2(node: Any) -> bool:
    return hasattr(node, "call_args")


def arguments_of(layer: Any, node: Any) -> dict[str, Any]:
    """Return the arguments of a call but for its input and those that say what holds anyhow.

    Keras 3 writes the layer's own default of ``training`` into every call of a model that is wired
    up; when the model runs, it is replaced by what the model was told. In Keras 2 it is there only
    where a script says so, and holds.
    """
    import tensorflow as tf

    args, kwargs = _call_arguments(node)
    if len(args) <= 1 and not kwargs:
        return {}
    places = {id(tensor): place for place, tensor in enumerate(_fed(node))}
    usual: Any = False
    try:
        signature = inspect.signature(layer.call)
        bound = signature.bind_partial(*args, **kwargs).arguments
        if "training" in signature.parameters and not _is_of_keras_2(node):
            usual = signature.parameters["training"].default
    except (TypeError, ValueError):
        bound = {f"argument {place}": value for place, value in enumerate(args)} | kwargs
    given = {**{key: value for key, value in list(bound.items())[1:] if key != "kwargs"}}
    given |= bound.get("kwargs", {})

    def description(leaf: Any) -> Any:
        return {"input": places[id(leaf)]} if id(leaf) in places else plain(leaf)

    found = {key: tf.nest.map_structure(description, value) for key, value in given.items()}
    return {
        key: plain(value)
        for key, value in found.items()
        if value is not None and not (key == "training" and (value is False or value is usual))
    }


def _takes_mask(layer: Any, arguments: dict[str, Any]) -> bool:
    try:
        parameters = inspect.signature(layer.call).parameters
    except (TypeError, ValueError):
        return True
    return any("mask" in name for name in (*parameters, *arguments))


def _is_given_mask(arguments: dict[str, Any]) -> bool:
    return any("mask" in name for name in arguments)


# Calls as units that can be judged: what went in was seen, and what came out.


class Wired(Protocol):
    """A call, as far as units are concerned: tensors by number."""

    @property
    def inputs(self) -> tuple[int, ...]:
        """The tensors that it receives."""

    @property
    def outputs(self) -> tuple[int, ...]:
        """The tensors that it makes."""


@dataclass(frozen=True)
class CallGroup:
    """Calls by their places, in order, and the inputs that reach them from outside.

    Each input is the place of a call in ``calls`` and of one of the call's inputs.
    """

    calls: tuple[int, ...]
    inputs: tuple[tuple[int, int], ...]

    @property
    def last(self) -> int:
        """The place of the call whose outputs were seen."""
        return self.calls[-1]

    @property
    def is_chain(self) -> bool:
        """Whether each call receives nothing but what the one before made."""
        return all(call == self.calls[0] for call, _ in self.inputs)


def units(calls: Sequence[Wired], visible: Collection[int]) -> list[CallGroup]:
    """Return the units of a run whose tensors of these numbers were seen, in the order of the run.

    A call of which no output was seen is only a part of other units.
    """
    found = []
    for place, call in enumerate(calls):
        if any(number in visible for number in call.outputs):
            found.append(_unit(calls, visible, place))
    return found


def _unit(calls: Sequence[Wired], visible: Collection[int], last: int) -> CallGroup:
    members = {last}
    waiting = [last]
    outside: set[tuple[int, int]] = set()
    while waiting:
        place = waiting.pop()
        for which, number in enumerate(calls[place].inputs):
            maker = None if number in visible else _maker(calls, number, place)
            if maker is None:
                outside.add((place, which))
            elif maker not in members:
                members.add(maker)
                waiting.append(maker)
    return CallGroup(tuple(sorted(members)), tuple(sorted(outside)))


def _maker(calls: Sequence[Wired], number: int, before: int) -> int | None:
    """Return the last call before another that made a tensor; some hand on what they are given."""
    places = (place for place in reversed(range(before)) if number in calls[place].outputs)
    return next(places, None)
