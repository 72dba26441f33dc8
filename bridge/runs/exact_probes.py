"""Exact probes of a recorded run: parts of its models with whole numbers, in every setting."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import (
    Capsule,
    ExactProbe,
    ModelState,
    Probe,
    read_capsule,
)
from bridge.exact.plan import LayerInput, Stretch, StretchNumbers, TensorType, form, plan
from bridge.exact.records import (
    LEVER,
    WAYS,
    Numbers,
    Setting,
    StretchPart,
    agree,
    as_exact,
    subjects,
)
from bridge.facts.keras import generation_of
from bridge.facts.layers import is_merging
from bridge.faults.layers import OF_WEIGHTS, Fault, put_in
from bridge.process.pool import Limits, Pool, Warm
from bridge.process.zygote import Context
from bridge.rounding.layer_graph import inputs_of, nodes_of, output_names
from bridge.rounding.rules import Layer, UnsupportedError
from bridge.runs.job import begin, finish, origin_of, run_job
from bridge.runs.levers import EXACT_LEVERS, Lever
from bridge.runs.model_execution import rebuild
from bridge.trace.encoder import Data, Encoder
from bridge.trace.executed_graph import executed_graphs
from bridge.trace.model_description import LookError, describe_model
from bridge.trace.spool import SpoolWriter


def tensors_of(model: Any) -> dict[str, TensorType]:
    """Return what each layer and input of a model makes, by name; "" is a Sequential's input."""
    found = {layer.name: _output(layer) for layer in model.layers}
    if type(model).__name__ == "Sequential":
        found[""] = model.inputs[0]
    return {
        name: TensorType(tuple(tensor.shape), _dtype(tensor))
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
    tensors: Mapping[str, TensorType]
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
        tensors: Mapping[str, TensorType],
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
                needed.update(feed.name for feed in self._stretch.feeds[name] if not feed.fresh)
        return tuple(name for name in names if name in needed)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The names of the fresh inputs that are needed, in the stretch's order."""
        needed = {feed.name for name in self.names for feed in self._stretch.feeds[name]
                  if feed.fresh}  # fmt: skip
        return tuple(name for name in self._stretch.inputs if name in needed)

    def _build(self, model: Any) -> Any:
        originals = {layer.name: layer for layer in model.layers}
        starts = {name: self._start(name) for name in self.inputs}
        tensors: dict[LayerInput, Any] = {
            LayerInput(name, True): starts[name] for name in self.inputs
        }
        for state in self._stretch.layers:
            if state.name not in self.names:
                continue
            config = originals[state.name].get_config()
            if state.name in self._stretch.bare:
                config = {**config, "activation": "linear"}
            layer = type(originals[state.name]).from_config(config)
            given = [tensors[source] for source in self._stretch.feeds[state.name]]
            several = len(given) > 1 or is_merging(state.cls)
            tensors[LayerInput(state.name, False)] = layer(given if several else given[0])
        outputs = [tensors[LayerInput(name, False)] for name in self.outputs]
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
                self._layers[state.name].set_weights(
                    [mine[weight.name] for weight in state.weights]
                )
        fault = self._fault
        if fault is not None and fault.kind in OF_WEIGHTS and fault.layer in self._layers:
            put_in(fault, self._layers[fault.layer])

    def run(self, setting: Setting, inputs: Sequence[AnyArray]) -> list[AnyArray]:
        """Run the model and return its outputs."""
        if setting.way == "predict":
            rows = setting.rows or len(inputs[0])
            return _arrays(self.model.predict(_plain(inputs), batch_size=rows, verbose=0))
        way = self._way(setting.way, inputs)
        count = len(inputs[0])
        step = setting.rows or count
        parts = [
            _arrays(way(*(x[row : row + step] for x in inputs))) for row in range(0, count, step)
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
    _holds: dict[int, StretchPart] = field(default_factory=dict)
    _built: dict[tuple[str, bool, bool], Built] = field(default_factory=dict)
    _exact: dict[str, Mapping[str, AnyArray]] = field(default_factory=dict)

    def exact(self, draw: StretchNumbers) -> Mapping[str, AnyArray]:
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

    def give(self, built: Built, part: StretchPart, draw: StretchNumbers) -> None:
        """Give a model the weights of a draw if it has others."""
        if self._holds.get(id(built)) != part:
            built.give(draw.weights)
            self._holds[id(built)] = part


def _exact(task: Task, draw: StretchNumbers) -> Mapping[str, AnyArray]:
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
    return {name: output.value for name, output in exact.items()}


def _plain(items: Sequence[Any]) -> Any:
    """Return one item as it is, and several as a list."""
    return items[0] if len(items) == 1 else list(items)


def _arrays(answers: Any) -> list[AnyArray]:
    items = answers if isinstance(answers, (list, tuple)) else [answers]
    return [np.asarray(item) for item in items]


def run_exact(
    pool: Pool,
    recorded: Capsule,
    generation: int,
    limits: Limits,
    levers: Sequence[Lever] = tuple(EXACT_LEVERS.values()),
    *,
    ways: Sequence[str] = WAYS,
    fault: Fault | None = None,
) -> tuple[Capsule, ...]:
    """Probe the models of a recorded run with whole numbers.

    Returns one capsule of all settings, and one for each lever that repeats its models and numbers;
    :func:`bridge.exact.judge_exact` says what they show. A ``fault`` is put into the model
    to see whether it is found.

    Raises:
        PoolError: TensorFlow or Keras cannot be started.
    """
    params: dict[str, Any] = {"ways": list(ways), "fault": fault.params() if fault else None}

    def probed(warm: Warm, given: dict[str, Any], name: str) -> Capsule:
        with run_job(pool, warm, exact_job, params | given, limits) as left:
            capsule = left.capsule(origin_of(recorded))
        return Capsule(capsule.manifest.model_copy(update={"lever": name}), capsule.arrays)

    first = probed(Warm(generation), {"capsule": pool.file_of(recorded)}, LEVER)
    found = [first]
    for lever in levers if first.manifest.probes else ():
        given = {"again": pool.file_of(first), "lever": lever.params()}
        found.append(probed(lever.warm(generation), given, f"{LEVER}: {lever.name}"))
    return tuple(found)


# Exact probes, run: the stretches of recorded models with whole numbers, in every setting.

#: How many rows are run at a time; None is all of them. A lever is pulled for fewer of them.
_ROWS: Final = (None, 32, 7, 1)
_LEVER_ROWS: Final = (None, 7)
_QUICK: Final = ("graph",)
#: Every layer's output is asked for in these ways, up to so many bytes of outputs.
_EVERY: Final = tuple(Setting(way, every_layer=True) for way in ("eager", "graph", "xla"))
_MOST_BYTES: Final = 32 * 2**20


def exact_job(context: Context, params: dict[str, Any]) -> None:
    """Probe the models of ``params["capsule"]``, or run those of ``params["again"]`` again."""
    again = params.get("again")
    recorded = read_capsule(Path(again or params["capsule"]))
    spool = begin(context, params)
    fault = Fault.of(params["fault"]) if params["fault"] else None
    rows = _LEVER_ROWS if again else _ROWS
    lever = str((params.get("lever") or {}).get("name", ""))
    probing = _Probing(context.keras, spool, params["ways"], rows, fault, lever)
    tasks = _repeated(context.keras, recorded) if again else probing.planned(recorded)
    for task in tasks:
        probing.probe(task)
    finish(spool, context, "ok")


def _repeated(keras: Any, capsule: Capsule) -> Iterator[Task]:
    """Yield the stretches of an exact capsule, each with all its numbers."""
    stretches: dict[tuple[str, int], dict[str, Probe]] = {}
    for probe in capsule.manifest.probes:
        exact = probe.exact
        if exact is not None and exact.style and not exact.until and probe.inputs:
            by_style = stretches.setdefault((exact.model, exact.stretch), {})
            by_style.setdefault(exact.style, probe)
    for (label, number), by_style in stretches.items():
        first, *_ = by_style.values()
        state = _state_of(capsule, first)
        try:
            model = rebuild(keras, state, capsule)
        except LookError:
            # It was built when it was first run; what cannot be built again is not run again.
            continue
        draws = tuple(
            StretchNumbers(
                style,
                _weights(capsule, _state_of(capsule, probe)),
                tuple(np.asarray(capsule.array(ref)) for ref in probe.inputs),
            )
            for style, probe in by_style.items()
        )
        stretch = replace(_all_of(state), draws=draws)
        assert first.exact is not None
        bare, whole = first.exact.bare, first.exact.whole
        yield Task(label, number, state, model, tensors_of(model), stretch, bare, whole)


def _state_of(capsule: Capsule, probe: Probe) -> ModelState:
    assert probe.state is not None
    return capsule.manifest.states[probe.state]


def _weights(capsule: Capsule, state: ModelState) -> dict[str, dict[str, AnyArray]]:
    return {
        layer.name: {w.name: np.asarray(capsule.array(w.array)) for w in layer.weights}
        for layer in state.layers
    }


def _all_of(state: ModelState) -> Stretch:
    """Return a recorded model as one stretch."""
    nodes = nodes_of(state)
    layers = {layer.name: layer for layer in state.layers}
    feeds = {name: tuple(LayerInput(feed, feed not in nodes) for feed in node.feeds)
             for name, node in nodes.items()}  # fmt: skip
    return Stretch(
        tuple(layers[name] for name in nodes), feeds, inputs_of(state), output_names(state),
        whole=True,
    )  # fmt: skip


class _Probing:
    """Writes the probes of one process to its spool."""

    def __init__(
        self,
        keras: Any,
        spool: SpoolWriter,
        ways: Sequence[str],
        rows: Sequence[int | None],
        fault: Fault | None,
        lever: str,
    ) -> None:
        self._keras = keras
        self._lever = lever
        self._spool = spool
        self._encoder = Encoder(spool)
        self._ways = tuple(ways)
        self._fault = fault
        self._rows = rows
        self._forms: dict[str, str] = {}
        self._states = 0
        self._probes = 0

    def planned(self, recorded: Capsule) -> Iterator[Task]:
        """Yield the stretches of the recorded models; tell which layers none covers."""
        for subject in subjects(recorded):
            try:
                model = rebuild(self._keras, subject.state, recorded)
            except Exception as error:  # Keras may refuse a recorded model in any way
                why = str(error) if isinstance(error, LookError) else _error_text(error)
                known = self._state(_without_weights(subject.state), subject.label)
                for layer in subject.state.layers:
                    self._refuse(known, subject.label, layer.name, why)
                continue
            yield from self._within(subject.label, subject.state, model)

    def _within(self, label: str, state: ModelState, model: Any) -> Iterator[Task]:
        """Yield the stretches of a model, and of the models that it uses as layers."""
        known = self._state(_without_weights(state), label)
        tensors = tensors_of(model)
        found = plan(state, tensors)
        inner = {layer.name: layer for layer in state.layers if layer.layers}
        for name, why in found.refused.items():
            if name not in inner:
                self._refuse(known, label, name, why)
        for number, stretch in enumerate(found.stretches, 1):
            same = form(stretch, tensors, state.cls)
            # A fault stands in a layer of one name, so that names matter then.
            if same in self._forms and self._fault is None:
                self._same(known, label, number, stretch, self._forms[same])
                continue
            self._forms[same] = f"{label}/{number}"
            yield Task(label, number, state, model, tensors, stretch, stretch.bare, stretch.whole)
        for name, layer in inner.items():
            used = ModelState(
                id=state.id, cls=layer.cls, keras=state.keras, name=name, layers=layer.layers,
                config=layer.config,
            )  # fmt: skip
            yield from self._within(f"{label}.{name}", used, model.get_layer(name))

    def probe(self, task: Task) -> None:
        """Run a stretch with all its numbers in all settings; if one is wrong, find the layer."""
        models = Models(self._keras, task, self._fault)
        try:
            models.get(self._ways[0])
        except Exception as error:  # Keras may refuse a part of a model in any way
            known = self._state(_without_weights(task.state), task.label)
            for layer in task.stretch.layers:
                self._refuse(known, task.label, layer.name, _error_text(error))
            whose = f"{task.label}/{task.number}"
            self._forms = {form: of for form, of in self._forms.items() if of != whose}
            return
        wrong: dict[str, tuple[StretchNumbers, Setting]] = {}
        done: set[tuple[str, Setting]] = set()
        for place, draw in enumerate(task.stretch.draws):
            for setting in self._settings(place, task):
                if setting.way in wrong and place:
                    continue
                done.add((draw.style, setting))
                if self._one(task, models, draw, setting):
                    wrong.setdefault(setting.way, (draw, setting))
        for draw, setting in wrong.values():
            looking = replace(setting, every_layer=True)
            if (draw.style, looking) not in done:
                self._one(task, models, draw, looking)
            for layer in task.stretch.layers:
                if self._one(task, models, draw, setting, until=layer.name):
                    break

    def _settings(self, place: int, task: Task) -> Iterator[Setting]:
        draw = task.stretch.draws[place]
        rows = len(draw.inputs[0])
        for many in self._rows:
            if many is None or many < rows:
                # With other numbers, few rows at a time are only tried where that takes no time.
                ways = self._ways if place == 0 or many is None else _QUICK
                yield from (Setting(way, many) for way in ways if way in self._ways)
        sizes = (_size(task.tensors[layer.name]) for layer in task.stretch.layers)
        if 4 * rows * sum(sizes) <= _MOST_BYTES:
            # A compiler takes its time: its layers are asked for with the first numbers only.
            yield from (
                setting
                for setting in _EVERY
                if setting.way in self._ways and (place == 0 or setting.way != "xla")
            )

    def _one(
        self, task: Task, models: Models, draw: StretchNumbers, setting: Setting, until: str = ""
    ) -> bool:
        """Run once, tell what was made, and return whether it is wrong."""
        part = StretchPart(task.label, task.number, draw.style, until)
        plain = models.get(setting.way, until)
        inputs = [draw.inputs[task.stretch.inputs.index(name)] for name in plain.inputs]
        answers: list[AnyArray] = []
        names: Sequence[str] = ()
        executed = None
        why = ""
        state = self._described(models, plain, part, draw)
        try:
            built = models.get(setting.way, until, every=setting.every_layer, faulty=True)
            models.give(built, part, draw)
            names = built.outputs
            with executed_graphs() as graphs:
                answers = built.run(setting, inputs)
            executed = graphs.describe() if graphs.found else None
        except Exception as error:  # TensorFlow may refuse to run it in any way
            why = _error_text(error)
        outputs = [self._encoder.array(name, y) for name, y in zip(names, answers, strict=False)]
        seen = [
            {"layer": output["name"], "inputs": [], "outputs": [output]}
            for output in outputs if setting.every_layer
        ]  # fmt: skip
        self._tell(
            label=f"{part.name}/{setting.label}",
            kind="predict" if setting.way == "predict" else "call",
            state=state,
            inputs=[
                self._encoder.array(name or "x", x)
                for name, x in zip(plain.inputs, inputs, strict=True)
            ],
            outputs=[] if seen else outputs,
            layers=seen,
            executed=executed if setting.way != "eager" else None,
            eager=setting.way == "eager",
            exact=ExactProbe(
                model=task.label,
                outcome="made" if outputs else "raised",
                stretch=task.number,
                style=draw.style,
                until=until,
                way=setting.way,
                rows=setting.rows,
                every_layer=setting.every_layer,
                lever=self._lever,
                bare=task.bare,
                whole=task.whole,
                why=why,
            ),
        )
        exact = models.exact(draw)
        return any(
            name in exact and (y.shape != exact[name].shape or not agree(y, exact[name]).all())
            for name, y in zip(names, answers, strict=False)
        )

    def _described(
        self, models: Models, plain: Built, part: StretchPart, draw: StretchNumbers
    ) -> int:
        """Return the number of the state of a model with its numbers; tell it the first time."""
        if part.name not in models.states:
            models.give(plain, part, draw)
            described = describe_model(plain.model, self._encoder)
            models.states[part.name] = self._state(described, part.name)
        return models.states[part.name]

    def _state(self, state: Data | ModelState, name: str) -> int:
        data = state.model_dump(mode="json") if isinstance(state, ModelState) else state
        self._spool.event("state", state=data | {"name": name})
        self._states += 1
        return self._states - 1

    def _refuse(self, state: int, model: str, layer: str, why: str) -> None:
        exact = ExactProbe(model=model, outcome="refused", layers=(layer,), why=why)
        self._tell(label=f"{model}/{layer}", kind="value", state=state, exact=exact)

    def _same(self, state: int, model: str, number: int, stretch: Stretch, same_as: str) -> None:
        exact = ExactProbe(
            model=model,
            outcome="same",
            stretch=number,
            layers=tuple(layer.name for layer in stretch.layers),
            bare=stretch.bare,
            same_as=same_as,
        )
        self._tell(label=f"{model}/{number}", kind="value", state=state, exact=exact)

    def _tell(self, exact: ExactProbe, **probe: Any) -> None:
        empty: Data = {
            "inputs": [], "outputs": [], "curves": {}, "executed": None, "call": None, "notes": [],
        }  # fmt: skip
        data = {"index": self._probes, "exact": exact.model_dump(mode="json")}
        self._spool.event("probe", **(empty | data | probe))
        self._probes += 1


def _without_weights(state: ModelState) -> ModelState:
    """Return what is told of a model of which only parts are run: the names of its layers."""
    layers = tuple(
        layer.model_copy(update={"weights": (), "config": {}, "layers": ()})
        for layer in state.layers
    )
    return state.model_copy(update={"layers": layers, "config": None, "compiled": None})


def _size(tensor: TensorType) -> int:
    return math.prod(part or 1 for part in tensor.shape[1:])


def _error_text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]
