"""What TensorFlow's recurrent layers return lies within the bounds, however they are asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pytest

from bridge.facts.keras import Generation
from bridge.trace.model_description import named_weights
from tests.compare_samples import F32, judge_layer
from tests.orders import GOOD
from tests.tensorflow_ways import GENERATIONS, described, hold

pytestmark = pytest.mark.tf
generations = pytest.mark.parametrize(("generation", "package"), GENERATIONS)

LAYERS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("SimpleRNN", {"activation": "relu", "go_backwards": True, "return_sequences": True}),
    ("LSTM", {"return_sequences": True, "return_state": True}),
    ("LSTM", {"activation": "hard_sigmoid", "use_bias": False, "dropout": 0.5}),
    ("GRU", {"return_sequences": True, "go_backwards": True, "unroll": True}),
    ("GRU", {"reset_after": False, "recurrent_activation": "hard_sigmoid"}),
)


def _inputs(rng: np.random.Generator, *shape: int) -> Iterator[F32]:
    yield rng.standard_normal(shape).astype("f4")
    wide = rng.standard_normal(shape) * 10.0 ** rng.uniform(-42, 3, shape)
    yield wide.astype("f4")


def _weigh(layer: Any, rng: np.random.Generator) -> None:
    """Give a layer that was built weights with biases that are not zero."""
    layer.set_weights(
        [
            (weight + 0.3 * rng.standard_normal(weight.shape)).astype("f4")
            for weight in layer.get_weights()
        ]
    )


@generations
@pytest.mark.parametrize(("name", "options"), LAYERS)
def test_layers(generation: Generation, package: str, name: str, options: dict[str, Any]) -> None:
    keras = pytest.importorskip(package)
    rng = np.random.default_rng(0)
    layer = getattr(keras.layers, name)(9, **options)
    inputs = list(_inputs(rng, 4, 7, 5))
    layer(inputs[0])
    _weigh(layer, rng)
    hold(layer, generation, inputs)


@generations
@pytest.mark.parametrize("merge", ["concat", "mul"])
def test_two_directions(generation: Generation, package: str, merge: str | None) -> None:
    keras = pytest.importorskip(package)
    rng = np.random.default_rng(1)
    inner = keras.layers.GRU(4, return_sequences=merge != "mul", return_state=merge == "concat")
    layer = keras.layers.Bidirectional(inner, merge_mode=merge)
    inputs = list(_inputs(rng, 3, 6, 5))
    layer(inputs[0])
    _weigh(layer, rng)
    hold(layer, generation, inputs)


@generations
def test_other_wrappers(generation: Generation, package: str) -> None:
    layers = pytest.importorskip(package).layers
    rng = np.random.default_rng(2)
    made = [
        layers.TimeDistributed(layers.Dense(3, activation="tanh")),
        layers.RNN(layers.LSTMCell(4), return_sequences=True),
    ]
    for layer in made:
        inputs = list(_inputs(rng, 3, 6, 5))
        layer(inputs[0])
        _weigh(layer, rng)
        hold(layer, generation, inputs)


@generations
def test_initial_states(generation: Generation, package: str) -> None:
    tf = pytest.importorskip("tensorflow")
    layers = pytest.importorskip(package).layers
    rng = np.random.default_rng(3)
    layer = layers.LSTM(4, return_sequences=True)
    x, h, c = (rng.standard_normal(shape).astype("f4") for shape in ((3, 6, 5), (3, 4), (3, 4)))
    y = np.asarray(layer(x, initial_state=[tf.constant(h), tf.constant(c)]))
    known = described(layer, generation)
    assert judge_layer(known, [x, h, c], [y]).verdict in GOOD
    assert judge_layer(known, [x, c, h], [y]).verdict == "different"


@generations
@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
def test_a_sequence_tells_of_the_last_state_that_the_same_layer_returns(
    generation: Generation, package: str, name: str
) -> None:
    layers = pytest.importorskip(package).layers
    x = np.random.default_rng(4).standard_normal((3, 80, 5)).astype("f4")
    layer = getattr(layers, name)(16)
    y = np.asarray(layer(x))
    whole = getattr(layers, name)(16, return_sequences=True)
    whole(x)
    whole.set_weights(layer.get_weights())
    verdict = judge_layer(described(layer, generation), [x], [y, np.asarray(whole(x))])
    assert verdict.verdict in GOOD
    assert verdict.bound < 1e-4


@pytest.mark.parametrize("package", ["tf_keras", "keras"])
def test_no_two_weights_of_a_layer_have_one_name(package: str) -> None:
    layers = pytest.importorskip(package).layers
    both = layers.Bidirectional(layers.LSTM(2))
    both(np.zeros((1, 2, 3), np.float32))
    names = [name for name, _ in named_weights(both)]
    assert len(set(names)) == len(names) == 6
    one = layers.LSTM(2)
    one(np.zeros((1, 2, 3), np.float32))
    assert [name for name, _ in named_weights(one)] == ["kernel", "recurrent_kernel", "bias"]


def test_the_time_axis_may_come_first_in_keras_2() -> None:
    layers = pytest.importorskip("tf_keras").layers
    rng = np.random.default_rng(5)
    layer = layers.LSTM(4, return_sequences=True, time_major=True)
    hold(layer, 2, list(_inputs(rng, 6, 3, 5)))
