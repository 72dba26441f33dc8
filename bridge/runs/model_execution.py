"""Running a rebuilt model as ``predict`` runs it, with tensors that pass handed out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bridge._typing import AnyArray
from bridge.runs.model_rebuild import forget
from bridge.trace.call_tracer import Call, LookError, Watch
from bridge.trace.encoder import to_numpy
from bridge.trace.executed_graph import Executed, executed_graphs
from bridge.trace.model_inputs import assemble, batches, leaves

Named = Sequence[tuple[str, AnyArray]]

#: Takes the function that makes a prediction, as it was traced, and returns what is called in its
#: place: this is where the executed graph of a model can be exchanged.
Remake = Callable[[Any], Callable[..., Any]]


@dataclass(frozen=True)
class Way:
    """How a prediction was run: its batches, and whether as a graph, compiled by XLA or eager.

    Keras 2 makes a graph for any number of rows (``generic``); Keras 3 one for the rows of the
    first batch, and another when a batch has fewer. Keras 2 counts predictions, and ties the count
    to the model's first output (``counted``): TensorFlow fuses nothing into an op to which
    something is tied, so that the last layer is executed otherwise than the same layer in the
    middle. Looking has to tie the same knot.
    """

    rows: int
    eager: bool = False
    jit: bool = False
    generic: bool = False
    counted: bool = False


@dataclass(frozen=True)
class Sight:
    """What was seen of one run of a model.

    ``values`` has the elements of the tensors that were handed out, by number, and of those that
    are known anyhow. ``tensors`` are the tensors as they were in the last graph, ``returned`` the
    numbers of those that the model returned; ``executed`` has the graphs, None where there was
    none. ``rows`` is the size of a batch, None if there was but one.
    """

    calls: Sequence[Call]
    tensors: Sequence[Any]
    values: Mapping[int, AnyArray]
    outputs: Named
    returned: frozenset[int]
    executed: Executed | None
    rows: int | None = None


def run(
    keras: Any,
    model: Any,
    fed: Named,
    way: Way,
    wanted: frozenset[int] | None,
    remake: Remake | None = None,
) -> Sight:
    """Run a model and hand out the tensors of these numbers; None asks for all.

    ``remake`` exchanges the traced function that makes the prediction, where there is one.

    Raises:
        LookError: the model cannot be run on what was recorded, or watched while it runs.
    """
    forget(model)
    runner = _Runner(keras, model, way, wanted, remake)
    parts: list[tuple[int, list[AnyArray], dict[int, AnyArray]]] = []
    with contextlib.nullcontext() if way.eager else executed_graphs() as executed:
        for batch in _batches(fed, way):
            parts.append((len(batch[0][1]), *runner.run(batch)))
    rows = [count for count, _, _ in parts]
    made = [_joined(each, rows) for each in zip(*(outputs for _, outputs, _ in parts), strict=True)]
    values = runner.known(dict(fed))
    for number in parts[0][2]:
        whole = _joined([seen[number] for _, _, seen in parts], rows)
        if whole is not None:
            values[number] = whole
    if any(each is None for each in made):
        raise LookError("what the model made of several batches cannot be put together")
    outputs = [(name, each) for name, each in zip(runner.names, made, strict=True)
               if each is not None]  # fmt: skip
    watch = runner.watch
    size = way.rows if len(parts) > 1 else None
    calls = watch.calls() if wanted is None or wanted else _calls(watch)
    return Sight(calls, watch.tensors, values, outputs, runner.returned, executed, size)


class _Runner:
    """Runs batches, in one traced function or eagerly, and keeps what the last trace noted."""

    def __init__(
        self,
        keras: Any,
        model: Any,
        way: Way,
        wanted: frozenset[int] | None,
        remake: Remake | None,
    ) -> None:
        self._keras, self._model, self._way, self._wanted = keras, model, way, wanted
        self._remake = remake
        self.watch = Watch(keras, model)
        #: The names of the outputs, and their numbers among the tensors that passed.
        self.names: list[str] = []
        self.returned: frozenset[int] = frozenset()
        self._handed: list[int] = []
        self._fed: dict[int, str] = {}
        self._step: Any = None
        self._count: Any = None

    def run(self, batch: Named) -> tuple[list[AnyArray], dict[int, AnyArray]]:
        import tensorflow as tf

        given = assemble([(name, tf.constant(x)) for name, x in batch])
        if self._way.eager:
            outputs, seen = self._call(given)
        else:
            if self._step is None:
                traced = self._traced(batch)
                self._step = traced if self._remake is None else self._remake(traced)
            outputs, seen = self._step(given)
        values = [to_numpy(each) for each in seen]
        return [to_numpy(each) for each in outputs], dict(zip(self._handed, values, strict=True))

    def known(self, fed: Mapping[str, AnyArray]) -> dict[int, AnyArray]:
        """Return the elements of the tensors that need not be handed out."""
        found = {number: fed[name] for number, name in self._fed.items()}
        for number, tensor in enumerate(self.watch.tensors):
            if number not in found and (isinstance(tensor, np.ndarray) or hasattr(tensor, "numpy")):
                found[number] = to_numpy(tensor)
        return found

    def _traced(self, batch: Named) -> Any:
        import tensorflow as tf

        if self._way.counted:
            self._count = tf.Variable(0, dtype=tf.int64)
        # Nothing here needs AutoGraph, and Keras' own code is never converted.
        rest = {"autograph": False, "jit_compile": self._way.jit or None}
        if not self._way.generic:
            return tf.function(self._third(), reduce_retracing=True, **rest)
        spec = assemble([(name, tf.TensorSpec((None, *x.shape[1:]), x.dtype)) for name, x in batch])
        return tf.function(self._second(), input_signature=[spec], **rest)

    # TensorFlow puts the terms of sums in the order of their names (AddOpsRewrite), so that what a
    # model is fed must have the name that it has in predict().

    def _second(self) -> Any:
        def step(IteratorGetNext: Any) -> Any:
            return self._call(IteratorGetNext)

        return step

    def _third(self) -> Any:
        def step(data: Any) -> Any:
            return self._call(data)

        return step

    def _call(self, given: Any) -> tuple[list[Any], list[Any]]:
        import tensorflow as tf

        watch = self.watch = Watch(self._keras, self._model)
        with watch.watching():
            made = self._model(given, training=False)
        if self._count is not None:
            with tf.control_dependencies(tf.nest.flatten(made)[:1]):
                self._count.assign_add(1)
        named = list(leaves("y", made))
        self.names = [name for name, _ in named]
        made_by = {id(leaf) for _, leaf in named}
        numbers = enumerate(watch.tensors)
        self.returned = frozenset(number for number, each in numbers if id(each) in made_by)
        fed = {id(leaf): name for name, leaf in leaves("x", given)}
        tensors = enumerate(watch.tensors)
        self._fed = {number: fed[id(each)] for number, each in tensors if id(each) in fed}
        worth = worth_seeing(watch.calls()) if self._wanted is None else self._wanted
        self._handed = [
            number
            for number, tensor in enumerate(watch.tensors)
            if number in worth and number not in self._fed and tf.is_tensor(tensor)
            and (self._way.eager or not hasattr(tensor, "numpy"))
        ]  # fmt: skip
        return [leaf for _, leaf in named], [watch.tensors[number] for number in self._handed]


def _calls(watch: Watch) -> Sequence[Call]:
    """Return the calls of a run of which nothing was asked; none if they cannot be told apart."""
    try:
        return watch.calls()
    except LookError:
        return ()


def worth_seeing(calls: Sequence[Call]) -> frozenset[int]:
    """Return the tensors that layers received and made, and the masks that they heeded."""
    found: set[int] = set()
    for call in calls:
        found.update(call.inputs, call.outputs)
        if call.masked:
            found.update(mask for mask in call.masks if mask is not None)
    return frozenset(found)


def _batches(fed: Named, way: Way) -> Iterator[Named]:
    try:
        yield from batches(fed, way.rows)
    except ValueError as error:
        raise LookError(str(error)) from None


def _joined(parts: Sequence[AnyArray], rows: Sequence[int]) -> AnyArray | None:
    """Put the batches' parts together, None if they are not made of the batches' rows."""
    if len(parts) == 1:
        return parts[0]
    fit = (part.ndim and len(part) == count for part, count in zip(parts, rows, strict=True))
    return np.concatenate(parts) if all(fit) else None
