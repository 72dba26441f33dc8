"""Recorded predictions made again: as they were, under a lever, with a fault put in."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import (
    Array,
    Capsule,
    ExecutedGraph,
    LayerState,
    Manifest,
    ModelState,
    Probe,
    read_capsule,
)
from bridge.faults import graph
from bridge.faults.layers import IDLE, Fault, FaultError
from bridge.process.pool import Limits, Pool
from bridge.process.zygote import Context
from bridge.runs.activation_measurement import with_kernels
from bridge.runs.job import begin, finish, origin_of, run_job
from bridge.runs.layer_capture import Teller, View, must_agree, tell_perturbed, view_of
from bridge.runs.levers import Lever, warm_for
from bridge.runs.model_execution import (
    Named,
    Rebuilt,
    Remake,
    Sight,
    Way,
    fed_to,
    run_elsewhere,
    under,
    ways,
)
from bridge.runs.model_execution import run as run_model
from bridge.trace.encoder import Data, Encoder
from bridge.trace.executed_graph import arithmetic
from bridge.trace.model_description import LookError, as_fed, batches
from bridge.trace.spool import Event

#: What the keys of arrays begin with that were made when models were run again.
_PREFIX = "n"


def rerun(
    pool: Pool,
    recorded: Capsule,
    generation: int,
    limits: Limits,
    *,
    lever: Lever | None = None,
    fault: Fault | Mapping[int, Fault] | None = None,
    probes: Collection[int] | None = None,
    look: bool = True,
) -> Capsule:
    """Build the recorded models again and make the recorded predictions, in one fresh process.

    Args:
        pool: starts the process.
        recorded: the run; its states, and the inputs of its probes, are what is needed of it.
        generation: the Keras that the models are built with, 2 or 3.
        limits: of the process.
        lever: the switch that is pulled before anything runs.
        fault: the defect that is put in; or one for each of some probes, by the probe's index.
            No two of those may be of one state.
        probes: the indices of the probes that are made again; None is all.
        look: whether the layers are looked into.

    Returns:
        A capsule of runner ``replay`` whose ``lever`` names lever and fault. Its probes have the
        index, label and inputs of the recorded ones, and are of the same states; under a lever
        that changes the float type the states and inputs are those that were run. A probe that
        raised, or cannot be run, has that status and no outputs. With neither lever nor fault, a
        probe that does not make the recorded bits says so in a note.

    Raises:
        LeverError: the lever needs another generation of Keras.
        PoolError: TensorFlow or Keras cannot be started.
    """
    given = widen(recorded) if lever is not None and lever.dtype == "float64" else recorded
    warm = warm_for(lever, generation)
    params: dict[str, Any] = {
        "capsule": pool.file_of(given, _needed),
        "look": look,
        "seconds": limits.seconds,
        "probes": None if probes is None else sorted(probes),
        "lever": lever.params() if lever is not None else {},
        "fault": fault.params() if isinstance(fault, Fault) else {},
        "faults": {}
        if fault is None or isinstance(fault, Fault)
        else {str(index): put_in.params() for index, put_in in fault.items()},
    }
    with run_job(pool, warm, rerun_job, params, limits) as left:
        capsule = Capsule(left.capsule(origin_of(recorded)).manifest, left.arrays)
        again = _joined(given, capsule, left.named("perturbed"), _called(lever, fault), probes)
    return with_kernels(pool, again, warm) if look else again


def _needed(recorded: Capsule) -> Capsule:
    """Leave out what models and their predictions do not need: layers, plots, other calls."""
    manifest = recorded.manifest
    probes = tuple(probe.model_copy(update={"layers": ()}) for probe in manifest.probes)
    predicting = {probe.call for probe in probes}
    calls = tuple(call for call in manifest.calls if call.id in predicting)
    changed = {"probes": probes, "calls": calls, "plots": (), "output": ()}
    return _with_own_arrays(manifest.model_copy(update=changed), recorded.arrays)


def _called(lever: Lever | None, fault: Fault | Mapping[int, Fault] | None) -> str | None:
    """Name what is unlike the recorded run; None if nothing is."""
    names = [lever.name] if lever is not None else []
    if fault is not None and not isinstance(fault, Fault):
        names += [f"{len(fault)} faults"] if fault else []
    elif fault is not None:
        names.append(" in ".join(part for part in (fault.kind, fault.layer) if part))
    return " + ".join(names) or None


def _joined(
    recorded: Capsule,
    capsule: Capsule,
    perturbed: list[Event],
    lever: str | None,
    asked: Collection[int] | None,
) -> Capsule:
    """Put what was made beside the recorded models and inputs."""
    by_index = {probe.index: probe for probe in capsule.manifest.probes}
    found = {(event["probe"], event["place"]): event["found"] for event in perturbed}
    probes = []
    for probe in recorded.manifest.probes:
        if asked is not None and probe.index not in asked:
            continue
        again = by_index.get(probe.index)
        data = (
            again.model_dump(mode="json") if again is not None else _unmade(probe, capsule.manifest)
        )
        for place, layer in enumerate(data["layers"]):
            layer |= found.get((probe.index, place), {})
        own = Probe.model_validate(_prefixed(data))
        probes.append(own.model_copy(update={"inputs": probe.inputs, "line": probe.line}))
    manifest = capsule.manifest.model_copy(
        update={
            "lever": lever,
            "states": recorded.manifest.states,
            "probes": tuple(probes),
            "script": recorded.manifest.script,
            "frontend": recorded.manifest.frontend,
        }
    )
    arrays = {f"{_PREFIX}{key}": capsule.arrays[key] for key in capsule.arrays}
    return _with_own_arrays(manifest, {**recorded.arrays, **arrays})


def _unmade(probe: Probe, manifest: Manifest) -> dict[str, Any]:
    """Return a probe that the process did not come to."""
    why = manifest.error.message if manifest.error is not None else manifest.status
    kept = probe.model_dump(mode="json", include={"index", "label", "kind", "state", "eager"})
    return kept | {"layers": [], **_not_run(f"the process ended before ({why})")}


def _not_run(why: str) -> dict[str, Any]:
    return {"status": "not-run", "why": why, "notes": [f"not run: {why}"]}


def _prefixed(item: Any) -> Any:
    """Return data with the prefix before the key of every array."""
    if isinstance(item, dict):
        found = {key: _prefixed(value) for key, value in item.items()}
        if isinstance(found.get("key"), str) and "dtype" in found:
            found["key"] = f"{_PREFIX}{found['key']}"
        return found
    return [_prefixed(part) for part in item] if isinstance(item, (list, tuple)) else item


def _with_own_arrays(manifest: Manifest, arrays: Any) -> Capsule:
    """Return a capsule with the arrays that its manifest speaks of, in memory."""
    wanted = sorted(manifest.array_keys())
    own: dict[str, AnyArray] = {key: np.array(arrays[key]) for key in wanted if key in arrays}
    return Capsule(manifest, own)


# Recorded predictions made again, in one process: as they were, under a lever, with a fault.

#: What a probe is told where it was not made again as it was recorded.
NOT_REPRODUCED: Final = "built again, the model does not give the recorded bits"
_NOTHING: Final[frozenset[int]] = frozenset()


def rerun_job(context: Context, params: dict[str, Any]) -> None:
    """Write a ``probe`` event for every probe of ``params["capsule"]`` that is asked for."""
    begun = time.process_time()
    recorded = read_capsule(Path(params["capsule"]))
    spool = begin(context, params)
    fault = Fault.of(params["fault"]) if params["fault"] else None
    faults = {int(key): Fault.of(data) for key, data in params["faults"].items()}
    again = _Again(context, recorded, params["lever"], Encoder(spool), params["look"])
    for probe in recorded.manifest.probes:
        if params["probes"] is None or probe.index in params["probes"]:
            spool.event("probe", **again.make(probe, faults.get(probe.index, fault)))
    tell_perturbed(spool, again.teller, begun, params)
    finish(spool, context, "ok")


@dataclass(frozen=True)
class _Repetition:
    """A prediction that was made again: a run that nobody looked into, and one that was.

    ``view`` is None where nobody looked; ``sound`` is as :meth:`Teller.layers` wants it.
    ``without`` says why a fault was not put in, ``unseen`` why the layers could not be seen.
    """

    way: Way
    bare: Sight
    view: View | None = None
    sound: Sight | None = None
    without: str = ""
    idle: bool = False
    reproduced: bool = True
    unseen: str = ""

    @property
    def notes(self) -> list[str]:
        """What is noted of it, for readers."""
        return [
            *([] if self.reproduced else [NOT_REPRODUCED]),
            *(_without_fault(self.without)["notes"] if self.without else []),
            *([f"layers not seen: {self.unseen}"] if self.unseen else []),
            *([IDLE] if self.idle else []),
        ]


def _without_fault(why: str) -> dict[str, Any]:
    return {"status": "without-fault", "why": why, "notes": [f"without the fault: {why}"]}


class _Again:
    """Makes the predictions of a recorded run again."""

    def __init__(
        self,
        context: Context,
        recorded: Capsule,
        lever: dict[str, Any],
        encoder: Encoder,
        looking: bool,
    ) -> None:
        self._context, self._recorded, self._lever = context, recorded, lever
        self._fault: Fault | None = None
        self._encoder, self._looking = encoder, looking
        self._models = Rebuilt(context.keras, recorded)
        self.teller = Teller(recorded, encoder)

    def make(self, probe: Probe, fault: Fault | None = None) -> Data:
        """Return the probe as data, made with the fault put in.

        What could not be made again has a note that says why.
        """
        self._fault = fault
        event: Data = {
            "index": probe.index, "label": probe.label, "kind": probe.kind, "state": probe.state,
            "call": None, "inputs": [], "outputs": [], "layers": [], "executed": None, "curves": {},
            "eager": probe.eager, "notes": [],
        }  # fmt: skip
        try:
            if probe.kind not in ("predict", "call") or probe.state is None:
                raise LookError("only predictions of recorded models are made again")
            execution = self._made(probe)
        except LookError as error:
            return event | _not_run(str(error))
        except FaultError as error:
            return event | _without_fault(str(error))
        except Exception as error:  # Keras and TensorFlow may refuse a model in any way
            text, cls = str(error).strip()[:500], type(error).__name__
            notes = [f"raised {cls}", *([text] if text else [])]
            return event | {"status": "raised", "why": cls, "notes": notes}
        layers = []
        if execution.view is not None:
            layers = self.teller.layers(probe, execution.view, execution.sound)
        executed = None if execution.way.eager else _described(execution.bare, execution.way.jit)
        return event | {
            "outputs": [self._encoder.array(name, y) for name, y in execution.bare.outputs],
            "layers": layers,
            "executed": executed and executed.model_dump(mode="json"),
            "eager": execution.way.eager,
            **(_without_fault(execution.without) if execution.without else {}),
            **({"status": "idle"} if execution.idle else {}),
            "notes": execution.notes,
        }

    def _made(self, probe: Probe) -> _Repetition:
        fed = fed_to(self._models.sound(probe.state or 0), self._recorded, probe)
        likely = ways(self._context.generation, self._recorded, probe, fed)
        if not self._as_recorded:
            return self._run(probe, fed, under(next(likely), self._lever, fed), None)
        expected = [(ref.name, np.asarray(self._recorded.array(ref))) for ref in probe.outputs]
        tried: list[_Repetition] = []
        failed: Exception | None = None
        for way in likely:
            try:
                execution = self._run(probe, fed, way, expected)
            except Exception as error:  # as above: another way may be the right one
                failed = failed or error
                continue
            if self._is_recorded(probe, execution):
                return execution
            tried.append(execution)
        if tried:
            return tried[0]
        if not expected:
            raise failed or LookError("there is no way to run the model")
        first = next(ways(self._context.generation, self._recorded, probe, fed))
        execution = self._run(probe, fed, first, None)
        return replace(execution, reproduced=False)

    @property
    def _as_recorded(self) -> bool:
        return not self._lever and self._fault is None

    def _is_recorded(self, probe: Probe, execution: _Repetition) -> bool:
        """Say whether what was executed is what was executed when the run was recorded."""
        executed = _described(execution.bare)
        if probe.executed is None or executed is None or execution.way.jit:
            return True
        return arithmetic(probe.executed) == arithmetic(executed)

    def _run(self, probe: Probe, fed: Named, way: Way, expected: Named | None) -> _Repetition:
        if self._lever.get("backend"):
            return self._run_elsewhere(probe, fed, way)
        model, without = self._models.faulty(probe.state or 0, self._standing(way))
        put_in: list[graph.Faulty] = []
        remake = self._remake(way, put_in)
        runner = _ModelRunner(self._context.keras, model, fed, way, expected, remake)
        execution = self._seen(probe, runner, way)
        changed = [change.last is not None and change.last.changed for change in put_in]
        return replace(execution, without=without, idle=bool(changed) and not any(changed))

    def _seen(self, probe: Probe, runner: _ModelRunner, way: Way) -> _Repetition:
        if not self._looking:
            return _Repetition(way, runner.attempt(_NOTHING))
        if way.eager:
            seen = runner.attempt(None)
            view: View | None = View(seen, frozenset(seen.values), None)
            return _Repetition(way, seen, view, self._sound(probe, seen))
        try:
            known = probe.executed if self._as_recorded else None
            view = runner.compiled() if way.jit else runner.traced(known)
        except LookError as error:
            if runner.bare is None:
                raise
            return _Repetition(way, runner.bare, unseen=str(error))
        bare = runner.bare or view.sight
        return _Repetition(way, bare, view, self._sound(probe, view.sight))

    def _run_elsewhere(self, probe: Probe, fed: Named, way: Way) -> _Repetition:
        model, without = self._models.faulty(probe.state or 0, self._standing(way))
        # Without TensorFlow's graphs, how many rows there are at a time decides about nothing.
        sight = run_elsewhere(self._context.keras, model, fed, self._lever.get("rows"))
        way = replace(way, eager=True)
        if not self._looking or not sight.calls:
            return _Repetition(way, sight, without=without)
        view = View(sight, frozenset(sight.values), None)
        return _Repetition(way, sight, view, without=without)

    def _standing(self, way: Way) -> Fault | None:
        """Return the fault if it stands in a layer and shows in this way."""
        fault = self._fault
        if fault is None or graph.rewrites(fault, eager=way.eager, jit=way.jit):
            return None
        names = ("eager",) if way.eager else ("xla",) if way.jit else ("graph", "predict")
        return fault if any(fault.shows(name) for name in names) else None

    def _remake(self, way: Way, put_in: list[graph.Faulty]) -> Remake | None:
        """Return what puts a fault of the executed graph into a traced prediction function.

        Every function that gets it is appended to ``put_in``.
        """
        fault = self._fault
        if fault is None or not graph.rewrites(fault, eager=way.eager, jit=way.jit):
            return None

        def remake(traced: Any) -> graph.Faulty:
            put_in.append(graph.Faulty(fault, traced))
            return put_in[-1]

        return remake

    def _sound(self, probe: Probe, sight: Sight) -> Sight | None:
        if self._fault is None:
            return None
        calls = self._models.sound_calls(probe.state or 0, sight.calls)
        return replace(sight, calls=calls)


def _described(sight: Sight, jit: bool = False) -> ExecutedGraph | None:
    """Return what was executed; of what XLA compiles TensorFlow tells no ops."""
    if jit:
        return ExecutedGraph(functions=1, jit_compiled=True)
    if sight.executed is None or not sight.executed.found:
        return None
    return ExecutedGraph.model_validate(sight.executed.describe())


class _ModelRunner:
    """Runs one model in one way, and keeps the run of which nothing was asked."""

    def __init__(
        self,
        keras: Any,
        model: Any,
        fed: Named,
        way: Way,
        expected: Named | None,
        remake: Remake | None,
    ) -> None:
        self._keras, self._model, self._fed, self._way = keras, model, fed, way
        self._expected, self._remake = expected, remake
        self.bare: Sight | None = None

    def attempt(self, wanted: frozenset[int] | None) -> Sight:
        """Run the model with these tensors handed out; it must make what it makes anyhow.

        Raises:
            LookError: it makes other bits, or cannot be run or watched.
        """
        sight = self._run(wanted, self._remake)
        if self._remake is not None and sight.executed is not None and not sight.executed.found:
            # There was nothing to rewrite, and the function was made before anybody looked.
            sight = self._run(wanted, None)
        expected = self._expected if self.bare is None else self.bare.outputs
        if expected is not None:
            must_agree(sight.outputs, expected)
        if wanted == _NOTHING:
            self.bare = sight
        return sight

    def traced(self, recorded: ExecutedGraph | None) -> View:
        """Look into a run as a graph; ``recorded`` is what is executed when nobody looks, if known.

        Else the first batch says what that is.
        """
        if recorded is None:
            whole, self._fed = self._fed, next(batches(self._fed, self._way.rows))
            recorded = _described(self.attempt(_NOTHING))
            self._fed, self.bare = whole, None
        return view_of(self.attempt, recorded, hidden_work=False)

    def compiled(self) -> View:
        """Look into a run that is compiled, which may compile it into something else."""
        self.attempt(_NOTHING)
        try:
            return view_of(self.attempt, None, hidden_work=True)
        except LookError:
            sight = self._run(None, None)
            return View(sight, frozenset(sight.values), False)

    def _run(self, wanted: frozenset[int] | None, remake: Remake | None) -> Sight:
        return run_model(self._keras, self._model, self._fed, self._way, wanted, remake)


# The same in float64.

_NARROW: Final = frozenset({"float16", "bfloat16", "float32", "mixed_float16", "mixed_bfloat16"})
_WIDE: Final = "float64"


def widen(recorded: Capsule) -> Capsule:
    """Return a run whose models compute in float64, with the recorded weights and inputs.

    Inputs are those that the models received: R's doubles were rounded to float32 for them, and
    stay so. What the run made is left as it is.
    """
    arrays: dict[str, AnyArray] = {}

    def wide(ref: Array, received: bool = False) -> Array:
        if ref.key is None:
            return ref
        values = np.asarray(recorded.array(ref))
        if received:
            values = as_fed(values, "float32")
        if values.dtype.name not in _NARROW:
            return ref
        key = f"w{ref.key}"
        arrays[key] = values.astype(np.float64)
        return ref.model_copy(update={"key": key, "dtype": _WIDE})

    def layer(state: LayerState) -> LayerState:
        weights = tuple(w.model_copy(update={"array": wide(w.array)}) for w in state.weights)
        layers = tuple(layer(member) for member in state.layers)
        config = _widened(state.config)
        return state.model_copy(update={"weights": weights, "layers": layers, "config": config})

    def model(state: ModelState) -> ModelState:
        layers = tuple(layer(member) for member in state.layers)
        return state.model_copy(update={"layers": layers, "config": _widened(state.config)})

    def probe(seen: Probe) -> Probe:
        return seen.model_copy(update={"inputs": tuple(wide(ref, True) for ref in seen.inputs)})

    manifest = recorded.manifest.model_copy(
        update={
            "states": tuple(map(model, recorded.manifest.states)),
            "probes": tuple(map(probe, recorded.manifest.probes)),
        }
    )
    return Capsule(manifest, {**recorded.arrays, **arrays})


def _widened(config: Any) -> Any:
    """Return a configuration in which every float type, and every policy of one, is float64."""
    if isinstance(config, dict):
        return {
            key: _type(value) if key == "dtype" else _widened(value)
            for key, value in config.items()
        }
    if isinstance(config, (list, tuple)):
        return [_widened(item) for item in config]
    return config


def _type(value: Any) -> Any:
    if isinstance(value, str):
        return _WIDE if value in _NARROW else value
    if isinstance(value, dict) and isinstance(value.get("config"), dict):
        # A policy: {"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}.
        name = value["config"].get("name")
        if name in _NARROW:
            return value | {"config": value["config"] | {"name": _WIDE}}
    return value
