"""Experiments: what rules want run again with one thing changed, in one process without R."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import Capsule, CapsuleError, ModelState, Probe, read_capsule
from bridge.capsule.values import ArrayValue, Closure, Method, ObjectValue
from bridge.errors import BridgeError
from bridge.explain.experiment import STARTS, Experiment, ExperimentOutcome
from bridge.process.pool import Limits, Pool, Warm
from bridge.process.zygote import Context
from bridge.runs.job import begin, finish, origin_of, run_job
from bridge.runs.model_execution import Rebuilt, fed_to, forget, rebuild, restore, ways
from bridge.runs.replay import Replay
from bridge.trace.call_semantics import own_functions
from bridge.trace.encoder import Data, Encoder
from bridge.trace.model_description import LookError, assemble, functional, leaves

#: Methods by which a script gives a model weights that no seed would give it.
_GIVES: Final = frozenset({"set_weights", "load_weights", "load_model", "from_config"})
#: Rows of a batch where a script does not say otherwise, in both generations.
_ROWS: Final = 32
#: Steps that are taken between two looks at the clock.
_AT_ONCE: Final = 64
#: The seeds of starts that are not the recorded one.
_SEEDS: Final = tuple(range(1, STARTS))
#: Losses after which numbers can be given back the scale of the targets, and the power of it.
_POWERS: Final = {"mse": 2, "mean_squared_error": 2, "mae": 1, "mean_absolute_error": 1}


class OverBudgetError(BridgeError):
    """The time of the processor that experiments may use is over."""


def make_experiments(
    pool: Pool,
    recorded: Capsule,
    generation: int,
    wanted: Sequence[Experiment],
    limits: Limits,
    seconds: float,
) -> list[ExperimentOutcome]:
    """Make experiments on a recorded run, the cheapest first, in one process.

    Args:
        pool: starts the process.
        recorded: R's run.
        generation: of Keras, 2 or 3.
        wanted: what is made.
        limits: of the process.
        seconds: that they may use of the processor, all together.

    Returns:
        What became of each, in the order of ``wanted``. Capsules of runner ``replay`` have a probe
        for each thing that was run; ``settings`` of it say whether it had the ``changed`` thing.

    Raises:
        PoolError: TensorFlow or Keras cannot be started.
    """
    params = {
        "capsule": pool.file_of(recorded),
        "experiments": [experiment.data() for experiment in wanted],
        "seconds": seconds,
    }
    with run_job(pool, Warm(generation), experiments_job, params, limits) as left:
        whole = left.capsule(origin_of(recorded))
        ended = {event["experiment"]: event for event in left.named("experiment")}
    return [_made(experiment, n, ended.get(n), whole) for n, experiment in enumerate(wanted)]


def _made(
    experiment: Experiment, number: int, ended: Data | None, whole: Capsule
) -> ExperimentOutcome:
    if ended is None:
        return ExperimentOutcome(
            experiment, None, f"the process ended before ({whole.manifest.status})"
        )
    if ended["why"]:
        return ExperimentOutcome(experiment, None, ended["why"], ended["seconds"])
    probes = tuple(p for p in whole.manifest.probes if p.settings.get("experiment") == number)
    manifest = whole.manifest.model_copy(update={"probes": probes, "lever": experiment.changed})
    keys = manifest.array_keys()
    arrays = {key: value for key, value in whole.arrays.items() if key in keys}
    return ExperimentOutcome(experiment, Capsule(manifest, arrays), "", ended["seconds"])


# In the process that makes them.


def experiments_job(context: Context, params: dict[str, Any]) -> None:
    """Make ``params["experiments"]``; an ``experiment`` event says of each what became of it."""
    recorded = read_capsule(Path(params["capsule"]))
    spool = begin(context, params)
    clock = _Clock(params["seconds"])
    makers = _Makers(context, recorded, clock)
    encoder = Encoder(spool)
    wanted = [Experiment(**experiment) for experiment in params["experiments"]]
    for number in sorted(range(len(wanted)), key=lambda n: wanted[n].cost):
        began, why = time.process_time(), ""
        try:
            clock.check()
            for shown in makers.make(wanted[number]):
                spool.event("probe", **_probe(shown, wanted[number], number, encoder))
        except (BridgeError, CapsuleError) as error:
            why = str(error)
        except Exception as error:  # a stranger's model: Keras raises what it likes
            why = f"{type(error).__name__}: {str(error).strip()[:200]}"
        used = time.process_time() - began
        spool.event("experiment", experiment=number, why=why, seconds=used)
    finish(spool, context, "ok")


@dataclass(frozen=True)
class _Shown:
    """Something that was run for an experiment, with the change or without."""

    changed: bool
    outputs: Sequence[tuple[str, AnyArray]] = ()
    curves: Mapping[str, Sequence[float]] | None = None
    seed: int = 0


def _probe(shown: _Shown, experiment: Experiment, number: int, encoder: Encoder) -> Data:
    kinds = {"fit again": "fit", "evaluate again": "evaluate"}
    return {
        "index": experiment.probe,
        "kind": kinds.get(experiment.kind, "predict"),
        "call": None,
        "settings": {"experiment": number, "changed": shown.changed, "seed": shown.seed},
        "outputs": [encoder.array(name, values) for name, values in shown.outputs],
        "curves": {name: list(curve) for name, curve in (shown.curves or {}).items()},
    }


class _Clock:
    """The time of the processor that is left."""

    def __init__(self, seconds: float) -> None:
        self._until = time.process_time() + seconds

    @property
    def over(self) -> bool:
        return time.process_time() > self._until

    def check(self) -> None:
        if self.over:
            raise OverBudgetError("the time that experiments may use was over")


class _Makers:
    """Makes experiments on the models and trainings of a recorded run."""

    def __init__(self, context: Context, recorded: Capsule, clock: _Clock) -> None:
        self._generation, self._keras = context.generation, context.keras
        self._recorded, self._clock = recorded, clock
        keras = context.keras
        self._models = Rebuilt(keras, recorded)
        self._trainings: dict[int, _Training] = {}

    def make(self, experiment: Experiment) -> Iterator[_Shown]:
        probe = self._recorded.manifest.probes[experiment.probe]
        if experiment.kind == "predict again":
            yield from self._predict(probe, experiment)
        elif experiment.kind == "fit again":
            yield from self._training(probe).trials(experiment)
        elif experiment.change == "left alone":
            yield from self._left_alone(probe)
        elif experiment.change == "own loss":
            yield from self._own_loss(probe)
        elif experiment.change == "own metric":
            yield from self._own_metrics(probe)
        else:
            yield from self._training(probe).losses(experiment)

    def _training(self, probe: Probe) -> _Training:
        if probe.index not in self._trainings:
            trainer = _Training(self._keras, self._recorded, probe, self._clock)
            self._trainings[probe.index] = trainer
        return self._trainings[probe.index]

    def _predict(self, probe: Probe, experiment: Experiment) -> Iterator[_Shown]:
        if probe.state is None:
            raise LookError("the model was not recorded")
        model = self._models.sound(probe.state)
        fed = fed_to(model, self._recorded, probe)
        way = next(ways(self._generation, self._recorded, probe, fed))
        predict = _Predict(self._keras, model, None if way.eager else way.rows)
        yield _Shown(False, predict.outputs(fed))
        self._clock.check()
        changed = _CHANGED[experiment.change](predict, fed, self._recorded, probe)
        yield _Shown(True, changed)

    def _left_alone(self, probe: Probe) -> Iterator[_Shown]:
        """Predict, evaluate and call, and show the weights before and after."""
        model = rebuild(self._keras, self._state(probe), self._recorded)
        fed = fed_to(model, self._recorded, probe)
        yield _Shown(False, _weights(model))
        _Predict(self._keras, model, _ROWS).outputs(fed)
        _Predict(self._keras, model, None).outputs(fed)
        yield _Shown(True, _weights(model))

    def _own_loss(self, probe: Probe) -> Iterator[_Shown]:
        """Show the script's own loss from what the model answers to the targets, and beyond.

        The last answers are shown first, then for each whole batch, with the weights before the
        training and after it, the loss on its way.
        """
        (asked,) = self._own(probe, "loss").values()
        answers = [y for y in (self._ended(probe), self._started(probe)) if np.all(np.isfinite(y))]
        if not answers:
            raise LookError("what the model answers are no numbers")
        targets, rows = self._targets(probe, answers[0]), _rows_of(probe, len(answers[0]))
        parts = [slice(n, n + rows) for n in range(0, len(targets) - rows + 1, rows)]
        yield _Shown(False, curves={"after": [asked(targets[:rows], answers[0][:rows])]})
        for answered in answers:
            for part in parts:
                y, p = targets[part], answered[part]
                towards = [asked(y, y + (p - y) * far) for far in _WAY]
                beyond = [asked(y, y - (p - y) * far) for far in _WAY]
                self._clock.check()
                curves = {"after": [asked(y, y)], "towards": towards, "beyond": beyond}
                yield _Shown(True, curves=curves)

    def _own_metrics(self, probe: Probe) -> Iterator[_Shown]:
        """Show the script's own metrics of all rows at once, and as a mean over batches."""
        answered = self._started(probe)
        targets, rows = self._targets(probe, answered), _rows_of(probe, len(answered))
        means: dict[str, Sequence[float]] = {}
        whole: dict[str, Sequence[float]] = {}
        for name, asked in self._own(probe, "metrics").items():
            parts = [slice(n, n + rows) for n in range(0, len(targets), rows)]
            found = [asked(targets[part], answered[part]) for part in parts]
            weights = [len(targets[part]) for part in parts]
            means[name] = found
            means[f"{name} mean"] = [float(np.average(found, weights=weights))]
            whole[name] = [asked(targets, answered)]
        yield _Shown(False, curves=means)
        yield _Shown(True, curves=whole)

    def _own(self, probe: Probe, argument: str) -> dict[str, _Asked]:
        """Return the functions of R's that a model was compiled with, by their names.

        Raises:
            LookError: there is none, or it was given numbers that R may have read.
        """
        found = own_functions(self._recorded, self._state(probe).id, argument, probe.call)
        if not found:
            raise LookError(f"no function of the script's is its {argument}")
        for invocation in self._recorded.manifest.invocations:
            given = (*invocation.args, *invocation.kwargs.values())
            if any(isinstance(value, ArrayValue) for value in given):
                raise LookError("a function of the script's was given numbers, not symbols")
        return {own.name: self._asked_of(own) for own in found}

    def _asked_of(self, own: Closure) -> _Asked:
        def gap(_call: Any, error: BridgeError) -> None:
            raise LookError(f"{own.name or 'a function of R'} cannot be asked again: {error}")

        traced: dict[tuple[int, ...], Any] = {}

        def asked(y: AnyArray, p: AnyArray) -> float:
            import tensorflow as tf

            if p.shape not in traced:
                function = Replay(self._recorded, self._keras, gap).value(own)
                shape = tf.TensorSpec(p.shape, tf.float32)
                traced[p.shape] = tf.function(function, input_signature=[shape, shape])
            given = (tf.constant(values, tf.float32) for values in (y, p))
            return float(np.mean(np.asarray(traced[p.shape](*given))))

        return asked

    def _started(self, probe: Probe) -> AnyArray:
        """Return what the model answers to the rows that a probe was given, before it."""
        assert probe.state is not None
        return self._answered(self._models.sound(probe.state), probe)

    def _ended(self, probe: Probe) -> AnyArray:
        """Return what the model answers to the rows of a training, after it."""
        model = rebuild(self._keras, self._state(probe), self._recorded)
        values = {ref.name: self._recorded.array(ref) for ref in probe.outputs}
        for layer in model.layers:
            own = range(len(layer.get_weights()))
            layer.set_weights([np.asarray(values[f"{layer.name}/{n}"]) for n in own])
        return self._answered(model, probe)

    def _answered(self, model: Any, probe: Probe) -> AnyArray:
        outputs = _Predict(self._keras, model, _ROWS).outputs(fed_to(model, self._recorded, probe))
        if len(outputs) != 1:
            raise LookError("the model has several outputs")
        return np.asarray(outputs[0][1], np.float64)

    def _targets(self, probe: Probe, answered: AnyArray) -> AnyArray:
        """Return the targets in the shape of what the model answers."""
        if len(probe.targets) != 1:
            raise LookError("it has several targets, or weights of rows")
        y = np.asarray(self._recorded.array(probe.targets[0]))
        if y.size != answered.size or len(y) != len(answered):
            raise LookError("targets and answers have other shapes")
        return y.reshape(answered.shape).astype(np.float64)

    def _state(self, probe: Probe) -> ModelState:
        state = self._recorded.state_of(probe)
        if state is None:
            raise LookError("the model was not recorded")
        return state


