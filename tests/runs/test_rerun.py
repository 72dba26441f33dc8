"""Recorded models run again: as they were, under levers, and with faults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from bridge._typing import AnyArray
from bridge.capsule import Capsule, ExecutedGraph, Manifest, Probe, write_capsule
from bridge.capsule.numbers import same_bits
from bridge.faults.layers import IDLE, Fault
from bridge.pipeline.explain_capsule import NothingRecordedError, generation_of, set_beside, summary
from bridge.process.pool import Limits, Pool
from bridge.rounding.layer_records import judge_probe
from bridge.runs.levers import LEVERS, Lever
from bridge.runs.rerun import rerun, widen
from bridge.runs.twin import run_twin
from bridge.trace.executed_graph import arithmetic
from tests import rerun_models
from tests.commands import keras_bridge

LIMITS = Limits(seconds=300)
FUSED = "_FusedMatMul[BiasAdd,Relu]"
EMPTY = Capsule(Manifest(runner="r", case="none", status="ok"), {})
GOOD = {"same-bits", "within-rounding"}

tf = pytest.mark.tf


@dataclass
class Again:
    """A recorded run, and what was made of it under levers and with faults."""

    pool: Pool
    recorded: Capsule
    generation: int
    made: dict[tuple[Lever | None, Fault | None], Capsule] = field(default_factory=dict)

    def __call__(self, name: str = "", fault: Fault | None = None) -> Capsule:
        """Return the run under a lever and with a fault, made once."""
        lever = LEVERS[name] if name else None
        if (lever, fault) not in self.made:
            made = rerun(
                self.pool, self.recorded, self.generation, LIMITS, lever=lever, fault=fault
            )
            assert made.manifest.status == "ok", made.manifest.error
            assert made.manifest.runner == "replay"
            self.made[lever, fault] = made
        return self.made[lever, fault]

    def same(self, made: Capsule) -> list[bool]:
        """Say of each probe whether it has the recorded bits."""
        return [
            all(map(same_bits, outputs(self.recorded, one), outputs(made, other)))
            for one, other in zip(self.recorded.manifest.probes, made.manifest.probes, strict=True)
        ]


def outputs(capsule: Capsule, probe: Probe) -> list[AnyArray]:
    assert probe.outputs, probe.notes
    return [np.asarray(capsule.array(ref)) for ref in probe.outputs]


def probe_of(capsule: Capsule, label: str) -> Probe:
    return next(each for each in capsule.manifest.probes if each.label == label)


def executed(capsule: Capsule, label: str) -> ExecutedGraph:
    found = probe_of(capsule, label).executed
    assert found is not None
    return found


def wrong(capsule: Capsule, label: str) -> list[str]:
    """Return the names of the layers that are not what they should be."""
    found = judge_probe(capsule, probe_of(capsule, label))
    assert found
    return [each.layer for each in found if each.verdict not in GOOD]


@pytest.fixture(scope="module", params=[2, 3])
def again(request: pytest.FixtureRequest, pool: Pool) -> Again:
    recorded = run_twin(pool, "models", Path(rerun_models.__file__), request.param, LIMITS)
    assert recorded.manifest.status == "ok", recorded.manifest.error
    return Again(pool, recorded, request.param)


@tf
def test_with_neither_lever_nor_fault_bits_and_executed_ops_are_those_recorded(
    again: Again,
) -> None:
    made = again()
    assert made.manifest.lever is None
    assert again.same(made) == [True] * 5
    for one, other in zip(again.recorded.manifest.probes, made.manifest.probes, strict=True):
        assert (one.index, one.label, one.state, one.inputs) == (
            other.index, other.label, other.state, other.inputs,
        )  # fmt: skip
        assert other.notes == ()
        assert (one.executed is None) is (other.executed is None)
        if one.executed is not None and other.executed is not None:
            assert arithmetic(one.executed) == arithmetic(other.executed)
        assert not wrong(made, one.label)
    assert made.manifest.states == again.recorded.manifest.states


@tf
@pytest.mark.parametrize(
    "name",
    [
        "eager", "remapping-off", "grappler-off",
        *(pytest.param(name, marks=pytest.mark.slow)
          for name in ("graph", "xla", "batch-1", "one-thread")),
    ],
)  # fmt: skip
def test_every_layer_is_right_under_every_lever(again: Again, name: str) -> None:
    made = again(name)
    assert made.manifest.lever == name
    for probe in made.manifest.probes:
        assert probe.notes == ()
        shapes = [ref.shape for ref in probe_of(again.recorded, probe.label).outputs]
        assert [ref.shape for ref in probe.outputs] == shapes
        assert not wrong(made, probe.label), probe.label


def applied(op: str, found: Mapping[str, int]) -> int:
    """Count an operation by itself and as a part of others: with oneDNN more of them are fused."""
    parts = {name: re.split(r"[\[\],]", name) for name in found}
    return sum(count for name, count in found.items() if op in parts[name])


@tf
def test_levers_change_what_is_executed_and_do_not_leak_into_the_next_run(again: Again) -> None:
    assert executed(again(), "chain").fingerprint()[FUSED] == 1
    for name in ("remapping-off", "grappler-off"):
        found = executed(again(name), "chain").fingerprint()
        assert not [op for op in found if op.startswith("_Fused")], found
        assert found["Relu"] == 1
    twice = {name: applied("Tanh", executed(again(name), "twice").fingerprint())
             for name in ("", "remapping-off", "grappler-off")}  # fmt: skip
    assert twice == {"": 1, "remapping-off": 1, "grappler-off": 2}
    assert not any(probe.executed for probe in again("eager").manifest.probes)
    assert all(probe.eager for probe in again("eager").manifest.probes)
    fresh = rerun(again.pool, again.recorded, again.generation, LIMITS, look=False)
    assert again.same(fresh) == [True] * 5
    assert again("remapping-off").manifest.environment.optimizer["remapping"] is False
    assert "remapping" not in fresh.manifest.environment.optimizer
    assert arithmetic(executed(fresh, "chain")) == arithmetic(executed(again(), "chain"))
    assert not any(probe.layers for probe in fresh.manifest.probes)


@tf
@pytest.mark.slow
def test_what_is_compiled_says_so_and_threads_are_as_many_as_asked_for(again: Again) -> None:
    assert again("xla").manifest.probes[0].executed == ExecutedGraph(functions=1, jit_compiled=True)
    assert again("one-thread").manifest.environment.threads == (1, 1)
    assert again().manifest.environment.threads == (0, 0)


@tf
@pytest.mark.slow
def test_a_model_that_was_called_becomes_a_graph_only_under_the_lever(again: Again) -> None:
    assert probe_of(again(), "called").eager
    assert probe_of(again("remapping-off"), "called").eager
    graph = probe_of(again("graph"), "called")
    assert not graph.eager
    assert executed(again("graph"), "called").fingerprint()[FUSED] == 1


@tf
@pytest.mark.slow
def test_each_row_by_itself_is_run_in_a_batch_of_its_own(again: Again) -> None:
    layers = probe_of(again("batch-1"), "chain").layers
    assert {layer.rows for layer in layers} == {1}
    assert {layer.rows for layer in probe_of(again(), "chain").layers} == {32}


@tf
def test_in_float64_models_come_within_float32_of_what_they_made(again: Again) -> None:
    made = again("float64")
    for probe in made.manifest.probes:
        for wide, y in zip(
            outputs(made, probe), outputs(again.recorded, probe_of(again.recorded, probe.label)),
            strict=True,
        ):  # fmt: skip
            assert (wide.dtype.name, y.dtype.name) == ("float64", "float32")
            assert not same_bits(wide.astype(np.float32).astype(np.float64), wide)
            # float32 keeps 24 binary digits; a model this small does not lose half of them.
            assert np.abs(wide - y).max() < 2.0**-12 * np.abs(y).max()
    kernel = made.manifest.states[0].layers[-1].weights[0].array
    assert kernel.dtype == "float64"


@tf
def test_only_the_probes_that_are_asked_for_are_made(again: Again) -> None:
    made = rerun(again.pool, again.recorded, again.generation, LIMITS, probes=[3], look=False,
                 lever=LEVERS["eager"])  # fmt: skip
    assert [(each.index, each.label) for each in made.manifest.probes] == [(3, "steps")]


@tf
@pytest.mark.slow
def test_a_fault_in_a_layer_is_found_in_that_layer_and_in_no_model_without_it(
    again: Again,
) -> None:
    made = again("", Fault("activation-lost", "middle"))
    assert made.manifest.lever == "activation-lost in middle"
    assert wrong(made, "chain") == wrong(made, "called") == ["middle"]
    assert again.same(made) == [False, True, True, True, False]
    assert probe_of(made, "image").notes == (
        "without the fault: the model has no layer 'middle'",
    )  # fmt: skip


@tf
@pytest.mark.slow
def test_a_fault_of_one_way_of_running_is_gone_in_another(again: Again) -> None:
    fault = Fault("activation-lost", "first", ways=("graph",))
    assert wrong(again("", fault), "chain") == ["first"]
    assert not wrong(again("", fault), "called")
    assert not wrong(again("eager", fault), "chain")


@tf
def test_a_fault_of_the_executed_graph_is_gone_where_nothing_is_fused(again: Again) -> None:
    fault = Fault("relu-lost-in-fused", "")
    assert wrong(again("", fault), "chain") == ["first"]
    assert FUSED not in executed(again("", fault), "chain").fingerprint()
    assert again.same(again("", fault))[2:] == [True] * 3
    assert not wrong(again("remapping-off", fault), "chain")
    assert executed(again("remapping-off", fault), "chain").fingerprint()["Relu"] == 1
    assert not wrong(again("eager", fault), "chain")


@tf
def test_a_fault_that_no_executed_op_can_have_is_told_and_changes_nothing(again: Again) -> None:
    made = again("", Fault("relu-lost-in-fused", "nowhere"))
    assert IDLE in probe_of(made, "chain").notes
    assert not wrong(made, "chain")


@tf
def test_what_cannot_be_run_says_why(again: Again) -> None:
    states = list(again.recorded.manifest.states)
    states[0] = states[0].model_copy(
        update={"config": {"layers": [{"class_name": "Lambda", "config": {}}]}}
    )
    probes = list(again.recorded.manifest.probes)
    wide = probes[2].inputs[0]
    words = np.zeros((5, 7), np.float32)
    probes[2] = probes[2].model_copy(
        update={"inputs": (wide.model_copy(update={"key": "words", "shape": (5, 7)}),)}
    )
    manifest = again.recorded.manifest.model_copy(
        update={"states": tuple(states), "probes": tuple(probes)}
    )
    broken = Capsule(manifest, {**again.recorded.arrays, "words": words})
    made = rerun(again.pool, broken, again.generation, LIMITS, look=False)
    assert probe_of(made, "chain").notes == (
        "not run: the model has a part that is not Keras' own: Lambda",
    )  # fmt: skip
    assert probe_of(made, "twice").notes[0].startswith("raised ")
    assert not probe_of(made, "chain").outputs
    assert not probe_of(made, "twice").outputs
    assert probe_of(made, "steps").outputs
    found = {each.label: each.verdict for each in set_beside(broken, made)}
    assert found["chain"] == "abstained"
    assert found["twice"] == "different"


@tf
def test_what_was_made_when_time_ran_out_is_kept_and_the_rest_says_so(again: Again) -> None:
    made = rerun(again.pool, again.recorded, again.generation, Limits(seconds=0.01))
    assert made.manifest.status == "time-limit"
    assert len(made.manifest.probes) == 5
    assert "the process ended before" in made.manifest.probes[-1].notes[0]


@tf
@pytest.mark.slow
def test_the_command_makes_a_recorded_run_again_and_judges_it(again: Again, tmp_path: Path) -> None:
    write_capsule(again.recorded, tmp_path / "a.capsule")
    done = keras_bridge("replay", "a.capsule", "-o", "again.capsule", cwd=tmp_path, pool=again.pool)
    assert done.exit_code == 0, done.stderr
    assert "5 of 5 predictions have the recorded bits: 5 same-bits." in done.stdout
    assert "    middle: within-rounding (certified)" in done.stdout
    assert (tmp_path / "again.capsule").stat().st_size > 1000
    write_capsule(again("", Fault("activation-lost", "middle")), tmp_path / "b.capsule")
    done = keras_bridge("replay", "b.capsule", "--lever", "eager", cwd=tmp_path, pool=again.pool)
    assert done.exit_code == 1, done.stdout
    assert "different        chain: other bits" in done.stdout


@tf
def test_a_recorded_run_and_one_made_again_are_set_side_by_side(again: Again) -> None:
    found = set_beside(again.recorded, again("remapping-off"))
    assert {each.verdict for each in found} <= GOOD
    assert summary(found).startswith(f"{sum(again.same(again('remapping-off')))} of 5 predictions")
    wide = set_beside(again.recorded, again("float64"))
    assert {each.verdict for each in wide} == {"abstained"}
    assert "made in float64" in "".join(wide[0].lines())
    assert generation_of(again.recorded) == again.generation


@tf
def test_float64_models_are_widened_throughout(again: Again) -> None:
    wide = widen(again.recorded)
    text = wide.manifest.model_dump_json(include={"states"})
    assert "float32" not in text
    assert "float64" in text
    assert '"int' in text or "float32" in again.recorded.manifest.model_dump_json()
    assert wide.manifest.probes[0].inputs[0].dtype == "float64"
    received = np.asarray(again.recorded.array(again.recorded.manifest.probes[0].inputs[0]))
    assert same_bits(
        np.asarray(wide.array(wide.manifest.probes[0].inputs[0])),
        received.astype(np.float32).astype(np.float64),
    )


def test_a_capsule_without_predictions_cannot_be_replayed(tmp_path: Path) -> None:
    with pytest.raises(NothingRecordedError, match="record a script that calls predict"):
        generation_of(EMPTY)
    write_capsule(EMPTY, tmp_path / "none.capsule")
    done = keras_bridge("replay", "none.capsule", cwd=tmp_path)
    assert done.exit_code == 2
    assert "cannot be replayed" in done.stderr


def test_an_unknown_lever_is_answered_with_the_near_ones(tmp_path: Path) -> None:
    write_capsule(EMPTY, tmp_path / "none.capsule")
    done = keras_bridge("replay", "none.capsule", "--lever", "egaer", cwd=tmp_path)
    assert done.exit_code == 2
    assert "near it are: eager" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_damaged_capsule_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.capsule").write_bytes(b"nothing")
    done = keras_bridge("replay", "a.capsule", cwd=tmp_path)
    assert done.exit_code == 2
    assert "not a capsule" in done.stderr
