"""Running a rebuilt model as ``predict`` runs it, with tensors that pass handed out."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import Call, Capsule, LayerState, ModelState, Probe
from bridge.faults.layers import Fault, FaultError, put_in
from bridge.trace.call_tracer import TracedCall, Watch
from bridge.trace.encoder import to_numpy
from bridge.trace.executed_graph import GraphRecorder, executed_graphs
from bridge.trace.model_description import LookError, as_fed, assemble, batches, leaves

_OWN: Final = frozenset({"keras", "tf_keras", "builtins"})
_CODE: Final = frozenset({"Lambda", "TFOpLambda", "__lambda__", "function"})


def is_prediction(probe: Probe) -> bool:
    """Say whether a probe is of a model that returned something, so that it can be looked into."""
    return probe.kind in ("predict", "call") and probe.state is not None and bool(probe.outputs)


def rebuild(keras: Any, state: ModelState, recorded: Capsule) -> Any:
    """Build a recorded model again, with its recorded weights.

    Raises:
        LookError: it has no configuration, or one that needs code from elsewhere.
    """
    if state.config is None:
        raise LookError(f"the model cannot be built again: {state.why_no_config}")
    if found := foreign(state.config):
        raise LookError(f"the model has a part that is not Keras' own: {found}")
    if state.cls.rpartition(".")[2] not in ("Sequential", "Functional", "Model"):
        raise LookError(f"the model is of a class of its own: {state.cls}")
    kind = keras.Sequential if state.cls.endswith("Sequential") else keras.Model
    try:
        model = kind.from_config(copy.deepcopy(state.config))
    except Exception as error:  # a configuration from a stranger's file: Keras raises what it likes
        text = f"{type(error).__name__}: {error}"[:300]
        raise LookError(f"the model cannot be built again from its configuration: {text}") from None
    if not getattr(model, "inputs", None):
        raise LookError("the model was never given an input shape")
    if len(model.layers) != len(state.layers):
        raise LookError(
            f"built again, the model has {len(model.layers)} layers; {len(state.layers)} were "
            "recorded"
        )
    restore(model, state, recorded)
    return model


def restore(model: Any, state: ModelState, recorded: Capsule) -> None:
    """Give a model that was built from this state's configuration the state's weights."""
    for layer, recorded_layer in zip(model.layers, state.layers, strict=True):
        _set_weights(layer, recorded_layer, recorded)


def _set_weights(layer: Any, state: LayerState, recorded: Capsule) -> None:
    layer.set_weights([np.asarray(recorded.array(weight.array)) for weight in state.weights])
    settle(layer)


def settle(layer: Any) -> None:
    """Let layers that compute something from their weights, once they are there, do so.

    Normalization keeps the mean and deviation that it applies beside the weights that it was
    adapted to, and says so when it is restored from a file.
    """
    for inner in [layer, *_inner(layer)]:
        if callable(getattr(inner, "finalize_state", None)) and getattr(inner, "built", False):
            inner.finalize_state()


def forget(model: Any) -> None:
    """Make layers forget what they were given before; some remember it from batch to batch."""
    for inner in _inner(model):
        if getattr(inner, "stateful", False) and not hasattr(inner, "layers"):
            reset = getattr(inner, "reset_states", None) or getattr(inner, "reset_state", None)
            if callable(reset):
                reset()


def _inner(layer: Any) -> Iterator[Any]:
    for inner in getattr(layer, "layers", ()):
        yield inner
        yield from _inner(inner)


def foreign(config: Any) -> str:
    """Name a part of a configuration that would import or run code that is not Keras' own."""
    if isinstance(config, dict):
        module = config.get("module")
        if isinstance(module, str) and module.partition(".")[0] not in _OWN:
            return f"{module}.{config.get('class_name', '')}"
        if config.get("registered_name") and ">" in str(config["registered_name"]):
            return str(config["registered_name"])
        if config.get("class_name") in _CODE:
            return str(config["class_name"])
        config = list(config.values())
    if isinstance(config, (list, tuple)):
        return next((found for item in config if (found := foreign(item))), "")
    return ""