def _weights(model: Any) -> list[tuple[str, AnyArray]]:
    return [(f"w[{n}]", np.asarray(value)) for n, value in enumerate(model.get_weights())]


Named = Sequence[tuple[str, AnyArray]]
Weights = list[AnyArray]


@dataclass(frozen=True)
class _Predict:
    """A model, and how it is asked: in batches of so many rows, or called on all (None)."""

    keras: Any
    model: Any
    rows: int | None

    def outputs(self, fed: Named, *, training: bool = False) -> list[tuple[str, AnyArray]]:
        forget(self.model)
        given = assemble([(name, np.asarray(x)) for name, x in fed])
        if training or self.rows is None:
            answers = self.model(_tensors(given), training=training)
        else:
            answers = self.model.predict(given, batch_size=self.rows, verbose=0)
        return [(name, np.asarray(y)) for name, y in leaves("y", answers)]


def _tensors(given: Any) -> Any:
    import tensorflow as tf

    return tf.nest.map_structure(tf.constant, given)


#: Asks a function of the script's for the mean of what it gives, of targets and answers.
_Asked = Callable[[AnyArray, AnyArray], float]
#: How far from the targets a function is asked, as shares of the way to what a model answers.
_WAY: Final = (1.0, 0.75, 0.5, 0.25, 2.0**-10)


