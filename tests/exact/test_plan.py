from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bridge._typing import AnyArray
from bridge.exact.integers import InexactError, check_sum, grid
from bridge.exact.plan import _Planner
from bridge.rounding.layer_graph import nodes_of
from bridge.rounding.rules.rounding import FLOAT16, FLOAT32
from tests.exact_samples import Model, numbers


def deep(count: int, width: int = 16) -> Model:
    model = Model((width,))
    for _ in range(count):
        model.dense(width)
    return model


def small_cnn() -> Model:
    model = Model((8, 8, 2)).conv(5, 3)
    model.add("MaxPooling2D", (4, 4, 5), pool_size=[2, 2], strides=[2, 2], padding="valid")
    return model.conv(3, 3).add("Flatten", (48,)).dense(4, "linear")


@pytest.mark.parametrize("model", [deep(3), small_cnn()], ids=["dense", "cnn"])
def test_a_model_that_is_exact_throughout_is_one_stretch_in_three_styles(model: Model) -> None:
    planned = model.plan()
    (stretch,) = planned.stretches
    assert stretch.whole
    assert planned.refused == {}
    assert [draw.style for draw in stretch.draws] == ["sparse", "dense", "long"]


def float32_sums(products: AnyArray, seed: int) -> list[AnyArray]:
    """Add float32 products along the last axis in several orders."""
    forward = products[..., 0].copy()
    for number in range(1, products.shape[-1]):
        forward = forward + products[..., number]
    shuffled = np.random.default_rng(seed).permutation(products.shape[-1])
    other = np.zeros_like(forward)
    for number in shuffled:
        other = other + products[..., number]
    halves = products[..., ::2].sum(-1, dtype=np.float32) + products[..., 1::2].sum(
        -1, dtype=np.float32
    )
    return [forward, other, halves]


@pytest.mark.parametrize("style", [0, 1, 2])
@pytest.mark.parametrize("seed", range(5))
def test_every_order_of_summation_gives_the_exact_sums(style: int, seed: int) -> None:
    model = Model((40,)).dense(30).dense(20).dense(10)
    (stretch,) = model.plan(seed).stretches
    found = numbers(stretch, style)
    for name, node in found.nodes.items():
        layer, x = found.layers[name], found.received(name)[0].astype(np.float32)
        kernel, bias = layer.weights["kernel"], layer.weights["bias"]
        products = x[:, None, :] * kernel.T[None]
        terms = np.concatenate([np.broadcast_to(bias[None, :, None], (*products.shape[:2], 1)),
                                products], axis=-1)  # fmt: skip
        exact = np.maximum(x.astype(np.float64) @ kernel.astype(np.float64) + bias, 0)
        for order in float32_sums(terms, seed):
            assert order.dtype == np.float32
            assert (np.maximum(order, 0) == exact).all()
        assert (found.exact[name].value == exact).all()
        assert node.feeds


def test_a_sum_that_could_be_rounded_is_refused_with_the_number() -> None:
    check_sum(2.0**24, 1.0, FLOAT32)
    with pytest.raises(InexactError, match=r"16777218 units.*exact in float32 up to 16777216"):
        check_sum(2.0**23 + 1, 0.5, FLOAT32)
    with pytest.raises(InexactError, match="up to 2048"):
        check_sum(2049.0, 1.0, FLOAT16)


@pytest.mark.parametrize(
    ("values", "step"),
    [([3.0, 0.0], 1.0), ([0.5, 3.0], 0.5), ([0.25, 8.0], 0.25), ([0.0], 1.0),
     ([*range(300), 2.0**-9], 2.0**-9)],
)  # fmt: skip
def test_the_grid_is_the_coarsest_power_of_two_that_divides_all(values: Any, step: float) -> None:
    assert grid(np.array(values)) == step


@pytest.mark.parametrize("value", [0.1, np.inf, np.nan])
def test_what_is_on_no_useful_grid_is_refused(value: float) -> None:
    with pytest.raises(InexactError):
        grid(np.array([1.0, value]) * 2.0**-20)


@pytest.mark.parametrize("seed", range(8))
def test_units_are_active_on_some_rows_and_not_on_others(seed: int) -> None:
    (stretch,) = deep(6).plan(seed).stretches
    for name, each in numbers(stretch).exact.items():
        active = (each.value > 0).mean(axis=0)
        mixed = (active > 0) & (active < 1)
        assert mixed.mean() > 0.9, name


@pytest.mark.parametrize("seed", range(8))
def test_no_two_units_are_alike_and_no_bias_is_zero(seed: int) -> None:
    (stretch,) = Model((3,)).dense(5).dense(4).dense(3, "linear").plan(seed).stretches
    for draw in stretch.draws[:2]:
        for weights in draw.weights.values():
            assert len(np.unique(weights["kernel"], axis=1).T) == weights["kernel"].shape[1]
            assert (weights["bias"] != 0).all()