class Rebuilt:
    """Models by the numbers of their states.

    States of one configuration share a model, which is given the weights of the one that was asked
    for last. A model with a fault is nobody else's.
    """

    def __init__(self, keras: Any, recorded: Capsule) -> None:
        self._keras, self._recorded = keras, recorded
        self._sound: dict[str, tuple[Any, int]] = {}
        self._faulty: dict[int, tuple[Any, str]] = {}

    def sound(self, number: int) -> Any:
        """Return the model of a state.

        Raises:
            LookError: it cannot be built again.
        """
        state = self._recorded.manifest.states[number]
        key = json.dumps([state.cls, state.config], sort_keys=True)
        model, last = self._sound.get(key, (None, number))
        if model is None:
            model = rebuild(self._keras, state, self._recorded)
        elif last != number:
            restore(model, state, self._recorded)
        self._sound[key] = model, number
        return model

    def faulty(self, number: int, fault: Fault | None) -> tuple[Any, str]:
        """Return the model of a state with a fault put in, and "" or why it is without.

        A fault of no layer in particular is put into every layer that can have it.

        Raises:
            LookError: the model cannot be built again.
        """
        if fault is None:
            return self.sound(number), ""
        if number not in self._faulty:
            state = self._recorded.manifest.states[number]
            model = rebuild(self._keras, state, self._recorded)
            self._faulty[number] = model, _put(fault, model)
        return self._faulty[number]

    def sound_calls(self, number: int, calls: Sequence[TracedCall]) -> list[TracedCall]:
        """Return calls with the layers of the model without a fault in the place of their own."""
        layers = dict(_layers(self.sound(number)))
        return [replace(call, layer=layers.get(call.path, call.layer)) for call in calls]