def _rows_of(probe: Probe, most: int) -> int:
    """Return how many rows a batch had."""
    rows = probe.settings.get("batch_size")
    return min(rows if isinstance(rows, int) and rows > 0 else _ROWS, most)


_Changed = Callable[[_Predict, Named, Capsule, Probe], list[tuple[str, AnyArray]]]


def _twice(asked: _Predict, fed: Named, _recorded: Capsule, _probe: Probe) -> list[Any]:
    # Without forgetting what it was given before: that is what a script does.
    given = assemble([(name, np.asarray(x)) for name, x in fed])
    answers = (
        asked.model(_tensors(given), training=False)
        if asked.rows is None
        else asked.model.predict(given, batch_size=asked.rows, verbose=0)
    )
    return [(name, np.asarray(y)) for name, y in leaves("y", answers)]


def _other_rows(asked: _Predict, fed: Named, _recorded: Capsule, _probe: Probe) -> list[Any]:
    """Keep the last row, and put the first in the place of all others: shapes stay as they are."""
    exchanged = []
    for name, x in fed:
        values = np.array(x)
        values[:-1] = values[:1]
        exchanged.append((name, values))
    return asked.outputs(exchanged)


def _row_order(asked: _Predict, fed: Named, _recorded: Capsule, _probe: Probe) -> list[Any]:
    return asked.outputs([(name, np.asarray(x)[::-1]) for name, x in fed])


