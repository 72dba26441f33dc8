"""Looking inside models of every kind, in both generations of Keras."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bridge._typing import AnyArray
from bridge.capsule import Array, Capsule, LayerOutput, Probe, read_capsule, write_capsule
from bridge.process.pool import Limits, Pool
from bridge.rounding.layer_records import judge_probe
from bridge.runs.layer_capture import look
from bridge.runs.twin import run_twin
from tests import look_models

pytestmark = [pytest.mark.tf, pytest.mark.slow, pytest.mark.timeout(900)]


@dataclass
class Looked:
    """A twin's run that was looked at."""

    capsule: Capsule
    generation: int

    def probe(self, label: str) -> Probe:
        return next(each for each in self.capsule.manifest.probes if each.label == label)

    def layers(self, label: str) -> tuple[LayerOutput, ...]:
        probe = self.probe(label)
        assert probe.layers, probe.notes
        return probe.layers

    def layer(self, label: str, name: str, node: int = 0) -> LayerOutput:
        found = [each for each in self.layers(label) if (each.layer, each.node) == (name, node)]
        assert len(found) == 1, [each.layer for each in self.layers(label)]
        return found[0]

    def array(self, ref: Array) -> AnyArray:
        return np.asarray(self.capsule.array(ref))

    def told(self, label: str) -> list[tuple[str, ...]]:
        return [(each.layer, *each.through) for each in self.layers(label)]


@pytest.fixture(scope="module", params=[2, 3])
def looked(request: pytest.FixtureRequest, pool: Pool) -> Looked:
    path = Path(look_models.__file__)
    limits = Limits(seconds=600)
    recorded = run_twin(pool, "models", path, request.param, limits)
    assert recorded.manifest.status == "ok", recorded.manifest.error
    return Looked(look(pool, recorded, request.param, limits), request.param)


def test_every_model_is_looked_into_and_nothing_is_changed_by_it(looked: Looked) -> None:
    for probe in looked.capsule.manifest.probes:
        assert probe.layers, (probe.label, probe.notes)
        unchanged = None if probe.eager else True
        assert {each.graph_unchanged for each in probe.layers} == {unchanged}, probe.label


def test_every_layer_of_every_model_is_within_rounding(looked: Looked) -> None:
    for probe in looked.capsule.manifest.probes:
        verdicts = judge_probe(looked.capsule, probe)
        assert len(verdicts) == len(probe.layers) + len(probe.outputs)
        for each in verdicts:
            assert each.verdict in ("same-bits", "within-rounding"), (probe.label, each)


def test_several_inputs_reach_a_layer_in_its_order(looked: Looked) -> None:
    for label, names in (("a then b", ("a", "b")), ("b then a", ("b", "a")), ("dict", ("b", "a"))):
        both = looked.layer(label, "both")
        assert tuple(ref.name for ref in both.inputs) == names
        given = [looked.array(ref) for ref in both.inputs]
        assert looked.array(both.outputs[0]).tolist() == np.concatenate(given, 1).tolist()


def test_a_layer_that_augments_images_is_judged_by_what_it_is_given(looked: Looked) -> None:
    verdicts = judge_probe(looked.capsule, looked.probe("augmented"))
    found = {each.layer: each.rung for each in verdicts}
    assert {found[name] for name in ("flip", "crop", "turn")} == {"bit-equal"}
    assert all(each.perturbed is None for each in looked.layers("augmented"))


def test_an_input_that_is_received_twice_is_recorded_twice(looked: Looked) -> None:
    add = looked.layer("twice", "add")
    assert [ref.name for ref in add.inputs] == ["hidden", "hidden"]
    hidden = looked.array(add.inputs[0])
    assert looked.array(add.outputs[0]).tolist() == (hidden + hidden).tolist()


def test_each_call_of_a_shared_layer_is_told_with_its_own_input(looked: Looked) -> None:
    first, second = looked.layer("shared", "shared", 0), looked.layer("shared", "shared", 1)
    assert [first.inputs[0].name, second.inputs[0].name] == ["b", "a"]
    minus = looked.layer("shared", "minus")
    assert [ref.key for ref in minus.inputs] == [first.outputs[0].key, second.outputs[0].key]
    assert first.outputs[0].key != second.outputs[0].key


def test_a_layer_of_several_outputs_has_them_all(looked: Looked) -> None:
    y, h, c = looked.layer("states", "lstm").outputs
    assert y.key == h.key != c.key
    assert looked.layer("states", "dense").inputs[0].key == y.key
    assert [ref.key for ref in looked.layer("states", "add").inputs] == [h.key, c.key]


