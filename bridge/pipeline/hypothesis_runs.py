"""What every fault that may be the cause would have made: the runs behind a symptom table.

A fault is put in where it changes something, and nothing else is run: a prediction that executes
no op with the fault is what was recorded. Each run is one process for all predictions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import Capsule, CapsuleError, ExecutedGraph, ModelState, Probe
from bridge.compare.alignment import labels_of
from bridge.errors import BridgeError, InternalError, attempted, bound
from bridge.explain.discriminating_runs import AS_FUNCTION, separating
from bridge.explain.observations import Bound, Reports, bind
from bridge.explain.responses import reach
from bridge.explain.result import SymptomTable
from bridge.explain.symptoms import (
    FaultHypothesis,
    FaultOutputs,
    Output,
    RecordedOutputs,
    match,
    suspects,
    with_separating,
)
from bridge.faults.layers import Fault
from bridge.process.pool import Limits, Pool, PoolError
from bridge.rounding.layer_records import seen_layers
from bridge.runs.levers import LEVERS, Lever
from bridge.runs.rerun import rerun

#: Runs at once: as many as a suite's case keeps busy anyway.
_AT_ONCE: Final = 2
#: Where the indices of probes of changed models begin, beyond those that were recorded.
_FIRST: Final = 1_000_000


class Rerun(Protocol):
    """Makes recorded predictions again, under a lever, with a fault."""

    def __call__(
        self,
        recorded: Capsule,
        probes: Collection[int],
        lever: Lever | None = None,
        fault: Fault | None = None,
    ) -> Capsule:
        """Return the run."""
        ...


def symptom_table(
    pool: Pool,
    recorded: Capsule,
    reports: Reports,
    generation: int,
    limits: Limits,
    labels: Mapping[int, str] | None = None,
) -> SymptomTable:
    """Return what was reported against every fault that may be the cause.

    Args:
        pool: where the candidates' runs are made.
        recorded: the run of the script here, without any fault.
        reports: what was read with :func:`bridge.explain.observations.read_observed`.
        generation: of Keras, 2 or 3.
        limits: of each run.
        labels: the names of the run's probes, by index (a twin may have named them).
    """

    def run(
        recorded: Capsule,
        probes: Collection[int],
        lever: Lever | None = None,
        fault: Fault | None = None,
    ) -> Capsule:
        return rerun(
            pool, recorded, generation, limits, lever=lever, fault=fault, probes=probes, look=False
        )

    return table_from(run, recorded, reports, labels)


def table_from(
    run: Rerun, recorded: Capsule, reports: Reports, labels: Mapping[int, str] | None = None
) -> SymptomTable:
    """Return the symptom table, with runs made by ``run``."""
    bound = bind(reports, recorded, labels if labels is not None else labels_of([recorded]))
    bound, outputs = _recorded(bound, recorded)
    if not bound.seen:
        return match(bound, (), outputs).table
    fault_outputs = _SuspectRuns(run, recorded, frozenset(outputs.outputs)).make()
    found = match(bound, fault_outputs, outputs)
    return with_separating(
        found.table, separating(recorded, found.standing, fault_outputs, outputs)
    )


def _recorded(bound: Bound, recorded: Capsule) -> tuple[Bound, RecordedOutputs]:
    """Return the arrays of the observed probes; observations without them are left out."""
    probes = {probe.index: probe for probe in recorded.manifest.probes}
    inputs: dict[int, AnyArray] = {}
    outputs: dict[int, AnyArray] = {}
    kept, left = [], list(bound.unmatched)
    for seen in bound.seen:
        probe = probes[seen.probe]
        try:
            if len(probe.outputs) != 1 or len(probe.inputs) != 1:
                raise CapsuleError("its model has several inputs or outputs, or none was recorded")
            inputs[seen.probe] = np.asarray(recorded.array(probe.inputs[0]))
            outputs[seen.probe] = np.asarray(recorded.array(probe.outputs[0]))
            kept.append(seen)
        except CapsuleError as error:
            left.append(f"{seen.observation.name} cannot be compared: {error}")
    bounds = {
        seen.probe: far
        for seen in kept
        if seen.array is not None and (far := _bound(recorded, probes[seen.probe])) is not None
    }
    left_out = Bound(tuple(kept), tuple(left), bound.conflicts)
    return left_out, RecordedOutputs(inputs, outputs, bounds)


def _bound(recorded: Capsule, probe: Probe) -> AnyArray | None:
    """Return how far the outputs of two machines may be apart by rounding, if it is known.

    Each may be so far from the exact output. The bound is that of the sound model.
    """
    seen = seen_layers(recorded, probe)
    found = reach(seen).get(seen[-1].last) if seen else None
    if found is None or isinstance(found, str) or found.shape != probe.outputs[0].shape:
        return None
    return 2 * found


@dataclass(frozen=True)
class _Setting:
    """How models are run, with what they make and execute without any fault."""

    name: str
    recorded: Capsule
    lever: Lever | None
    sound: Mapping[int, Output]
    executed: Mapping[int, ExecutedGraph | None]


class _SuspectRuns:
    """The runs of all suspects, on the probes that were observed."""

    def __init__(self, run: Rerun, recorded: Capsule, probes: frozenset[int]) -> None:
        self._run, self._recorded, self._probes = run, recorded, probes
        self._by_index = {
            probe.index: probe for probe in recorded.manifest.probes if probe.index in probes
        }

    def make(self) -> tuple[FaultOutputs, ...]:
        """Return what every suspect makes, in every setting in which it may make something else."""
        sound = {index: _output(self._recorded, probe) for index, probe in self._by_index.items()}
        executed = {index: probe.executed for index, probe in self._by_index.items()}
        as_recorded = _Setting("", self._recorded, None, sound, executed)
        edits = [suspect for suspect in suspects(self._recorded, self._probes) if suspect.edit]
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as runs:
            plain = runs.submit(bound(self._as_function))
            edited = runs.submit(bound(self._edited), edits, sound)
            # What is executed as a plain function may have ops that predict's graph has not.
            setting = plain.result()
            settings = [as_recorded, *([setting] if setting is not None else [])]
            graphs = setting.executed.values() if setting is not None else ()
            found = suspects(self._recorded, self._probes, [graph for graph in graphs if graph])
            pending = [
                (suspect, at.name, runs.submit(bound(self._with_fault), suspect, at))
                for at in settings
                for suspect in found
                if suspect.kind and (suspect.fuses or at is as_recorded)
            ]
            fault_outputs = [
                FaultOutputs(suspect, name, run.result()) for suspect, name, run in pending
            ]
            names = {suspect.name for suspect in found}
            fault_outputs += [
                FaultOutputs(suspect, "", y)
                for suspect, y in edited.result()
                if suspect.name in names
            ]
        fault_outputs += [
            FaultOutputs(suspect, "", sound) for suspect in found if suspect.is_healthy
        ]
        order = {suspect.name: place for place, suspect in enumerate(found)}
        return tuple(
            sorted(fault_outputs, key=lambda fault: (order[fault.suspect.name], fault.setting))
        )

    def _as_function(self) -> _Setting | None:
        """Run the models as plain functions: without what predict ties to their outputs, or XLA.

        None is returned where they could not be, or where the same is fused as was recorded.
        """
        if all(probe.eager for probe in self._by_index.values()):
            return None
        called = _as_called(self._recorded, self._probes)
        lever = LEVERS["graph"]
        try:
            outcomes = attempted(
                "running the models as plain functions",
                lambda: self._outputs(self._run(called, self._probes, lever)),
            )
        except PoolError:
            raise
        except BridgeError:
            return None
        if isinstance(outcomes, InternalError):
            return None
        executed = {index: graph for index, (_, graph) in outcomes.items()}
        if all(_fused(executed.get(i)) == _fused(p.executed) for i, p in self._by_index.items()):
            return None
        sound = {index: output for index, (output, _) in outcomes.items()}
        missing: Output = "it could not be run as a plain function"
        sound = dict.fromkeys(self._probes, missing) | sound
        return _Setting(AS_FUNCTION, called, lever, sound, executed)

    def _with_fault(self, suspect: FaultHypothesis, setting: _Setting) -> dict[int, Output]:
        """Return the outputs with a fault of the executed graph; run where it stands in an op."""
        if suspect.stands_in is not None:
            state_of = self._recorded.state_of
            states = {index: state_of(probe) for index, probe in self._by_index.items()}
            touched = {i for i, state in states.items() if state and suspect.stands_in(state)}
        else:
            needs = suspect.needs or bool
            touched = {i for i, graph in setting.executed.items() if graph and needs(graph)}
        if not touched:
            return dict(setting.sound)
        fault = Fault(suspect.kind, "", scope=suspect.scope)
        outputs = self._safely(setting.recorded, touched, setting.lever, fault)
        return {**setting.sound, **outputs}

    def _edited(
        self, found: Sequence[FaultHypothesis], sound: Mapping[int, Output]
    ) -> list[tuple[FaultHypothesis, dict[int, Output]]]:
        """Return the outputs of models that R asked for otherwise; all of them in one process.

        Nothing leaks from one model to the next, and models that become the same are made once.
        """
        states, probes = list(self._recorded.manifest.states), []
        arrays = dict(self._recorded.arrays)
        wanted: list[tuple[FaultHypothesis, dict[int, int]]] = []
        for suspect in found:
            places: dict[int, int] = {}
            for index, probe in self._by_index.items():
                changed = self._changed(suspect, probe)
                if changed is None:
                    continue
                state, more = changed
                arrays |= more
                if state not in states:
                    states.append(state)
                place = _FIRST + states.index(state) * len(self._by_index) + index
                places[index] = place
                probes.append(probe.model_copy(update={"index": place, "executed": None,
                                                       "state": states.index(state)}))  # fmt: skip
            if suspect.edit is not None:
                wanted.append((suspect, places))
        once = tuple({probe.index: probe for probe in probes}.values())
        if not once:
            return [(suspect, dict(sound)) for suspect, _ in wanted]
        manifest = self._recorded.manifest.model_copy(
            update={"states": tuple(states), "probes": once}
        )
        outputs = self._safely(Capsule(manifest, arrays), [probe.index for probe in once])
        return [
            (suspect, {**sound, **{index: outputs[place] for index, place in places.items()}})
            for suspect, places in wanted
        ]

    def _changed(
        self, suspect: FaultHypothesis, probe: Probe
    ) -> tuple[ModelState, Mapping[str, AnyArray]] | None:
        state = self._recorded.state_of(probe)
        if suspect.edit is None or state is None:
            return None
        return suspect.edit(self._recorded, state)

    def _safely(
        self,
        recorded: Capsule,
        probes: Collection[int],
        lever: Lever | None = None,
        fault: Fault | None = None,
    ) -> dict[int, Output]:
        """Return the outputs of a run; one that cannot be made costs no other candidate its row."""
        try:
            outcomes = attempted(
                "trying a fault", lambda: self._outputs(self._run(recorded, probes, lever, fault))
            )
        except PoolError:
            raise
        except BridgeError as error:
            why = f"it could not be run: {type(error).__name__}: {error}"[:300]
            return dict.fromkeys(probes, why)
        if isinstance(outcomes, InternalError):
            return dict.fromkeys(probes, f"it could not be run: {outcomes.message}"[:300])
        missing: Output = "it could not be run: the run made no output"
        return {index: outcomes[index][0] if index in outcomes else missing for index in probes}

    def _outputs(self, run: Capsule) -> dict[int, tuple[Output, ExecutedGraph | None]]:
        probes = run.manifest.probes
        return {probe.index: (_output(run, probe), probe.executed) for probe in probes}


def _fused(graph: ExecutedGraph | None) -> list[tuple[str, tuple[str, ...]]]:
    return sorted((op.op, op.fused) for op in graph.ops if op.fused) if graph else []


def _output(run: Capsule, probe: Probe) -> Output:
    if len(probe.outputs) != 1:
        said = "; ".join(probe.notes) or "it made no output"
        return f"it could not be run: {said}"
    if probe.status == "without-fault":
        return f"it could not be run: without the fault: {probe.why}"
    try:
        return np.asarray(run.array(probe.outputs[0]))
    except CapsuleError as error:
        return f"it could not be run: {error}"


def _as_called(recorded: Capsule, probes: Collection[int]) -> Capsule:
    """Return the recording as if its models had been called, and not asked to predict."""
    found = tuple(
        probe.model_copy(update={"kind": "call"}) if probe.index in probes else probe
        for probe in recorded.manifest.probes
    )
    return Capsule(recorded.manifest.model_copy(update={"probes": found}), recorded.arrays)