def _called(asked: _Predict, fed: Named, _recorded: Capsule, _probe: Probe) -> list[Any]:
    return _Predict(asked.keras, asked.model, None).outputs(fed)


def _in_training(asked: _Predict, fed: Named, _recorded: Capsule, _probe: Probe) -> list[Any]:
    return asked.outputs(fed, training=True)


def _saved(asked: _Predict, fed: Named, _recorded: Capsule, _probe: Probe) -> list[Any]:
    path = "experiment.keras"
    asked.model.save(path)
    loaded = asked.keras.models.load_model(path, compile=False)
    return _Predict(asked.keras, loaded, asked.rows).outputs(fed)


def _cloned(asked: _Predict, fed: Named, _recorded: Capsule, _probe: Probe) -> list[Any]:
    copy = asked.keras.models.clone_model(asked.model)
    copy.set_weights(asked.model.get_weights())
    return _Predict(asked.keras, copy, asked.rows).outputs(fed)


def _unmasked(asked: _Predict, fed: Named, recorded: Capsule, probe: Probe) -> list[Any]:
    """Build the model again, with layers that make masks telling of none.

    Keras 3 writes a mask down as comparisons in the model's graph: they find every step there.
    """
    state = recorded.state_of(probe)
    assert state is not None, "a prediction was made of it"
    model = rebuild(asked.keras, state, recorded)
    for layer in (*model.layers, *getattr(functional(model), "operations", ())):
        if getattr(layer, "mask_zero", False):
            layer.mask_zero = False
        elif hasattr(layer, "mask_value"):
            # No step is made of numbers that are none.
            layer.mask_value = math.nan
        elif type(layer).__name__ == "NotEqual":
            layer.call = _always
    return _Predict(asked.keras, model, asked.rows).outputs(fed)


def _always(x: Any, _other: Any) -> Any:
    import tensorflow as tf

    return tf.ones_like(x, dtype=tf.bool)