def test_an_output_that_was_never_made_is_not_asked_for(looked: Looked) -> None:
    sequence, _, state = looked.layer("unused", "lstm").outputs
    assert sequence.key is None
    assert sequence.shape == (40, 5, 4)
    assert state.key is not None
    called = looked.layer("unused, called", "lstm")
    assert all(ref.key is not None for ref in called.outputs)


def test_layers_of_models_that_are_layers_are_seen_in_each_call(looked: Looked) -> None:
    assert looked.told("nested") == [
        *[("inner/dense", "inner/relu"), ("inner/last",)] * 2, ("minus",),
    ]  # fmt: skip
    assert [each.node for each in looked.layers("nested")] == [0, 0, 1, 1, 0]
    assert len(looked.told("nested, called")) == 7
    given = [looked.array(looked.layer("nested", "inner/dense", n).inputs[0]) for n in (0, 1)]
    assert given[0].tolist() != given[1].tolist()


def test_layers_that_are_executed_in_one_are_offered_as_one(looked: Looked) -> None:
    assert looked.told("dense relu") == [("one", "relu"), ("two", "drop", "act"), ("last",)]
    assert looked.told("conv relu") == [("conv", "relu"), ("flat",), ("last",)]
    executed = looked.probe("dense relu").executed
    assert executed is not None
    assert executed.fingerprint()["_FusedMatMul[BiasAdd,Relu]"] == 2
    one = looked.layer("dense relu", "one")
    assert (one.inputs[0].name, looked.array(one.outputs[0]).min()) == ("x", 0)


def test_op_by_op_every_layer_is_seen_by_itself(looked: Looked) -> None:
    names = ["one", "relu", "two", "drop", "act", "last"]
    assert looked.told("dense relu, called") == [(name,) for name in names]


def test_what_is_not_fused_is_seen(looked: Looked) -> None:
    executed = looked.probe("conv norm relu").executed
    assert executed is not None
    # Which of them the graph optimiser makes one depends on the processor and on oneDNN.
    found = executed.fingerprint()
    groups: list[tuple[str, ...]] = [("conv",), ("norm",), ("relu",), ("pool",)]
    if any(op.startswith("_FusedConv2D") and "FusedBatchNorm" in op for op in found):
        groups = [("conv", "norm", "relu"), ("pool",)]
    elif "Relu" not in found:
        groups = [("conv",), ("norm", "relu"), ("pool",)]
    assert looked.told("conv norm relu") == groups, found


def test_two_sums_that_were_made_one_are_seen_as_one(looked: Looked) -> None:
    assert ("first", "both") in looked.told("sum of three")
    both = looked.layer("sum of three", "first")
    assert [ref.name for ref in both.inputs] == ["p", "x", "q"]
    assert both.perturbed is not None
    executed = looked.probe("sum of three").executed
    assert executed is not None
    assert executed.fingerprint()["AddN"] == 1


def test_a_mask_is_told_of_the_layer_that_heeds_it(looked: Looked) -> None:
    for label in ("mask", "mask, called"):
        layers = looked.layers(label)
        assert [(each.layer, each.masked) for each in layers] == [
            ("words", False), ("lstm", True), ("dense", False),
        ]  # fmt: skip
        assert [ref.name for ref in layers[1].inputs] == ["words"]
        assert layers[1].perturbed is not None


def test_further_inputs_are_told_as_arguments(looked: Looked) -> None:
    attention = looked.layer("attention", "attention")
    assert attention.arguments == {"value": {"input": 1}}
    assert attention.inputs[0].key == attention.inputs[1].key
    gru = looked.layer("initial state", "gru")
    assert [ref.name for ref in gru.inputs] == ["a", "b"]


def test_an_input_is_recorded_as_the_layer_received_it(looked: Looked) -> None:
    (words,) = looked.layers("doubles for integers")
    assert words.inputs[0].dtype == "int32"
    assert looked.probe("doubles for integers").inputs[0].dtype == "float64"


def test_a_layer_without_a_rule_is_run_again_with_everything_moved(looked: Looked) -> None:
    seen = looked.layer("attention", "attention").perturbed
    assert seen is not None
    exact, scale = looked.array(seen.exact), looked.array(seen.scale)
    y = looked.array(looked.layer("attention", "attention").outputs[0])
    assert (exact.dtype.name, exact.shape, scale.shape) == ("float64", y.shape, y.shape)
    assert seen.rows == 40
    assert (len(seen.statistics), len(set(seen.statistics)) > 16) == (32, True)
    assert (scale >= np.spacing(np.abs(exact).astype(np.float32))).all()
    assert 0 < np.abs(y - exact).max() < 1e-5
    rms = np.sqrt(32) * scale
    assert max(seen.statistics) <= rms.max() / scale.min()


