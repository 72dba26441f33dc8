"""What a model makes of its input: units, collapsed layers, and why a response is what it is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from bridge.capsule import Capsule
from bridge.explain.responses import Described, describe, reach, surprise
from bridge.rounding.layer_records import seen_layers
from tests.compare_samples import F32, Dense, Sample, normal

X = np.linspace(-5, 5, 101, dtype=np.float32).reshape(-1, 1)


def dense(kernel: Any, bias: Any, activation: str = "linear", name: str = "dense") -> Dense:
    return Dense(np.array(kernel, np.float32), np.array(bias, np.float32), activation, name)


def two_lines() -> list[Dense]:
    return [dense([[2]], [1], name="dense_1"), dense([[3]], [-1], name="dense_2")]


def recorded(layers: Sequence[Dense], x: Any = X, outputs: Sequence[F32] | None = None) -> Capsule:
    return Sample().predict(layers, x, outputs=outputs).capsule()


def described(layers: Sequence[Dense], x: Any = X) -> Described:
    capsule = recorded(layers, x)
    return describe(capsule, capsule.manifest.probes[0], label="A")


def without(layers: Sequence[Dense], x: Any = X) -> Described:
    """Describe the same model where the run lost every activation."""
    made: list[F32] = []
    for layer in layers:
        made.append((made[-1] if made else x) @ layer.kernel + layer.bias)
    capsule = recorded(layers, x, made)
    return describe(capsule, capsule.manifest.probes[0], label="A")


def test_the_share_of_negative_sums_is_counted_before_the_activation() -> None:
    (census,) = described([dense([[1, -1]], [0, 0], "relu")])[1]
    assert (census.probe, census.layer, census.activation) == ("A", "dense", "relu")
    assert (census.units, census.rows, census.below) == (2, 101, 100)
    assert census.negative == pytest.approx(100 / 202)
    assert not census.identity
    assert census.bends == (0, 0)


def test_a_lost_activation_does_not_change_what_it_had_to_do() -> None:
    layers = [dense([[1, -1]], [0, 0], "relu")]
    assert without(layers)[1][0].below == described(layers)[1][0].below


def test_a_relu_unit_that_is_never_positive_is_dead() -> None:
    (census,) = described([dense([[1, 1, 0]], [0, -9, 4], "relu")])[1]
    assert census.dead == (1,)
    assert census.dead_units == 1


def test_one_row_shows_no_dead_unit() -> None:
    (census,) = described([dense([[1, 1]], [0, -9], "relu")], X[:1])[1]
    assert census.dead == ()


def test_a_unit_at_its_limits_is_saturated() -> None:
    layer = dense([[1000, 1]], [50, 0], "tanh")
    capsule = recorded([layer], outputs=[np.tanh(X @ layer.kernel + layer.bias)])
    (census,) = describe(capsule, capsule.manifest.probes[0])[1]
    assert census.saturated == (0,)
    assert census.dead == ()


def test_relu_is_no_saturation() -> None:
    (census,) = described([dense([[1]], [-9], "relu")])[1]
    assert census.saturated == ()


def test_layers_without_an_activation_are_not_counted() -> None:
    assert described(two_lines())[1] == ()


def test_layers_without_an_activation_are_one_affine_map() -> None:
    shapes, _, (collapse,) = described(two_lines())
    assert collapse.layers == ("dense_1", "dense_2")
    assert (collapse.W, collapse.b) == (((6.0,),), (2.0,))
    assert (collapse.beyond, collapse.here_only) == (0, ())
    assert "y = 6 x + 2" in collapse.why
    assert "within rounding of it" in collapse.why
    assert (shapes[0].kind, shapes[0].slopes, shapes[0].intercepts) == ("affine", (6,), (2,))


def test_the_map_is_the_product_of_the_weights() -> None:
    rng = np.random.default_rng(3)
    layers = [
        Dense(normal(rng, a, b), normal(rng, b), "linear", f"dense_{a}")
        for a, b in ((3, 5), (5, 4), (4, 2))
    ]
    (collapse,) = described(layers, normal(rng, 20, 3))[2]
    kernels = [layer.kernel.astype(float) for layer in layers]
    np.testing.assert_allclose(collapse.W, kernels[0] @ kernels[1] @ kernels[2], rtol=1e-12)
    assert collapse.beyond == 0
    assert collapse.bound is not None
    assert collapse.difference is not None
    assert 0 < collapse.difference <= collapse.bound < 1e-4


def test_a_map_that_was_not_made_is_said_to_be_not_made() -> None:
    layers = two_lines()
    made = [layers[0].run(X), layers[1].run(layers[0].run(X)) + np.float32(0.01)]
    capsule = recorded(layers, outputs=made)
    (collapse,) = describe(capsule, capsule.manifest.probes[0])[2]
    assert collapse.beyond == 101
    assert "101 recorded outputs are beyond rounding of it" in collapse.why
    assert surprise((), (), (collapse,)) == ()


def test_an_activation_between_layers_keeps_them_apart() -> None:
    layers = [dense([[2]], [1], "relu", "dense_1"), dense([[3]], [-1], name="dense_2")]
    assert described(layers)[2] == ()


def test_large_maps_are_not_printed() -> None:
    rng = np.random.default_rng(0)
    layers = [Dense(normal(rng, 9, 9), normal(rng, 9), name=name) for name in ("one", "two")]
    (collapse,) = described(layers, normal(rng, 4, 9))[2]
    assert (collapse.W, collapse.b, collapse.inputs, collapse.outputs) == ((), (), 9, 9)
    assert collapse.beyond == 0


@pytest.mark.parametrize("depth", [1, 2, 5, 9])
@pytest.mark.parametrize("lost", [False, True])
def test_rounding_in_hidden_layers_bends_no_line(depth: int, lost: bool) -> None:
    rng = np.random.default_rng(depth)
    sizes = [1, *[6] * depth, 1]
    layers = [
        Dense(normal(rng, a, b) / 3, normal(rng, b) * 0.5, "relu" if lost else "linear", f"d{n}")
        for n, (a, b) in enumerate(pairwise(sizes))
    ]
    shapes, _, _ = without(layers)
    assert shapes[0].kind == "affine", shapes[0].sentence


def test_a_relu_network_is_piecewise_linear_within_its_bound() -> None:
    layers = [dense([[1, 1]], [0, -2], "relu", "one"), dense([[1], [-3]], [0.1], name="two")]
    (shape,), (census,), _ = described(layers)
    assert (shape.kind, shape.pieces) == ("piecewise-linear", 3)
    for (low, high), place in zip(shape.between, sorted(census.bends), strict=True):
        assert low <= place <= high


def test_the_reach_covers_what_rounding_did_to_random_networks() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        layers = [
            Dense(normal(rng, 3, 8), normal(rng, 8), "relu", "one"),
            Dense(normal(rng, 8, 8), normal(rng, 8), "relu", "two"),
            Dense(normal(rng, 8, 2), normal(rng, 2), "linear", "three"),
        ]
        x = normal(rng, 30, 3)
        capsule = recorded(layers, x)
        found = reach(seen_layers(capsule, capsule.manifest.probes[0]))
        exact = x.astype(float)
        for layer in layers:
            exact = exact @ layer.kernel.astype(float) + layer.bias.astype(float)
            exact = np.maximum(exact, 0) if layer.activation == "relu" else exact
        made = capsule.array(capsule.manifest.probes[0].outputs[0])
        bound = found["three"]
        assert not isinstance(bound, str)
        assert np.all(np.abs(made - exact) <= bound)
        assert np.median(bound) < 1e-3


def test_a_layer_that_is_not_known_has_no_reach_and_the_shape_says_why() -> None:
    layers = [dense([[1]], [0], "tanh_of_mine", "odd"), dense([[2]], [1], name="last")]
    (shape,), census, _ = described(layers)
    assert shape.kind == "not-known"
    assert "layer odd: its activation 'tanh_of_mine' has no rule" in shape.sentence
    assert census == ()


def test_several_inputs_that_vary_have_no_shape() -> None:
    rng = np.random.default_rng(0)
    layers = [Dense(normal(rng, 2, 1), normal(rng, 1))]
    x = normal(rng, 30, 2)
    assert described(layers, x)[0] == ()
    x[:, 1] = 4
    assert described(layers, x)[0][0].kind == "affine"


def test_each_column_of_the_output_has_its_shape() -> None:
    shapes, _, _ = described([dense([[1, 2, 0]], [0, 0, 5])])
    assert [each.output for each in shapes] == ["y[:, 0]", "y[:, 1]", "y[:, 2]"]
    assert [each.kind for each in shapes] == ["affine", "affine", "constant"]


def test_nothing_is_said_where_no_layer_was_looked_at() -> None:
    capsule = Sample().predict(two_lines(), X, looked=False).capsule()
    assert describe(capsule, capsule.manifest.probes[0]) == ((), (), ())


def test_relu_on_positive_sums_is_said_to_be_the_identity_and_where_it_would_bend() -> None:
    layers = [dense([[1]], [9], "relu", "dense"), dense([[2]], [1], name="last")]
    found = described(layers)
    said = surprise(*found)
    assert said[0] == (
        "A: Every pre-activation of layer dense is positive or zero on this grid (0 of 101 are "
        "negative), so relu is the identity here; what feeds dense would have to cross -9 for its "
        "bend to show."
    )
    assert found[2][0].here_only == ("dense",)
    assert "where the activation of dense changes nothing" in said[1]
    assert "because of the input" in said[2]


def test_relu_on_negative_sums_is_said_to_make_a_constant() -> None:
    (said,) = surprise(*described([dense([[1]], [-9], "relu"), dense([[2]], [1], name="last")]))
    assert "Every pre-activation of layer dense is negative on this grid (101 of 101)" in said
    assert "given a constant" in said


def test_dead_units_are_named_where_others_live() -> None:
    (said,) = surprise(*described([dense([[1, 1]], [0, -9], "relu")]))
    assert "1 of 2 units of layer dense is dead" in said
    assert "(unit 1)" in said


def test_a_lost_activation_is_not_explained_by_mathematics() -> None:
    layers = [dense([[1]], [0], "relu", "dense"), dense([[2]], [1], name="last")]
    found = without(layers)
    assert found[0][0].kind == "affine"
    assert surprise(*found) == ()


def test_an_ordinary_hinge_is_no_surprise() -> None:
    assert surprise(*described([dense([[1]], [0], "relu")])) == ()