_CHANGED: Final[Mapping[str, _Changed]] = {
    "twice": _twice,
    "other rows": _other_rows,
    "row order": _row_order,
    "model(x)": _called,
    "training": _in_training,
    "saved": _saved,
    "cloned": _cloned,
    "mask": _unmasked,
}


# Trainings.


@dataclass(frozen=True)
class _Data:
    """What a training was given, with as many rows as were trained; and what undoes a scaling."""

    x: Any
    y: Any
    weights: Any
    back: float = 1.0


class _Training:
    """A recorded training, made again from its recorded start or from another.

    One compiled model makes all of them: its weights and its optimizer's are put back before each,
    so that nothing is traced twice.
    """

    def __init__(self, keras: Any, recorded: Capsule, probe: Probe, clock: _Clock) -> None:
        state = recorded.state_of(probe)
        if state is None:
            raise LookError("the model was not recorded")
        self._keras, self._recorded, self._probe, self._clock = keras, recorded, probe, clock
        self._state = state
        self._refuse()
        self._data = self._training_data()
        self._model = rebuild(keras, state, recorded)
        self._start: Weights = self._model.get_weights()
        self._compiled: dict[tuple[str, bool], _Fitting] = {}
        self._as_recorded: dict[tuple[int, bool], float] = {}

    def _refuse(self) -> None:
        """Refuse what cannot be made again.

        Raises:
            LookError: what it takes is not Keras' own, or was not recorded; it says why.
        """
        compiled = self._state.compiled
        if not isinstance(compiled, dict) or "unreadable" in compiled:
            raise LookError("how the model was compiled was not recorded")
        if _is_loss_in_r(self._recorded, self._state.id):
            raise LookError("its loss is a function written in R")
        if not self._probe.inputs or not self._probe.targets:
            raise LookError("what it was trained with came from a generator")
        if self._probe.settings.get("class_weight"):
            raise LookError("it was trained with weights of classes")

    def _training_data(self) -> _Data:
        def of(refs: Any, prefix: str) -> Any:
            named = [
                (ref.name, np.asarray(self._recorded.array(ref)))
                for ref in refs
                if ref.name.partition("[")[0] == prefix
            ]
            return assemble([(name, self._cut(x)) for name, x in named]) if named else None

        targets = self._probe.targets
        x, y = of(self._probe.inputs, "x"), of(targets, "y")
        weights = next(
            (self._cut(np.asarray(self._recorded.array(ref))) for ref in targets
             if ref.name == "sample_weight"), None,
        )  # fmt: skip
        if x is None or y is None:
            raise LookError("what it was trained with was not recorded whole")
        return _Data(x, y, weights)

    def _cut(self, x: AnyArray) -> AnyArray:
        """Leave out the rows that the training set aside."""
        share = self._probe.settings.get("validation_split")
        cut = isinstance(share, float) and 0 < share < 1 and x.ndim
        return x[: int(len(x) * (1 - float(str(share))))] if cut else x

    @property
    def _epochs(self) -> int:
        return max((len(curve) for curve in self._probe.curves.values()), default=0)

    def losses(self, experiment: Experiment) -> Iterator[_Shown]:
        """Show the loss before the training, or after it, with training = TRUE and without."""
        fitting = self._fitting()
        end = self._end() if experiment.change != "start" else self._start
        if end is None:
            raise LookError("the weights after the training were not recorded")
        found = fitting.measured(end, self._data)
        if experiment.change == "training":
            yield _Shown(False, curves=found)
            yield _Shown(True, curves=fitting.measured(end, self._data, training=True))
        else:
            yield _Shown(True, curves=found)

    def trials(self, experiment: Experiment) -> Iterator[_Shown]:
        """Show the training with the change and without it, from several starts.

        Where the recorded start does not end lower with the change, no other is tried.
        """
        base: list[float] = []
        changed: list[float] = []
        for seed in (0, *_SEEDS):
            shown = self._trial(experiment, seed)
            changed.append(_first(shown))
            yield shown
            base.append(self._base(seed, free=experiment.change == "penalty"))
            yield _Shown(False, curves={"after": [base[-1]]}, seed=seed)
            if not max(_finite(end) for end in changed) < min(_finite(end) for end in base):
                return

    def _trial(self, experiment: Experiment, seed: int) -> _Shown:
        by = experiment.by
        factor = float(by) if isinstance(by, float | int) else 1.0
        epochs = round(self._epochs * (factor if experiment.change == "epochs" else 1))
        batch = int(factor) if experiment.change == "batch size" else None
        rate = factor if experiment.change == "learning rate" else 1.0
        data = self._data
        if experiment.change == "scale":
            data = _scaled(data, str(by), self._loss_name())
        free = experiment.change == "penalty"
        loss = str(by) if experiment.change == "loss" else ""
        fitting = self._fitting(loss, free=free)
        fitting.fit(self._started(seed), data, seed, epochs, batch, rate)
        measured = self._fitting(free=free).measured(fitting.weights(), data)
        after = [value * data.back for value in measured.pop("after")]
        return _Shown(True, curves={"after": after, **measured}, seed=seed)

    def _base(self, seed: int, *, free: bool) -> float:
        """Return the loss after the training as it was recorded, or from another start.

        Penalties are left out of it where it is measured ``free`` of them.
        """
        if (seed, free) not in self._as_recorded:
            end = self._end() if seed == 0 else None
            fitting = self._fitting()
            if end is None:
                fitting.fit(self._started(seed), self._data, seed, self._epochs)
                end = fitting.weights()
            measured = self._fitting(free=free).measured(end, self._data)
            self._as_recorded[seed, free] = measured["after"][0]
        return self._as_recorded[seed, free]

    def _loss_name(self) -> str:
        loss = self._state.compiled.get("loss") if isinstance(self._state.compiled, dict) else None
        if isinstance(loss, dict):
            config = loss.get("config")
            inner = config.get("name") if isinstance(config, dict) else config
            return str(inner or "")
        return str(loss)

    def _end(self) -> Weights | None:
        """Return the weights after the recorded training, None where they were not kept."""
        try:
            restore(self._model, self._state, self._recorded)
            values = {ref.name: self._recorded.array(ref) for ref in self._probe.outputs}
            for layer in self._model.layers:
                own = range(len(layer.get_weights()))
                layer.set_weights([np.asarray(values[f"{layer.name}/{n}"]) for n in own])
        except (CapsuleError, KeyError, ValueError):
            return None
        found: Weights = self._model.get_weights()
        return found

    def _started(self, seed: int) -> Weights:
        """Return weights to start from: the recorded ones, or such as another seed gives.

        What is not trained stays as it was recorded, and so does all where a script gave the
        weights.
        """
        if not seed or self._is_given:
            return self._start
        self._keras.utils.set_random_seed(seed)
        kind = type(self._model)
        fresh = kind.from_config(self._model.get_config())
        trained = {id(weight) for weight in self._model.trainable_weights}
        places = [id(weight) in trained for weight in self._model.weights]
        if len(places) != len(self._start) or len(fresh.get_weights()) != len(self._start):
            return self._start
        pairs = zip(places, fresh.get_weights(), self._start, strict=True)
        return [new if free else old for free, new, old in pairs]

    @property
    def _is_given(self) -> bool:
        """Whether the start is no fresh one: trained before, or given by the script."""
        earlier = self._recorded.manifest.probes[: self._probe.index]
        trained = any(
            past.kind in ("fit", "train") and (state := self._recorded.state_of(past)) is not None
            and state.id == self._state.id for past in earlier
        )  # fmt: skip
        calls = self._recorded.manifest.calls
        return trained or any(getattr(call.target, "name", "") in _GIVES for call in calls)

    def _fitting(self, loss: str = "", *, free: bool = False) -> _Fitting:
        """Return what trains with a loss, the model's own or another, or free of penalties."""
        self._clock.check()
        if (loss, free) not in self._compiled:
            state = self._state
            if free:
                state = state.model_copy(update={"config": _freed(state.config)})
            own = not loss and not free
            model = self._model if own else rebuild(self._keras, state, self._recorded)
            _compile(self._keras, model, self._state, loss)
            rows = self._probe.settings.get("batch_size")
            batch = rows if isinstance(rows, int) else None
            shuffle = self._probe.settings.get("shuffle") is not False
            fitting = _Fitting(self._keras, model, batch, shuffle, self._clock)
            self._compiled[loss, free] = fitting
        return self._compiled[loss, free]


