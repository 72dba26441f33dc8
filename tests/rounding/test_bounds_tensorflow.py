"""What TensorFlow itself returns lies within the bounds, however it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pytest

from bridge.facts.keras import Generation
from tests.compare_samples import F32, judge_layer
from tests.examples import thorough
from tests.tensorflow_ways import GENERATIONS, described, hold

pytestmark = pytest.mark.tf

ACTIVATIONS: Final = (
    "linear", "relu", "gelu", "sigmoid", "tanh", "elu", "selu", "softplus", "leaky_relu", "silu",
    "mish", "exponential", "softsign", "hard_sigmoid", "softmax",
)  # fmt: skip


def _inputs(rng: np.random.Generator, rows: int, columns: int) -> Iterator[F32]:
    yield rng.standard_normal((rows, columns)).astype(np.float32)
    yield (rng.standard_normal((rows, columns)) * 30).astype(np.float32)
    wide = rng.standard_normal((rows, columns)) * 10.0 ** rng.uniform(-42, 5, (rows, columns))
    yield wide.astype(np.float32)


@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_dense_layers(generation: Generation, package: str, activation: str) -> None:
    """Every activation meets every size and every generation: a size is of one generation."""
    keras = pytest.importorskip(package)
    rng = np.random.default_rng(0)
    turn = ACTIVATIONS.index(activation) + generation
    sizes = ((1, 1, 2), (33, 7, 5), (64, 200, 16))
    for rows, columns, units in sizes if thorough() else sizes[turn % 2 :: 2]:
        layer = keras.layers.Dense(units, activation=activation)
        layer.build((None, columns))
        kernel = rng.standard_normal((columns, units)) / np.sqrt(columns)
        layer.set_weights([kernel.astype(np.float32), rng.standard_normal(units).astype("f4")])
        inputs = _inputs(rng, rows, columns)
        if activation == "exponential":
            inputs = (np.clip(x, -5, 5) for x in inputs)
        hold(layer, generation, list(inputs))


@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
def test_layers_without_weights(generation: Generation, package: str) -> None:
    layers = pytest.importorskip(package).layers
    rng = np.random.default_rng(1)
    made = [
        layers.Activation("gelu"), layers.ReLU(), layers.ReLU(max_value=6.0),
        layers.ReLU(max_value=2.5, negative_slope=0.3, threshold=0.7), layers.LeakyReLU(),
        layers.ELU(), layers.ELU(alpha=0.37), layers.Softmax(), layers.Flatten(),
        layers.Reshape((7, 1)), layers.Dropout(0.5), layers.Rescaling(1 / 255.0),
        layers.Rescaling(0.1, offset=-1.0),
    ]  # fmt: skip
    for layer in made:
        hold(layer, generation, list(_inputs(rng, 33, 7)))


@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
def test_a_layer_as_an_activation(generation: Generation, package: str) -> None:
    layers = pytest.importorskip(package).layers
    rng = np.random.default_rng(2)
    layer = layers.Dense(4, activation=layers.LeakyReLU(0.25))
    hold(layer, generation, list(_inputs(rng, 9, 6)))


def test_an_activation_that_the_graph_lost_is_beyond_the_bound() -> None:
    keras = pytest.importorskip("tf_keras")
    x = np.linspace(-5, 5, 1000, dtype=np.float32).reshape(-1, 1)
    layer = keras.layers.Dense(1, activation="relu", kernel_initializer="ones")
    layer.build((None, 1))
    recorded = described(layer, 2)
    layer.activation = keras.activations.linear
    verdict = judge_layer(recorded, [x], [np.asarray(layer(x))])
    assert verdict.verdict == "different"
    assert 490 <= verdict.beyond_bound <= 500


@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
def test_bfloat16_products_that_are_cut_off_instead_of_rounded(
    generation: Generation, package: str
) -> None:
    layers = pytest.importorskip(package).layers
    rng = np.random.default_rng(5)
    for rows, columns in ((7, 1), (33, 2), (64, 9)):
        layer = layers.Dense(8, dtype="mixed_bfloat16")
        hold(layer, generation, [rng.standard_normal((rows, columns)).astype(np.float32)])