def _layers(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the layers of a model, and of models that it uses as layers, by their paths."""
    for layer in model.layers:
        yield f"{prefix}{layer.name}", layer
        if hasattr(layer, "layers"):
            yield from _layers(layer, f"{prefix}{layer.name}/")


def _put(fault: Fault, model: Any) -> str:
    """Put a fault into a model; return "", or why it has none."""
    wanted = [layer for path, layer in _layers(model) if fault.layer in ("", path)]
    if not wanted:
        return f"the model has no layer {fault.layer!r}"
    refused = []
    for layer in wanted:
        try:
            put_in(fault, layer)
        except (FaultError, AttributeError) as error:
            refused.append(str(error))
    return refused[0] if len(refused) == len(wanted) else ""


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

    calls: Sequence[TracedCall]
    tensors: Sequence[Any]
    values: Mapping[int, AnyArray]
    outputs: Named
    returned: frozenset[int]
    executed: GraphRecorder | None
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
    runner = _BatchRunner(keras, model, way, wanted, remake)
    parts: list[tuple[int, list[AnyArray], dict[int, AnyArray]]] = []
    with contextlib.nullcontext() if way.eager else executed_graphs() as executed:
        for batch in batches(fed, way.rows):
            parts.append((len(batch[0][1]), *runner.run(batch)))
    rows = [count for count, _, _ in parts]
    joined = [
        _joined(pieces, rows) for pieces in zip(*(outputs for _, outputs, _ in parts), strict=True)
    ]
    values = runner.known(dict(fed))
    for number in parts[0][2]:
        whole = _joined([seen[number] for _, _, seen in parts], rows)
        if whole is not None:
            values[number] = whole
    if any(array is None for array in joined):
        raise LookError("what the model made of several batches cannot be put together")
    outputs = [(name, array) for name, array in zip(runner.names, joined, strict=True)
               if array is not None]  # fmt: skip
    watch = runner.watch
    size = way.rows if len(parts) > 1 else None
    calls = watch.calls() if wanted is None or wanted else _calls(watch)
    return Sight(calls, watch.tensors, values, outputs, runner.returned, executed, size)


class _BatchRunner:
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
        values = [to_numpy(tensor) for tensor in seen]
        return [to_numpy(output) for output in outputs], dict(
            zip(self._handed, values, strict=True)
        )

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
            answers = self._model(given, training=False)
        if self._count is not None:
            with tf.control_dependencies(tf.nest.flatten(answers)[:1]):
                self._count.assign_add(1)
        named = list(leaves("y", answers))
        self.names = [name for name, _ in named]
        made_by = {id(leaf) for _, leaf in named}
        numbers = enumerate(watch.tensors)
        self.returned = frozenset(number for number, tensor in numbers if id(tensor) in made_by)
        fed = {id(leaf): name for name, leaf in leaves("x", given)}
        tensors = enumerate(watch.tensors)
        self._fed = {number: fed[id(tensor)] for number, tensor in tensors if id(tensor) in fed}
        worth = worth_seeing(watch.calls()) if self._wanted is None else self._wanted
        self._handed = [
            number
            for number, tensor in enumerate(watch.tensors)
            if number in worth and number not in self._fed and tf.is_tensor(tensor)
            and (self._way.eager or not hasattr(tensor, "numpy"))
        ]  # fmt: skip
        return [leaf for _, leaf in named], [watch.tensors[number] for number in self._handed]


def _calls(watch: Watch) -> Sequence[TracedCall]:
    """Return the calls of a run of which nothing was asked; none if they cannot be told apart."""
    try:
        return watch.calls()
    except LookError:
        return ()


def worth_seeing(calls: Sequence[TracedCall]) -> frozenset[int]:
    """Return the tensors that layers received and made, and the masks that they heeded."""
    found: set[int] = set()
    for call in calls:
        found.update(call.inputs, call.outputs)
        if call.masked:
            found.update(mask for mask in call.masks if mask is not None)
    return frozenset(found)


def _joined(parts: Sequence[AnyArray], rows: Sequence[int]) -> AnyArray | None:
    """Put the batches' parts together, None if they are not made of the batches' rows."""
    if len(parts) == 1:
        return parts[0]
    fit = (part.ndim and len(part) == count for part, count in zip(parts, rows, strict=True))
    return np.concatenate(parts) if all(fit) else None


# The ways in which a recorded prediction may have been run, and how a lever changes them.

#: The rows of a batch where a script does not say otherwise, in both generations.
_ROWS: Final = 32


def ways(generation: int, recorded: Capsule, probe: Probe, fed: Named) -> Iterator[Way]:
    """Yield the ways in which the prediction may have been made; it does not say in which.

    The likeliest comes first.
    """
    count = _count(fed)
    if probe.kind == "call":
        yield Way(count, eager=True)
        return
    jit = probe.executed is not None and probe.executed.jit_compiled
    second = generation == 2
    call = next((call for call in recorded.manifest.calls if call.id == probe.call), None)
    rows = dict.fromkeys([_asked_rows(call) or _ROWS, count])
    found = [Way(row, probe.eager, jit, generic=second, counted=second) for row in rows]
    if second and not probe.eager:
        # predict_on_batch knows how many rows there are.
        found.append(Way(count, jit=jit, counted=True))
    at_once = call is not None and getattr(call.target, "name", "") == "predict_on_batch"
    yield from reversed(found) if at_once else found


def under(way: Way, lever: Mapping[str, Any], fed: Named) -> Way:
    """Return the way in which a prediction is run under a lever, by the lever's params."""
    asked = lever.get("way") or ""
    if asked == "eager":
        way = replace(way, eager=True, jit=False)
    elif asked in ("graph", "xla"):
        # A model that was called is traced as it is, for the rows that it was given.
        way = replace(way, eager=False, jit=asked == "xla")
    elif asked == "xla-off":
        way = replace(way, jit=False)
    elif asked == "call":
        way = Way(_count(fed), eager=True)
    if lever.get("rows"):
        way = replace(way, rows=int(lever["rows"]))
    return way


def fed_to(model: Any, recorded: Capsule, probe: Probe) -> Named:
    """Return what a model was fed, each array with the name that says where it stands.

    Raises:
        LookError: it was not recorded.
    """
    if not probe.inputs:
        raise LookError("what the model was given was not recorded")
    doubles = any(str(input_.dtype).endswith("float64") for input_ in model.inputs)
    dtype = "float64" if doubles else "float32"
    return [(ref.name, as_fed(np.asarray(recorded.array(ref)), dtype)) for ref in probe.inputs]


def _count(fed: Named) -> int:
    return max(1, len(fed[0][1]) if fed[0][1].ndim else 1)


def _asked_rows(call: Call | None) -> int | None:
    """Return the size of batches that the script asked for, if it is known."""
    said = call.kwargs.get("batch_size") if call is not None else None
    try:
        return int(float(getattr(said, "v", ""))) or None
    except ValueError:
        return None


# Another back end of Keras 3 than TensorFlow: NumPy, JAX, PyTorch.


def run_elsewhere(keras: Any, model: Any, fed: Named, rows: int | None) -> Sight:
    """Run a model as ``model(x)``, in batches of so many rows; None is all at once.

    Its layers are seen on NumPy, where what passes between them are arrays, if there is one batch.

    Raises:
        LookError: the arrays that it was given do not belong together.
    """
    forget(model)
    parts = [list(fed)] if rows is None else list(batches(fed, rows))
    looking = keras.backend.backend() == "numpy" and len(parts) == 1
    if looking:
        watch = Watch(keras, model)
        with watch.watching():
            answers = model(assemble(parts[0]), training=False)
        return _seen(keras, watch, answers)
    found = [_named(keras, model(assemble(part), training=False)) for part in parts]
    outputs = [
        (name, np.concatenate([dict(batch)[name] for batch in found])) for name, _ in found[0]
    ]
    return Sight((), (), {}, outputs, frozenset(), None)


def _named(keras: Any, answers: Any) -> list[tuple[str, AnyArray]]:
    return [(name, np.asarray(keras.ops.convert_to_numpy(y))) for name, y in leaves("y", answers)]


def _seen(keras: Any, watch: Watch, answers: Any) -> Sight:
    outputs = _named(keras, answers)
    by_maker = {id(y) for _, y in leaves("y", answers)}
    returned = frozenset(n for n, tensor in enumerate(watch.tensors) if id(tensor) in by_maker)
    values = {number: np.asarray(tensor) for number, tensor in enumerate(watch.tensors)}
    return Sight(_calls(watch), watch.tensors, values, outputs, returned, None)