def _freed(config: Any) -> Any:
    """Return a configuration without its regularizers and constraints."""
    if isinstance(config, dict):
        left = {name: _freed(value) for name, value in config.items()}
        return {
            name: None if name.endswith(("_regularizer", "_constraint")) else value
            for name, value in left.items()
        }
    return [_freed(item) for item in config] if isinstance(config, list) else config


def _is_loss_in_r(recorded: Capsule, model: int) -> bool:
    """Say whether the loss that a model was compiled with was written in R."""
    for call in recorded.manifest.calls:
        target = call.target
        if isinstance(target, Method) and target.name == "compile":
            owner, loss = target.owner, call.kwargs.get("loss")
            if isinstance(owner, ObjectValue) and owner.id == model and loss is not None:
                return "closure" in loss.model_dump_json()
    return False


def _finite(loss: float) -> float:
    return loss if math.isfinite(loss) else math.inf


def _first(shown: _Shown) -> float:
    return next(iter((shown.curves or {})["after"]))


class _Fitting:
    """A compiled model that is trained and measured again and again.

    Keras' own step is repeated within one graph, epoch by epoch: a step of a small model costs less
    than handing it from Python to TensorFlow.
    """

    def __init__(
        self, keras: Any, model: Any, batch: int | None, shuffle: bool, clock: _Clock
    ) -> None:
        self._keras, self._model, self._batch = keras, model, batch or _ROWS
        self._shuffle, self._clock = shuffle, clock
        optimizer = model.optimizer
        if hasattr(optimizer, "build"):
            optimizer.build(model.trainable_variables)
        self._fresh = [np.array(variable) for variable in _variables(optimizer)]
        self._rate = optimizer.learning_rate
        self._usual = np.array(self._rate) if hasattr(self._rate, "assign") else None
        self._steps: dict[str, Any] = {}

    def weights(self) -> Weights:
        """Return the weights as they are now."""
        found: Weights = self._model.get_weights()
        return found

    def fit(
        self,
        start: Sequence[AnyArray],
        data: _Data,
        seed: int,
        epochs: int,
        batch: int | None = None,
        rate: float = 1.0,
    ) -> None:
        """Train from these weights.

        Raises:
            LookError: the learning rate is no single number.
            OverBudgetError: the time was over before the training was.
        """
        given = _tensors(_fed(data))
        step = self._step("train_step", given)
        self._begin(start)
        for variable, value in zip(_variables(self._model.optimizer), self._fresh, strict=False):
            variable.assign(value)
        if self._usual is not None:
            self._rate.assign(self._usual * rate)
        elif rate != 1.0:
            raise LookError("the learning rate follows a schedule")
        self._keras.utils.set_random_seed(seed + 1)
        order = _rows(given)
        chance = np.random.default_rng(seed)
        for _ in range(max(epochs, 1)):
            if self._shuffle:
                chance.shuffle(order)
            self._take(step, given, order, batch or self._batch)

    def _take(self, step: Any, given: Any, order: AnyArray, batch: int) -> None:
        """Take the rows in an order, and look at the clock now and then."""
        some = batch * _AT_ONCE
        for start in range(0, len(order), some):
            step(given, order[start : start + some], batch)
            self._clock.check()

    def measured(
        self, weights: Sequence[AnyArray], data: _Data, *, training: bool = False
    ) -> dict[str, list[float]]:
        """Return loss and metrics with these weights, on the rows that are trained."""
        given = _tensors(_fed(data))
        if training:
            self._begin(weights)
            x, y, *rest = given
            predicted = self._model(x, training=True)
            loss = self._model.compute_loss(
                x=x, y=y, y_pred=predicted, sample_weight=rest[0] if rest else None
            )
            return {"after": [float(np.asarray(loss))]}
        step = self._step("test_step", given)
        self._begin(weights)
        self._model.reset_metrics()
        self._take(step, given, _rows(given), self._batch)
        found = {
            metric.name: float(np.asarray(metric.result())) for metric in _metrics(self._model)
        }
        return {"after": [found.pop("loss")]} | {name: [value] for name, value in found.items()}

    def _begin(self, weights: Sequence[AnyArray]) -> None:
        self._model.set_weights(list(weights))
        forget(self._model)

    def _step(self, name: str, given: Any) -> Any:
        """Return what takes one step after another over rows in an order, so many at once."""
        import tensorflow as tf

        if name not in self._steps:
            method = getattr(self._model, name)
            # What Keras makes when it is first used cannot be made within a loop.
            method(tf.nest.map_structure(lambda x: x[: self._batch], given))

            def run(given: Any, order: Any, batch: Any) -> None:
                rows = tf.shape(order)[0]

                def body(start: Any) -> Any:
                    some = order[start : tf.minimum(start + batch, rows)]
                    method(tf.nest.map_structure(lambda x: tf.gather(x, some), given))
                    return start + batch

                tf.while_loop(lambda start: start < rows, body, [tf.constant(0)])

            traced = tf.function(run, autograph=False, reduce_retracing=True)
            self._steps[name] = lambda given, order, batch: traced(
                given, tf.constant(order), tf.constant(batch)
            )
        return self._steps[name]


