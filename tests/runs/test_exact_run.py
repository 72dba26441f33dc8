"""Exact probes in TensorFlow: faults are found, and the layer is named."""

from __future__ import annotations

import pytest

from bridge.exact.records import subjects
from bridge.faults.layers import Fault
from bridge.process.pool import Pool
from bridge.runs.exact_probes import run_exact
from bridge.runs.levers import EXACT_LEVERS
from tests.exact_models import HEADS
from tests.exact_recorded import IMAGE, LIMITS, SMALL, Record, judged, record, text_of

__all__ = ["record"]

pytestmark = pytest.mark.tf


FAULTS = [
    (Fault("activation-lost", "middle", ("graph",)), "lost its activation"),
    (Fault("activation-lost", "first", ("xla",)), "lost its activation"),
    (Fault("activation-lost-in-unit", "middle", ("predict",), unit=2), "own output is wrong"),
    (Fault("bias-lost", "first", ("eager",)), "lost its bias"),
    (Fault("columns-swapped", "middle", ("graph",), unit=1), "own output is wrong"),
    (Fault("kernel-transposed", "middle", ("graph",)), "own output is wrong"),
    (Fault("weight-moved", "first", ("graph",), unit=3, amount=1.0), "own output is wrong"),
    (Fault("weight-moved", "middle", ("graph",), unit=5, amount=1e-3), "own output is wrong"),
    (Fault("weight-moved", "first", ("predict",), unit=2, amount=1e-5), "own output is wrong"),
    (Fault("precision-lost", "middle", ("graph",)), "wrong"),
]


@pytest.mark.parametrize(("fault", "evidence"), FAULTS,
                         ids=[f"{f.kind}-{f.amount}-{f.layer}" for f, _ in FAULTS])  # fmt: skip
def test_a_way_that_lies_is_found_and_the_layer_is_named(
    pool: Pool, record: Record, fault: Fault, evidence: str
) -> None:
    recorded = record(text_of(SMALL, 2), 2)
    (way,) = fault.ways
    ways = ("eager", way) if way != "eager" else ("eager", "graph")
    result = judged(pool, recorded, 2, ways=ways, fault=fault)
    assert (result.verdict, result.rung) == ("different", "exact-probe")
    assert {setting.partition(",")[0] for setting in result.deviating} == {way}
    (stretch,) = result.stretches
    assert stretch.layer == fault.layer
    assert evidence in stretch.evidence
    assert stretch.deviations[0].worst
    assert fault.layer in result.sentence


@pytest.mark.parametrize(
    "fault",
    [
        Fault("activation-lost", "conv", ("graph",)),
        Fault("input-shifted", "strided", ("graph",)),
        Fault("kernel-transposed", "conv", ("graph",)),
        Fault("weight-moved", "strided", ("graph",), unit=9, amount=1e-5),
        Fault("bias-lost", "classes", ("graph",)),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.layer}",
)
def test_a_fault_in_a_convolutional_model_is_found_and_the_layer_is_named(
    pool: Pool, record: Record, fault: Fault
) -> None:
    recorded = record(text_of(IMAGE, 3), 3)
    result = judged(pool, recorded, 3, ways=("eager", "graph"), fault=fault)
    assert result.verdict == "different"
    assert {setting.partition(",")[0] for setting in result.deviating} == {"graph"}
    assert result.stretches[0].layer == fault.layer


def test_a_fault_under_a_lever_is_found_there(pool: Pool, record: Record) -> None:
    recorded = record(text_of(SMALL, 3), 3)
    fault = Fault("bias-lost", "last", ("graph",))
    result = judged(
        pool, recorded, 3, EXACT_LEVERS["one-thread"], ways=("eager", "graph"), fault=fault
    )
    assert any(setting.startswith("one-thread: graph") for setting in result.deviating)
    assert not any("eager" in setting for setting in result.deviating)


