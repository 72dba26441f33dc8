"""Random models of 2 to 30 layers, drawn from a seed: Dense, Conv, Pool, Norm, RNN and merging.

``predict(keras, seed, numbers)`` is called as that of :mod:`bridge.selftest.random_models` is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from bridge.cases.claims import probe
from bridge.selftest.random_models import _weight

#: Classes of layers that are in no model of the self-test and in no case of the zoo, so that no
#: search and no pattern was mended by looking at them: five of the 22 classes below. What is found
#: of them is told apart. Those that only merge can have no fault of their own here.
HELD_OUT: Final = frozenset(
    {"SeparableConv2D", "Conv2DTranspose", "UnitNormalization", "Subtract", "Average"}
)

_ACTIVATIONS: Final = ("relu", "relu", "tanh", "sigmoid", "elu", "gelu", "softplus", "linear")
_ROWS: Final = 12
Rng = np.random.Generator


def predict(keras: Any, seed: int, numbers: Sequence[int]) -> None:
    """Build the models of these numbers and predict with each, under ``m<number>``."""
    for number in numbers:
        rng = np.random.default_rng([seed, number, 7])
        depth = int(rng.integers(2, 31))
        model, x = _FAMILIES[number % len(_FAMILIES)](keras, rng, depth)
        if number % 12 == 11:
            model.compile(jit_compile=True)
        if number % 7 == 0:
            with probe(f"m{number} before"):
                model.predict(x, verbose=0)
        model.set_weights([_weight(rng, each) for each in model.weights])
        with probe(f"m{number}"):
            model.predict(x, verbose=0)


def _one(rng: Rng, items: Sequence[Any]) -> Any:
    return items[int(rng.integers(len(items)))]


def _named(depth: int, make: Callable[[int], Any]) -> Iterator[Any]:
    for place in range(depth):
        yield make(place)


def _dense(keras: Any, rng: Rng, name: str, units: int | None = None) -> Any:
    size = units or int(rng.integers(2, 8))
    return keras.layers.Dense(size, activation=_one(rng, _ACTIVATIONS), name=name)


def _flat(keras: Any, rng: Rng, place: int, width: int) -> Any:
    layers, name = keras.layers, f"layer_{place}"
    kind = int(rng.integers(8))
    if kind < 4:
        return _dense(keras, rng, name, width)
    return (
        lambda: layers.BatchNormalization(name=name),
        lambda: layers.LayerNormalization(epsilon=0.01, name=name),
        lambda: layers.LeakyReLU(name=name),
        lambda: layers.UnitNormalization(name=name),
    )[kind - 4]()


def _stack(keras: Any, rng: Rng, depth: int) -> tuple[Any, Any]:
    width = int(rng.integers(2, 8))
    parts = [keras.Input((width,)), _dense(keras, rng, "first", width)]
    parts += _named(max(0, depth - 2), lambda place: _flat(keras, rng, place, width))
    parts.append(_dense(keras, rng, "last"))
    return keras.Sequential(parts), rng.standard_normal((_ROWS, width)).astype(np.float32)


def _image_layer(keras: Any, rng: Rng, place: int, depth: int) -> Any:
    layers, name, act = keras.layers, f"layer_{place}", _one(rng, _ACTIVATIONS)
    return _one(rng, (
        lambda: layers.Conv2D(depth, 3, padding="same", activation=act, name=name),
        lambda: layers.Conv2D(depth, 1, activation=act, name=name),
        lambda: layers.DepthwiseConv2D(3, padding="same", activation=act, name=name),
        lambda: layers.SeparableConv2D(depth, 3, padding="same", activation=act, name=name),
        lambda: layers.Conv2DTranspose(depth, 3, padding="same", activation=act, name=name),
        lambda: layers.MaxPooling2D(2, strides=1, padding="same", name=name),
        lambda: layers.AveragePooling2D(2, strides=1, padding="same", name=name),
        lambda: layers.BatchNormalization(name=name),
    ))()  # fmt: skip


def _images(keras: Any, rng: Rng, depth: int) -> tuple[Any, Any]:
    layers, channels = keras.layers, int(rng.integers(2, 4))
    first = layers.Conv2D(channels, 3, padding="same", activation="relu", name="first")
    parts = [keras.Input((5, 5, channels)), first]
    parts += _named(max(0, depth - 4), lambda place: _image_layer(keras, rng, place, channels))
    parts += [layers.MaxPooling2D(2, name="pool"), layers.Flatten(name="flat"),
              _dense(keras, rng, "last")]  # fmt: skip
    x = rng.standard_normal((_ROWS, 5, 5, channels)).astype(np.float32)
    return keras.Sequential(parts), x


def _series(keras: Any, rng: Rng, depth: int) -> tuple[Any, Any]:
    layers = keras.layers
    kind = _one(rng, (layers.SimpleRNN, layers.LSTM, layers.GRU))
    parts = [keras.Input((6, 3)),
             layers.Conv1D(3, 3, padding="same", activation="relu", name="conv"),
             layers.AveragePooling1D(2, name="pool"), kind(4, name="cell")]  # fmt: skip
    parts += _named(max(0, depth - 4), lambda place: _flat(keras, rng, place, 4))
    parts.append(_dense(keras, rng, "last"))
    return keras.Sequential(parts), rng.standard_normal((_ROWS, 6, 3)).astype(np.float32)


def _branches(keras: Any, rng: Rng, depth: int) -> tuple[Any, Any]:
    layers, width = keras.layers, int(rng.integers(2, 7))
    given = keras.Input((width,), name="given")
    at, place = given, 0
    while place < max(1, depth - 2):
        left = _dense(keras, rng, f"left_{place}", width)(at)
        right = _dense(keras, rng, f"right_{place}", width)(at)
        merge = _one(rng, (layers.Add, layers.Multiply, layers.Average, layers.Maximum,
                           layers.Subtract))  # fmt: skip
        at = merge(name=f"both_{place}")([left, right])
        place += 3
    last = _dense(keras, rng, "last")(at)
    return keras.Model(given, last), rng.standard_normal((_ROWS, width)).astype(np.float32)


_FAMILIES: Final = (_stack, _images, _branches, _series)