def test_layers_with_a_rule_are_not_run_again(looked: Looked) -> None:
    for label in ("shared", "states", "dense relu", "conv norm relu"):
        assert all(each.perturbed is None and not each.why for each in looked.layers(label))


def test_what_was_seen_is_the_same_after_it_was_written_and_read(
    looked: Looked, tmp_path: Path
) -> None:
    write_capsule(looked.capsule, tmp_path / "looked.capsule")
    assert read_capsule(tmp_path / "looked.capsule").manifest == looked.capsule.manifest


SMALL = """
import numpy as np
import {keras} as keras
from bridge import probe

layers = keras.layers
x = np.random.default_rng(0).standard_normal((70, 9)).astype("float32")
{body}
"""


def run(pool: Pool, tmp_path: Path, generation: int, body: str) -> Capsule:
    keras = {2: "tf_keras", 3: "keras"}[generation]
    path = tmp_path / "small.py"
    path.write_text(SMALL.format(keras=keras, body=body))
    recorded = run_twin(pool, "small", path, generation, Limits(seconds=300))
    assert recorded.manifest.status == "ok", recorded.manifest.error
    return look(pool, recorded, generation, Limits(seconds=300))


BOTH = pytest.mark.parametrize("generation", [2, 3])


@BOTH
def test_predictions_on_whole_batches_and_eager_ones_are_looked_into(
    pool: Pool, tmp_path: Path, generation: int
) -> None:
    body = """
def model():
    return keras.Sequential([keras.Input((9,)), layers.Dense(30), layers.ReLU(), layers.Dense(2)])
model().predict_on_batch(x)
eager = model()
eager.compile("sgd", "mse", run_eagerly=True)
eager.predict(x, verbose=0)
xla = model()
xla.compile("sgd", "mse", jit_compile=True)
xla.predict(x, verbose=0)
"""
    whole, eager, xla = run(pool, tmp_path, generation, body).manifest.probes
    assert [len(each.layers) for each in (whole, eager, xla)] == [2, 3, 3], whole.notes
    assert {each.graph_unchanged for each in whole.layers} == {True}
    assert {each.graph_unchanged for each in (*eager.layers, *xla.layers)} == {None}


def test_what_repeated_runs_cannot_say_is_told(pool: Pool, tmp_path: Path) -> None:
    body = """
a = keras.Input((9,))
centred = keras.ops.exp(a) - keras.ops.mean(a, axis=0, keepdims=True)
made = [centred, keras.ops.flip(a, axis=0), keras.ops.argmax(a, axis=1)]
keras.Model(a, made).predict_on_batch(np.repeat(x, 5, axis=0))
"""
    (probe,) = run(pool, tmp_path, 3, body).manifest.probes
    said = {
        each.layer.partition("_")[0]: each.perturbed.rows if each.perturbed else each.why
        for each in probe.layers
    }
    assert said == {
        "exp": 256,
        "mean": 1,
        "subtract": 256,
        "flip": "repeated runs say nothing: what it makes of some rows depends on the others",
        "argmax": "repeated runs say nothing: its output is int32 of shape (350,)",
    }


@pytest.mark.parametrize("axis", [0, 1])
def test_the_rows_that_a_layer_received_at_a_time_are_told(
    pool: Pool, tmp_path: Path, axis: int
) -> None:
    body = f"""
keras.Sequential([keras.Input((9,)), layers.UnitNormalization(axis={axis})]).predict(x, verbose=0)
"""
    looked = run(pool, tmp_path, 2, body)
    ((layer,),) = (each.layers for each in looked.manifest.probes)
    assert layer.rows == 32
    verdict = judge_probe(looked, looked.manifest.probes[0])[0].verdict
    assert verdict == ("abstained" if axis == 0 else "within-rounding")


@BOTH
def test_code_of_the_scripts_own_is_not_run(pool: Pool, tmp_path: Path, generation: int) -> None:
    body = """
class Mine(layers.Layer):
    def call(self, x):
        return -x
keras.Sequential([keras.Input((9,)), Mine(), layers.Dense(2)]).predict(x, verbose=0)
"""
    (probe,) = run(pool, tmp_path, generation, body).manifest.probes
    assert probe.layers == ()
    assert any("not Keras' own" in note or "built again" in note for note in probe.notes)
