"""Faults of the executed graph: what is executed changes, the numbers as the fault says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bridge.faults.layers import Fault, FaultError

pytestmark = pytest.mark.tf

GRID = np.linspace(-5, 5, 50, dtype=np.float32)[:, None]
SHIFT = 0.5


@pytest.fixture(scope="module", params=["tf_keras", "keras"])
def keras(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


def relu(x: Any) -> Any:
    return np.maximum(x, 0)


def chain(keras: Any, units: int = 2, activation: str = "relu") -> Any:
    """Return x -> activation(x + shift) -> itself, in two dense layers."""
    ones = {"kernel_initializer": keras.initializers.Identity()}
    shift = keras.initializers.Constant(SHIFT)
    return keras.Sequential([
        keras.Input((units,)),
        keras.layers.Dense(
            units, activation=activation, bias_initializer=shift, name="first", **ones
        ),
        keras.layers.Dense(units, name="second", **ones),
    ])  # fmt: skip


def grid(units: int = 2) -> Any:
    return np.tile(GRID, (1, units))


def run(model: Any, fault: Fault, x: Any) -> tuple[Any, Any, Any]:
    """Return what the model makes without and with the fault, and what was called."""
    import tensorflow as tf

    from bridge.faults.graph import Faulty

    traced = tf.function(lambda given: [model(given, training=False)], autograph=False)
    faulty = Faulty(fault, traced)
    given = tf.constant(x)
    (right,), (wrong,) = traced(given), faulty(given)
    return right.numpy(), wrong.numpy(), faulty.last


EXPECTED: dict[str, Callable[[Any], Any]] = {
    "relu-lost-in-fused": lambda x: x + SHIFT,
    "fused-activation-lost": lambda x: x + SHIFT,
    "fused-bias-lost": relu,
    "fused-order-wrong": lambda x: relu(x) + SHIFT,
}


@pytest.mark.parametrize("kind", sorted(EXPECTED))
def test_the_numbers_change_as_the_fault_says(keras: Any, kind: str) -> None:
    x = grid()
    right, wrong, last = run(chain(keras), Fault(kind, "first"), x)
    np.testing.assert_array_equal(right, relu(x + np.float32(SHIFT)))
    np.testing.assert_array_equal(wrong, EXPECTED[kind](x).astype(np.float32))
    assert len(last.changed) == 1
    assert last.changed[0].split("/")[-2].startswith("first")


def test_what_is_executed_is_what_the_capsule_would_show(keras: Any) -> None:
    import tensorflow as tf

    from bridge.faults.graph import Faulty
    from bridge.trace.executed_graph import executed_graphs

    model, given = chain(keras), tf.constant(grid())
    traced = tf.function(lambda given: [model(given, training=False)], autograph=False)
    with executed_graphs() as without:
        traced(given)
    faulty = Faulty(Fault("relu-lost-in-fused", ""), traced)
    with executed_graphs() as seen:
        faulty(given)
    assert without.arithmetic()[0]["_FusedMatMul[BiasAdd,Relu]"] == 1
    assert len(seen.graphs) == 1
    assert seen.arithmetic()[0] == {"_FusedMatMul[BiasAdd]": 2}
    assert faulty.last is not None
    assert list(faulty.last.executed) == ["_FusedMatMul[BiasAdd]"] * 2


def test_a_fault_of_what_feeds_a_matmul_leaves_the_last_one_alone(keras: Any) -> None:
    layers = keras.layers
    x = grid(4)
    for activations, touched in ((("relu", None), True), ((None, "relu"), False)):
        model = keras.Sequential([
            keras.Input((4,)),
            *(layers.Dense(4, activation=each, use_bias=True) for each in activations),
        ])  # fmt: skip
        fault = Fault("relu-lost-in-fused", "", scope="feeds-matmul")
        right, wrong, last = run(model, fault, x)
        assert bool(last.changed) is touched
        assert np.array_equal(right, wrong) is not touched
        right, wrong, last = run(model, Fault(fault.kind, "", scope="last"), x)
        assert bool(last.changed) is not touched
        assert np.array_equal(right, wrong) is touched


def test_what_is_not_fused_is_left_as_it_is(keras: Any) -> None:
    x = grid()
    fault = Fault("relu-lost-in-fused", "")
    for activation in ("gelu", "sigmoid", "softplus"):
        right, wrong, last = run(chain(keras, activation=activation), fault, x)
        assert last.changed == ()
        np.testing.assert_array_equal(right, wrong)


def keep_bits(x: Any, bits: int) -> Any:
    """Round float32 numbers to so many bits after the point: bfloat16's 7, TensorFloat-32's 10.

    Ties go to even in bfloat16, and away from zero in TensorFloat-32.
    """
    mantissa, exponent = np.frexp(x.astype(np.float64))
    scaled = mantissa * 2.0 ** (bits + 1)
    away = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled)
    rounded = np.round(scaled) if bits == 7 else away
    return np.ldexp(rounded / 2.0 ** (bits + 1), exponent).astype(np.float32)


@pytest.mark.parametrize(("kind", "bits"), [("kernel-bf16", 7), ("kernel-tf32", 10)])
def test_a_faulty_kernel_rounds_its_operands(keras: Any, kind: str, bits: int) -> None:
    # One product for each output, with a 1, so that nothing but the rounding is seen.
    x = np.random.default_rng(0).standard_normal((20, 2)).astype(np.float32)
    fault = Fault(kind, "")
    _, wrong, last = run(chain(keras, activation="linear"), fault, x)
    first = keep_bits(x, bits) + np.float32(SHIFT)
    np.testing.assert_array_equal(wrong, keep_bits(first, bits))
    assert len(last.changed) == 2


@pytest.mark.parametrize(("kind", "bits"), [("kernel-bf16", 7), ("kernel-tf32", 10)])
def test_a_layer_on_a_faulty_kernel_rounds_what_the_graph_would(
    keras: Any, kind: str, bits: int
) -> None:
    import tensorflow as tf

    from bridge.faults.layers import put_in

    x = np.random.default_rng(0).standard_normal((20, 2)).astype(np.float32)
    model = chain(keras, activation="linear")
    put_in(Fault(kind, "first"), model.layers[0])
    first = keep_bits(x, bits) + np.float32(SHIFT)
    for way in (False, True):
        tf.config.run_functions_eagerly(way)
        try:
            made = tf.function(lambda given: model(given, training=False))(tf.constant(x))
        finally:
            tf.config.run_functions_eagerly(False)
        np.testing.assert_array_equal(made.numpy(), first)


def test_the_kernels_are_whole_again_beside_a_faulty_layer(keras: Any) -> None:
    import tensorflow as tf

    from bridge.faults.layers import put_in

    x = np.random.default_rng(0).standard_normal((20, 2)).astype(np.float32)
    model = chain(keras)
    put_in(Fault("kernel-bf16", "first"), model.layers[0])
    model(tf.constant(x))
    ones = tf.eye(2)
    np.testing.assert_array_equal(tf.matmul(tf.constant(x), ones).numpy(), x)


def test_convolutions_have_faults_as_dense_layers_do(keras: Any) -> None:
    x = np.random.default_rng(1).standard_normal((6, 8, 8, 3)).astype(np.float32)
    layers = keras.layers
    model = keras.Sequential([
        keras.Input((8, 8, 3)), layers.Conv2D(4, 3, activation="relu", name="first"),
        layers.Flatten(), layers.Dense(2),
    ])  # fmt: skip
    right, wrong, last = run(model, Fault("fused-activation-lost", "first"), x)
    assert len(last.changed) == 1
    assert "_FusedConv2D[BiasAdd]" in last.executed
    assert not np.array_equal(right, wrong)


def test_what_a_function_keeps_is_as_it_was(keras: Any) -> None:
    import tensorflow as tf

    from bridge.faults.graph import Faulty

    count = tf.Variable(0, trainable=False)
    model = chain(keras)

    def step(given: Any) -> Any:
        count.assign_add(1)
        return [model(given, training=False)]

    faulty = Faulty(Fault("relu-lost-in-fused", ""), tf.function(step, autograph=False))
    given = tf.constant(grid())
    faulty(given)
    faulty(given)
    assert int(count.numpy()) == 2


def test_the_optimiser_is_on_again_for_what_follows(keras: Any) -> None:
    import tensorflow as tf

    from bridge.trace.executed_graph import executed_graphs

    x = grid()
    run(chain(keras), Fault("relu-lost-in-fused", ""), x)
    model = chain(keras)
    with executed_graphs() as seen:
        tf.function(lambda given: model(given, training=False), autograph=False)(tf.constant(x))
    assert seen.arithmetic()[0]["_FusedMatMul[BiasAdd,Relu]"] == 1


def test_an_unknown_fault_or_scope_says_what_there_is(keras: Any) -> None:
    model = chain(keras)
    with pytest.raises(FaultError, match="relu-lost-in-fused"):
        run(model, Fault("nonsense", ""), grid())
    with pytest.raises(FaultError, match="feeds-matmul"):
        run(model, Fault("relu-lost-in-fused", "", scope="nonsense"), grid())


def test_blocks_that_collect_graphs_can_stand_in_each_other() -> None:
    import tensorflow as tf

    from bridge.trace.executed_graph import executed_graphs

    def traced(name: str) -> Any:
        def step(x: Any) -> Any:
            with tf.name_scope(name):
                return tf.sin(x) + 1

        return tf.function(step, autograph=False)

    x = tf.constant([1.0, 2.0])
    with executed_graphs() as outer:
        traced("before")(x)
        with executed_graphs() as inner:
            traced("inside")(x)
        traced("after")(x)
    names = [
        {node.name.partition("/")[0] for graph in each.graphs for node in graph.node}
        for each in (outer, inner)
    ]
    assert {"before", "after"} <= names[0]
    assert "inside" not in names[0]
    assert "inside" in names[1]


def test_every_kind_of_fault_has_a_record_and_every_record_a_kind() -> None:
    from bridge.faults import graph, layers
    from bridge.faults.catalogue import FAULTS

    listed = {each.kind for each in FAULTS.values() if each.into != "recording"}
    known = layers.KINDS | graph.KINDS
    assert listed <= known
    assert known - listed == {"precision-lost"}
