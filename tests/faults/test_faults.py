"""Faults of layers and of recordings: what they change, and what they leave alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bridge.capsule import Array, Capsule, LayerState, Manifest, ModelState, Probe, WeightRecord
from bridge.faults.catalogue import FAULTS, IN_KERNELS, TRACED, is_cause_of
from bridge.faults.layers import Fault, FaultError, put_in
from bridge.faults.recording import KINDS, Damaged, damage

SQUARE = np.arange(9, dtype=np.float32).reshape(3, 3) / 7
FLAT = np.arange(6, dtype=np.float32).reshape(3, 2) - 2.5


def layer(name: str, cls: str, config: dict[str, Any], **weights: str) -> LayerState:
    found = tuple(
        WeightRecord(
            name=key, array=Array(name=key, key=at, dtype="float32", shape=ARRAYS[at].shape)
        )
        for key, at in weights.items()
    )
    return LayerState(name=name, cls=f"keras.layers.{cls}", config={"name": name} | config,
                      weights=found)  # fmt: skip


ARRAYS: dict[str, Any] = {
    "square": SQUARE, "flat": FLAT, "old": SQUARE * 2, "bias": np.ones(3, np.float32),
    "table": FLAT, "codes": np.array([[0, 1], [2, 1]], np.int32),
}  # fmt: skip


def recorded(alpha: float = 0.2) -> Capsule:
    """Return a recording of three models; the second is the first at another moment."""
    dense = {"units": 3, "activation": "relu", "use_bias": True}
    first = layer("hidden", "Dense", dense, kernel="square", bias="bias")
    older = layer("hidden", "Dense", dense, kernel="old", bias="bias")
    more = [
        layer("soft", "Softmax", {"axis": 1}),
        layer("out", "Dense", {"activation": "linear"}, kernel="flat"),
        layer("leak", "LeakyReLU", {"alpha": alpha, "shape": [None, None, 3]}),
    ]
    states = (
        ModelState(id=1, cls="keras.Sequential", keras="tf_keras", name="m", layers=(older, *more)),
        ModelState(
            id=1, cls="keras.Sequential", keras="tf_keras", name="m", layers=(first, *more),
            config={"layers": [{"class_name": "Dense", "config": {"name": "hidden", **dense}}]},
        ),
        ModelState(
            id=2, cls="keras.Sequential", keras="tf_keras", name="words",
            layers=(layer("words", "Embedding", {}, embeddings="table"),),
        ),
    )  # fmt: skip
    x = Array(name="x", key="flat", dtype="float32", shape=(3, 2))
    codes = Array(name="x", key="codes", dtype="int32", shape=(2, 2))
    y = Array(name="y", key="bias", dtype="float32", shape=(3,))
    probes = (
        Probe(index=0, kind="predict", state=1, inputs=(x,), outputs=(y,)),
        Probe(index=1, kind="predict", state=2, inputs=(codes,), outputs=(y,)),
    )
    manifest = Manifest(runner="twin", case="c", status="ok", states=states, probes=probes)
    return Capsule(manifest, dict(ARRAYS))


def damaged(kind: str, probe: int = 0) -> tuple[Damaged, ModelState, Probe]:
    found = damage(recorded(), kind, np.random.default_rng(0), probe)
    assert found is not None
    at = found.capsule.manifest.probes[probe]
    assert at.state is not None
    return found, found.capsule.manifest.states[at.state], at


def weight(capsule: Capsule, state: ModelState, name: str) -> Any:
    at = next(each for each in state.layers if each.name == name)
    return capsule.array(at.weights[0].array)


def test_a_matrix_read_by_columns_has_the_same_numbers_in_other_places() -> None:
    found, state, _ = damaged("column-major")
    changed = weight(found.capsule, state, found.layer)
    whole = SQUARE if found.layer == "hidden" else FLAT
    np.testing.assert_array_equal(changed.ravel(order="F"), whole.ravel())
    assert changed.flags["C_CONTIGUOUS"]


def test_a_transposed_matrix_is_the_square_one() -> None:
    found, state, _ = damaged("weights-transposed")
    assert found.layer == "hidden"
    np.testing.assert_array_equal(weight(found.capsule, state, "hidden"), SQUARE.T)


def test_two_columns_are_exchanged() -> None:
    found, state, _ = damaged("weights-swapped")
    whole = SQUARE if found.layer == "hidden" else FLAT
    changed = weight(found.capsule, state, found.layer)
    moved = [k for k in range(whole.shape[1]) if not np.array_equal(changed[:, k], whole[:, k])]
    assert len(moved) == 2
    np.testing.assert_array_equal(changed[:, moved], whole[:, moved[::-1]])


def test_stale_weights_are_those_of_another_moment_of_the_model() -> None:
    found, state, _ = damaged("weights-stale")
    np.testing.assert_array_equal(weight(found.capsule, state, "hidden"), SQUARE * 2)
    assert damage(recorded(), "weights-stale", np.random.default_rng(0), 1) is None


def test_a_dropped_argument_is_dropped_from_the_layer_and_from_the_model() -> None:
    found, state, _ = damaged("argument-dropped")
    at = next(each for each in state.layers if each.name == found.layer)
    assert at.config == (
        {"name": "hidden", "units": 3, "activation": "linear", "use_bias": True}
        if found.layer == "hidden"
        else {"name": "leak", "alpha": 0.3, "shape": [None, None, 3]}
    )
    if found.layer == "hidden":
        config: Any = state.config
        assert config["layers"][0]["config"]["activation"] == "linear"


def test_a_changed_default_was_the_default() -> None:
    found, state, _ = damaged("default-changed")
    at = next(each for each in state.layers if each.name == found.layer)
    assert found.layer == "out"
    assert at.config["activation"] in ("relu", "tanh")


def test_a_fraction_is_cut() -> None:
    found, state, _ = damaged("argument-truncated")
    assert found.layer == "leak"
    assert next(each for each in state.layers if each.name == "leak").config["alpha"] == 0.0


def test_what_nobody_gave_is_not_cut_off() -> None:
    usual = np.float32(0.3).item()
    assert damage(recorded(alpha=usual), "argument-truncated", np.random.default_rng(0), 0) is None


def test_null_vanishes_from_a_list_of_sizes_but_not_the_number_of_rows() -> None:
    _, state, _ = damaged("null-dropped")
    leak = next(each for each in state.layers if each.name == "leak")
    assert leak.config["shape"] == [None, 3]


def test_an_axis_is_counted_from_one() -> None:
    _, state, _ = damaged("index-base")
    assert next(each for each in state.layers if each.name == "soft").config["axis"] == 2


def test_codes_of_a_factor_are_one_more() -> None:
    found, _, probe = damaged("factor-codes", 1)
    np.testing.assert_array_equal(found.capsule.array(probe.inputs[0]), ARRAYS["codes"] + 1)
    assert damage(recorded(), "factor-codes", np.random.default_rng(0), 0) is None


def test_whole_numbers_become_floats() -> None:
    found, _, probe = damaged("float-for-int", 1)
    assert found.capsule.array(probe.inputs[0]).dtype == np.float32
    assert probe.inputs[0].dtype == "float32"


def test_an_input_is_read_by_columns() -> None:
    found, _, probe = damaged("column-major-input")
    changed = found.capsule.array(probe.inputs[0])
    np.testing.assert_array_equal(changed.ravel(order="F"), FLAT.ravel())


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_damage_leaves_the_recording_and_other_predictions_as_they_were(kind: str) -> None:
    before = recorded()
    manifest = before.manifest.model_copy(deep=True)
    for probe in (0, 1):
        found = damage(before, kind, np.random.default_rng(3), probe)
        if found is None:
            continue
        other = 1 - probe
        assert found.capsule.manifest.probes[other] == manifest.probes[other]
        assert found.capsule.manifest.states[: len(manifest.states)] == manifest.states
        assert found.capsule.manifest.probes[probe].outputs == ()
        assert found.capsule.manifest.array_keys() <= set(found.capsule.arrays)
        assert found.detail
    assert before.manifest == manifest
    for key, value in ARRAYS.items():
        np.testing.assert_array_equal(before.arrays[key], value)


def test_one_recording_can_be_damaged_in_several_predictions() -> None:
    rng = np.random.default_rng(0)
    first = damage(recorded(), "column-major-input", rng, 0)
    assert first is not None
    both = damage(first.capsule, "factor-codes", rng, 1)
    assert both is not None
    one, other = both.capsule.manifest.probes
    np.testing.assert_array_equal(both.capsule.array(other.inputs[0]), ARRAYS["codes"] + 1)
    assert not np.array_equal(both.capsule.array(one.inputs[0]), FLAT)


def test_the_kinds_for_recordings_are_those_of_the_list() -> None:
    assert {each.kind for each in FAULTS.values() if each.into == "recording"} == KINDS


def test_every_kind_has_a_cause_from_the_closed_list() -> None:
    from bridge.facts.causes import is_cause

    for each in FAULTS.values():
        assert each.causes
        for cause in each.causes.values():
            assert is_cause(f"{cause}MatMul" if cause.endswith(":") else cause), each


def test_the_cause_depends_on_where_a_fault_shows() -> None:
    lost = FAULTS["activation-lost"]
    assert lost.cause == "keras-layer"
    assert lost.causes[TRACED] == "tracing"
    assert FAULTS["relu-lost-in-fused"].cause == "grappler:remapping"
    assert FAULTS["kernel-bf16"].causes == {IN_KERNELS: "kernel:"}


@pytest.mark.parametrize(
    ("truth", "named", "right"),
    [
        ("kernel:MatMul", "kernel:_FusedMatMul", True),
        ("kernel:MatMul", "kernel:BatchMatMulV2", True),
        ("kernel:Conv2D", "kernel:_FusedConv2D", True),
        ("kernel:Conv2D", "kernel:MatMul", False),
        ("kernel:MatMul", "onednn", False),
        ("keras-layer", "keras-layer", True),
        ("keras-layer", "kernel:MatMul", False),
    ],
)
def test_a_kernel_is_named_right_by_its_op(truth: str, named: str, right: bool) -> None:
    assert is_cause_of(truth, named) is right


# --- faults of layers --------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["tf_keras", "keras"])
def keras(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


def called(keras: Any, made: Any, fault: Fault, x: Any) -> tuple[Any, Any]:
    """Return what a layer makes without and with a fault."""
    model = keras.Sequential([keras.Input(x.shape[1:]), made])
    given = np.random.default_rng(1)
    model.set_weights([given.random(w.shape).astype(np.float32) - 0.3 for w in model.weights])
    before = np.asarray(model(x, training=False))
    put_in(fault, made)
    return before, np.asarray(model(x, training=False))


NUMBERS = np.random.default_rng(0).standard_normal((5, 6, 4)).astype(np.float32)


@pytest.mark.tf
def test_a_gelu_is_approximated_by_a_little(keras: Any) -> None:
    made = keras.layers.Dense(3, activation="gelu", name="d")
    before, after = called(keras, made, Fault("gelu-approximate", "d"), NUMBERS)
    assert 0 < np.abs(after - before).max() < 1e-2


@pytest.mark.tf
def test_padding_on_the_wrong_side_shifts_the_result(keras: Any) -> None:
    made = keras.layers.Conv1D(3, 3, padding="same", name="c")
    before, after = called(keras, made, Fault("padding-shifted", "c"), NUMBERS)
    np.testing.assert_allclose(after[:, 1:], before[:, :-1], rtol=1e-5, atol=1e-6)


@pytest.mark.tf
def test_another_epsilon_changes_a_norm(keras: Any) -> None:
    made = keras.layers.LayerNormalization(name="n")
    before, after = called(keras, made, Fault("epsilon-changed", "n", amount=0.5), NUMBERS)
    assert np.abs(after - before).max() > 1e-3


@pytest.mark.tf
def test_in_training_mode_a_norm_uses_the_batch(keras: Any) -> None:
    made = keras.layers.BatchNormalization(center=False, scale=False, name="n")
    _, after = called(keras, made, Fault("training-mode", "n"), NUMBERS + 3)
    np.testing.assert_allclose(after.mean(axis=(0, 1)), 0, atol=1e-5)


@pytest.mark.tf
def test_an_activation_is_lost_in_one_unit_only(keras: Any) -> None:
    made = keras.layers.Dense(3, activation="relu", name="d")
    fault = Fault("activation-lost-in-unit", "d", unit=1)
    before, after = called(keras, made, fault, NUMBERS)
    np.testing.assert_array_equal(after[..., [0, 2]], before[..., [0, 2]])
    assert (after[..., 1] < 0).any()


@pytest.mark.tf
def test_a_layer_that_is_an_activation_can_lose_it(keras: Any) -> None:
    made = keras.layers.ReLU(name="r")
    _, after = called(keras, made, Fault("activation-lost", "r"), NUMBERS)
    np.testing.assert_array_equal(after, NUMBERS)


@pytest.mark.tf
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("activation-lost", "no activation"),
        ("gelu-approximate", "no gelu"),
        ("epsilon-changed", "no epsilon"),
        ("padding-shifted", "pads nothing"),
        ("kernel-transposed", "not square"),
        ("nonsense", "there are activation-lost"),
    ],
)
def test_a_layer_that_cannot_have_a_fault_says_why(keras: Any, kind: str, says: str) -> None:
    made = keras.layers.Dense(3, name="d")
    keras.Sequential([keras.Input((4,)), made])
    with pytest.raises(FaultError, match=says):
        put_in(Fault(kind, "d"), made)


@pytest.mark.tf
def test_subnormal_numbers_are_taken_for_zero(keras: Any) -> None:
    from bridge.faults.kernels import flushed

    assert keras
    tiny = np.array([1e-40, -1e-40, 1e-38, 1.0, 0.0], np.float32)
    made = np.asarray(flushed(np.asarray(tiny)))
    np.testing.assert_array_equal(made, np.array([0, 0, 0, 1, 0], np.float32))


def test_a_fault_is_the_same_after_json() -> None:
    fault = Fault("relu-lost-in-fused", "", ("graph",), 2, 0.5, "feeds-matmul")
    assert Fault.of(fault.params()) == fault