def test_every_input_of_a_layer_is_used_by_some_unit() -> None:
    (stretch,) = Model((300,)).dense(7).plan().stretches
    for draw in stretch.draws:
        assert (draw.weights["dense_0"]["kernel"] != 0).any(axis=1).all()


def test_long_numbers_have_bits_that_fewer_digits_lose() -> None:
    (stretch,) = deep(2).plan().stretches
    x = stretch.draws[2].inputs[0]
    half = x.astype(np.float16).astype(np.float32)
    assert ((half != x) | (x == 0)).mean() > 0.9


def test_numbers_are_the_same_for_the_same_seed_and_others_for_another() -> None:
    one, same, other = (deep(2).plan(seed).stretches[0].draws[0] for seed in (1, 1, 2))
    assert (one.inputs[0] == same.inputs[0]).all()
    assert (one.weights["dense_0"]["kernel"] == same.weights["dense_0"]["kernel"]).all()
    assert (one.inputs[0] != other.inputs[0]).any()


def test_a_layer_whose_activation_rounds_is_probed_without_it_and_ends_its_stretch() -> None:
    model = Model((4,)).dense(5).dense(6, "gelu").dense(3)
    first, second = model.plan().stretches
    assert [layer.name for layer in first.layers] == ["dense_0", "dense_1"]
    assert first.bare == ("dense_1",)
    assert first.layers[1].config["activation"] == "linear"
    assert second.inputs == ("dense_1",)
    assert not second.bare


def test_a_layer_that_is_never_exact_is_left_out_with_the_reason() -> None:
    model = Model((4,)).dense(5).add("Softmax", (5,)).dense(3, "linear")
    planned = model.plan()
    assert len(planned.stretches) == 2
    assert "nothing shows that Softmax" in planned.refused["softmax_1"]


def test_an_operation_that_is_no_layer_is_left_out_and_the_rest_planned() -> None:
    model = Model((4,)).dense(5).dense(3, "linear")
    state = model.state
    nodes = nodes_of(state)
    bare = state.model_copy(update={"layers": state.layers[:1]})
    planned = _Planner(bare, nodes, model.tensors, 0).plan()
    assert planned.refused == {"dense_1": "it is an operation and no layer"}
    assert [layer.name for layer in planned.stretches[0].layers] == ["dense_0"]


def test_recurrent_layers_are_left_out_with_the_reason() -> None:
    planned = Model((4, 3)).add("LSTM", (5,)).dense(3, "linear").plan()
    assert "recurrent" in planned.refused["lstm_0"]
    assert len(planned.stretches) == 1


def test_where_exactness_cannot_hold_the_number_is_named() -> None:
    # One unit must use all of its 5,000 inputs, and float16 counts to 2,048.
    model = Model((5000,)).dense(1, "linear", dtype="float16")
    planned = model.plan()
    assert planned.stretches == ()
    assert "exact in float16 up to 2048" in planned.refused["dense_0"]


def test_a_deep_model_starts_again_where_numbers_have_grown_too_far() -> None:
    model = Model((6,))
    for _ in range(12):
        model.add("Rescaling", (6,), scale=16.0, offset=0.0)
    planned = model.plan()
    assert planned.refused == {}
    assert len(planned.stretches) > 1
    assert [layer.name for each in planned.stretches for layer in each.layers] == [
        layer.name for layer in model.layers
    ]


def test_averages_over_windows_of_a_power_of_two_are_exact_and_others_are_left_out() -> None:
    def pooled(size: int) -> Model:
        model = Model((12, 12, 2)).conv(3, 3)
        side = 12 // size
        return model.add("AveragePooling2D", (side, side, 3), pool_size=[size, size],
                         strides=[size, size], padding="valid")  # fmt: skip

    assert pooled(2).plan().refused == {}
    assert "averages 9 elements" in pooled(3).plan().refused["averagepooling2d_1"]


def test_normalisation_gets_variances_whose_roots_are_exact() -> None:
    weights = dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), (4,))
    model = Model((4,)).dense(4, "linear")
    model.add("BatchNormalization", (4,), weights, axis=-1, epsilon=1e-3, center=True, scale=True)
    (stretch,) = model.plan().stretches
    drawn = stretch.draws[0].weights["batchnormalization_1"]
    total = drawn["moving_variance"] + np.float32(1e-3)
    assert set(total.tolist()) <= {0.25, 1.0}
    exact = numbers(stretch).exact["batchnormalization_1"]
    assert "1 / sqrt" in exact.depends
    assert (exact.value == np.rint(exact.value * 4) / 4).all()


@pytest.mark.parametrize(("slope", "covered"), [(0.25, True), (0.5, True), (0.3, False)])
def test_a_slope_is_exact_if_it_has_few_bits(slope: float, covered: bool) -> None:
    model = Model((4,)).dense(4, "linear").add("LeakyReLU", (4,), negative_slope=slope)
    assert ("leakyrelu_1" not in model.plan().refused) == covered