def _fed(data: _Data) -> Any:
    """Return what a step of Keras is given: inputs, targets, and weights where there are some."""
    given = (data.x, data.y) if data.weights is None else (data.x, data.y, data.weights)
    return _floats(given)


def _floats(item: Any) -> Any:
    """Return arrays as Keras hands them on: doubles become float32."""
    if isinstance(item, (tuple, list)):
        return type(item)(_floats(part) for part in item)
    if isinstance(item, dict):
        return {name: _floats(value) for name, value in item.items()}
    values = np.asarray(item)
    return values.astype(np.float32) if values.dtype == np.float64 else values


def _rows(given: Any) -> AnyArray:
    """Return the numbers of the rows."""
    import tensorflow as tf

    return np.arange(int(tf.nest.flatten(given)[0].shape[0]), dtype=np.int32)


def _metrics(model: Any) -> list[Any]:
    """Return the metrics that give one number, those within Keras 3's list of them too."""
    found = []
    for metric in model.metrics:
        inner = getattr(metric, "metrics", None)
        found += list(inner) if inner else [metric]
    return found


def _variables(optimizer: Any) -> list[Any]:
    found = optimizer.variables
    return list(found() if callable(found) and not isinstance(found, list) else found)


def _compile(keras: Any, model: Any, state: ModelState, loss: str) -> None:
    """Compile a model as it was recorded, or with another loss.

    Raises:
        LookError: a part of it is not Keras' own.
    """
    config = state.compiled if isinstance(state.compiled, dict) else {}
    try:
        named = config["optimizer"]
        bare = named if isinstance(named, str) else _bare(named)
        optimizer = keras.optimizers.get(bare)
        metrics = config.get("metrics")
        names = metrics if isinstance(metrics, list) else [metrics]
        model.compile(
            optimizer=optimizer,
            loss=loss or _losses(keras, config.get("loss")),
            metrics=[name for name in names if isinstance(name, str)] or None,
        )
    except Exception as error:  # a configuration from a stranger's file: Keras raises what it likes
        text = f"{type(error).__name__}: {str(error).strip()[:200]}"
        raise LookError(f"the model cannot be compiled again: {text}") from None


