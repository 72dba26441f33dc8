"""Normalization: moments that were found before move and scale each element by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bridge._typing import AnyArray
from bridge.rounding.rules import Layer, UnsupportedError, evaluate

RNG = np.random.default_rng(5)


def features(rows: int = 200) -> AnyArray:
    """Columns of very different sizes, one of them constant, one with a mean far from zero."""
    scale = np.array([1.0, 1e4, 3e-3, 0.0, 2.0])
    shift = np.array([0.0, -7e5, 1.0, 4.25, 300.0])
    return np.asarray(RNG.normal(size=(rows, 5)) * scale + shift, np.float32)


def layer_of(made: Any, generation: Any) -> Layer:
    weights = {weight.name.rpartition("/")[2].partition(":")[0]: np.array(weight)
               for weight in made.weights}  # fmt: skip
    config = {key: list(value) if isinstance(value, tuple) else value
              for key, value in made.get_config().items()}  # fmt: skip
    return Layer("n", "keras.layers.Normalization", config | {"dtype": "float32"}, weights,
                 generation)  # fmt: skip


def keras_of(generation: int) -> Any:
    if generation == 2:
        import tf_keras

        return tf_keras
    import keras

    return keras


@pytest.mark.parametrize("generation", [2, 3])
@pytest.mark.parametrize("settings", [
    {}, {"invert": True}, {"axis": None}, {"axis": (-1,)},
    {"mean": [0.5, 1.0, 2.0, 4.25, 300.0], "variance": [1.0, 1e8, 1e-6, 0.0, 5.0]},
    {"mean": 3.0, "variance": 2.0, "invert": True},
])  # fmt: skip
def test_the_layer_is_within_its_bound(generation: int, settings: dict[str, Any]) -> None:
    import tensorflow as tf

    made = keras_of(generation).layers.Normalization(**settings)
    x = features()
    if "mean" in settings:
        made.build(x.shape)
    else:
        made.adapt(x)
    (found,) = evaluate(layer_of(made, generation), [x])
    for run in (made, tf.function(made), tf.function(made, jit_compile=True)):
        y = np.asarray(run(tf.constant(x)), np.float64)
        assert np.isfinite(found.bound).all()
        assert (np.abs(y - found.value) <= found.bound).all()
    # It is a bound of rounding, and not one of anything.
    size = np.abs(found.value) + np.abs(x).max(axis=0) / np.maximum(x.std(axis=0), 1e-3)
    if not settings.get("invert") and "mean" not in settings:
        assert (found.bound[:, :3] <= 1e-5 * (1.0 + size[:, :3])).all()


def adapted() -> tuple[Layer, AnyArray]:
    x = features()
    weights = {"mean": x.mean(axis=0), "variance": x.var(axis=0), "count": np.array(200, np.int64)}
    return Layer("n", "keras.layers.Normalization", {"axis": [-1]}, weights, 3), x


def test_the_other_variance_is_beyond_the_bound() -> None:
    layer, x = adapted()
    (found,) = evaluate(layer, [x])
    by_one_less = ((x - x.mean(axis=0)) / np.maximum(x.std(axis=0, ddof=1), 1e-7)).astype(float)
    beyond = np.abs(by_one_less - found.value) > found.bound
    assert beyond[:, [0, 1, 2, 4]].mean() > 0.9


@pytest.mark.parametrize("changes", [
    {"devices": ("GPU",)},
    {"config": {"axis": [-1], "dtype": "bfloat16"}},
    {"config": {"axis": [3]}},
    {"config": {"axis": [-1], "mean": "a", "variance": "b"}},
    {"weights": {"mean": np.zeros(3, np.float32), "variance": np.ones(3, np.float32)}},
    {"weights": {"mean": np.zeros(5, np.float32), "variance": -np.ones(5, np.float32)}},
    {"weights": {}},
])  # fmt: skip
def test_what_is_not_known_is_refused(changes: dict[str, Any]) -> None:
    layer, x = adapted()
    with pytest.raises(UnsupportedError):
        evaluate(replace(layer, **changes), [x])