def test_layers_that_are_not_covered_are_told_with_the_reason(pool: Pool, record: Record) -> None:
    text = """
i = keras.Input((6, 3))
x = L.LSTM(4, name="memory")(i)
x = L.Dense(4, activation="relu", name="after")(x)
x = L.Softmax(name="shares")(x)
inner = keras.Sequential([keras.Input((4,)), L.Dense(3, name="within")], name="inner")
shared = L.Dense(3, name="shared")
x = shared(shared(inner(x)))
keras.Model(i, x, name="odd").predict(np.ones((2, 6, 3)), verbose=0)
"""
    recorded = record(HEADS[3] + text, 3)
    result = judged(pool, recorded, 3, ways=("graph",))
    assert result.verdict == "same-bits"
    assert {each.layers: each.model for each in result.stretches} == {
        ("after",): "odd",
        ("within",): "odd.inner",
    }
    why = {each.layer: each.why for each in result.refused}
    assert set(why) == {"memory", "shares", "shared"}
    assert "recurrent" in why["memory"]
    assert "more than once" in why["shared"]
    assert "3 layers are not covered" in result.sentence


def test_operations_and_layers_that_join_rows_are_told_and_not_run(
    pool: Pool, record: Record
) -> None:
    text = """
i = keras.Input((3,))
x = L.Dense(3, activation="relu", name="before")(i)
joined = L.Concatenate(axis=0, name="joined")([x, x])
keras.Model(i, joined, name="rows").predict(np.ones((2, 3)), batch_size=2, verbose=0)
x = L.Dense(2, activation="linear", name="first")(i)
keras.Model(i, keras.ops.negative(x), name="ops").predict(np.ones((2, 3)), verbose=0)
"""
    result = judged(pool, record(HEADS[3] + text, 3), 3, ways=("graph",))
    assert {each.layers: each.verdict for each in result.stretches} == {
        ("before",): "same-bits",
        ("first",): "same-bits",
    }
    why = {each.model: each.why for each in result.refused}
    assert "joins rows" in why["rows"]
    assert "no layer" in why["ops"]


def test_code_of_the_scripts_own_is_not_run(pool: Pool, record: Record) -> None:
    text = """
m = keras.Sequential([keras.Input((1,)), L.Lambda(lambda x: -x, name="own")])
m.predict(np.ones((2, 1)), verbose=0)
"""
    result = judged(pool, record(HEADS[3] + text, 3), 3)
    assert (result.verdict, result.stretches) == ("abstained", ())
    assert "not Keras' own" in result.refused[0].why


def test_models_that_differ_in_their_weights_alone_are_one_subject(record: Record) -> None:
    text = """
m = keras.Sequential([keras.Input((2,)), L.Dense(3)])
m.predict(np.ones((2, 2)), verbose=0)
m.set_weights([2 * w for w in m.get_weights()])
m.predict(np.ones((2, 2)), verbose=0)
keras.Sequential([keras.Input((2,)), L.Dense(4)], name=m.name).predict(np.ones((2, 2)), verbose=0)
"""
    one, other = subjects(record(HEADS[3] + text, 3))
    assert (one.states, other.states) == ((0, 1), (2,))
    assert one.label != other.label


def test_the_same_computation_is_run_once_and_told_of_every_model(
    pool: Pool, record: Record
) -> None:
    text = """
for last in ("relu", "gelu", "tanh"):
    keras.Sequential([
        keras.Input((3,)), L.Dense(4, activation="relu"), L.Dense(2, activation=last),
    ], name=last).predict(np.ones((2, 3)), verbose=0)
"""
    result = judged(pool, record(HEADS[3] + text, 3), 3, ways=("graph",))
    relu, gelu, tanh = result.stretches
    assert (relu.same_as, gelu.same_as, tanh.same_as) == ("", "", "gelu/1")
    assert (tanh.model, tanh.verdict, tanh.pairs) == ("tanh", "same-bits", 0)
    assert tanh.bare == (tanh.layers[1],)
    assert set(tanh.layers).isdisjoint(gelu.layers)


def test_a_fault_that_a_layer_cannot_have_is_told(pool: Pool, record: Record) -> None:
    fault = Fault("kernel-transposed", "last")
    (made,) = run_exact(pool, record(text_of(SMALL, 2), 2), 2, LIMITS, (), fault=fault)
    raised = [probe.exact.why for probe in made.manifest.probes if probe.exact is not None]
    assert any("is not square" in why for why in raised)