def _losses(keras: Any, loss: Any) -> Any:
    if isinstance(loss, dict) and "class_name" in loss:
        if loss["class_name"] == "function":
            return loss.get("config")
        return keras.losses.deserialize(_bare(loss))
    if isinstance(loss, dict):
        return {name: _losses(keras, value) for name, value in loss.items()}
    return [_losses(keras, item) for item in loss] if isinstance(loss, list) else loss


def _bare(config: Any) -> Any:
    """Return a configuration as an older file has it: the class, and its settings."""
    return {"class_name": config["class_name"], "config": config["config"]}


def _scaled(data: _Data, which: str, loss: str) -> _Data:
    """Return data whose columns have mean 0 and deviation 1: inputs, targets, or both.

    Raises:
        LookError: the loss cannot be given back the scale of the targets.
    """
    x, y, back = data.x, data.y, 1.0
    if "x" in which:
        x = assemble([(name, _standard(array)) for name, array in leaves("x", x)])
    if "y" in which:
        if loss not in _POWERS or not isinstance(y, np.ndarray):
            raise LookError(f"the loss {loss} does not go with the scale of the targets")
        target = np.asarray(y, np.float64)
        width = float(np.std(target - target.mean(axis=0))) or 1.0
        y = (target - target.mean(axis=0)) / width
        back = width ** _POWERS[loss]
    return _Data(x, y, data.weights, back)


def _standard(x: AnyArray) -> AnyArray:
    values = np.asarray(x, np.float64)
    axes = 0 if values.ndim <= 2 else None
    width = np.std(values, axis=axes)
    scaled: AnyArray = (values - np.mean(values, axis=axes)) / np.where(width > 0, width, 1.0)
    return scaled
