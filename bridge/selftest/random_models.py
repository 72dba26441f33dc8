"""Small random models of the installed Keras, each predicted under a label; used as a twin.

Everything is drawn from a seed: the layers, their weights, what is predicted. So the same models
can be had again on another machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from bridge.cases.claims import probe

Rng = np.random.Generator

#: Rows that every model predicts: fewer than make a second batch.
ROWS: Final = 24

_ACTIVATIONS: Final = (
    "relu",
    "relu",
    "relu",
    "tanh",
    "sigmoid",
    "elu",
    "gelu",
    "softplus",
    "linear",
)

#: Every so many-th model is compiled by XLA, is predicted before it gets its weights.
_COMPILED_EVERY: Final = 12
_EARLIER_EVERY: Final = 7


def predict(keras: Any, seed: int, numbers: Sequence[int]) -> None:
    """Build the models of these numbers and predict with each, under the label ``m<number>``.

    Some are predicted before they get their weights too, under ``m<number> before``.
    """
    for number in numbers:
        rng = np.random.default_rng([seed, number])
        model, x = _FAMILIES[number % len(_FAMILIES)](keras, rng)
        if number % _COMPILED_EVERY == _COMPILED_EVERY - 1:
            model.compile(jit_compile=True)
        if number % _EARLIER_EVERY == 0:
            with probe(f"m{number} before"):
                model.predict(x, verbose=0)
        model.set_weights([_weight(rng, weight) for weight in model.weights])
        with probe(f"m{number}"):
            model.predict(x, verbose=0)


def _weight(rng: Rng, weight: Any) -> Any:
    """Draw what a weight may be after training; variances are positive."""
    name = str(getattr(weight, "path", None) or weight.name)
    shape = tuple(int(part) for part in weight.shape)
    if "variance" in name or "gamma" in name:
        return (0.5 + rng.random(shape)).astype(np.float32)
    scale = 1 / np.sqrt(np.prod(shape[:-1])) if len(shape) > 1 else 0.3
    return (scale * rng.standard_normal(shape)).astype(np.float32)


def _normal(rng: Rng, *shape: int) -> Any:
    return rng.standard_normal((ROWS, *shape)).astype(np.float32)


def _one(rng: Rng, items: Sequence[Any]) -> Any:
    return items[int(rng.integers(len(items)))]


def _dense(keras: Any, rng: Rng, name: str, units: int | None = None) -> Any:
    return keras.layers.Dense(
        units or int(rng.integers(2, 7)), activation=_one(rng, _ACTIVATIONS), name=name
    )


def _between(keras: Any, rng: Rng, name: str) -> Iterator[Any]:
    """Yield a layer that may stand between others, or none."""
    layers = keras.layers
    yield from _one(rng, (
        lambda: [], lambda: [],
        lambda: [layers.LayerNormalization(axis=1, epsilon=0.01, name=f"{name}_norm")],
        lambda: [layers.BatchNormalization(axis=1, name=f"{name}_norm")],
        lambda: [layers.ReLU(name=f"{name}_relu")],
        lambda: [layers.ELU(alpha=0.5, name=f"{name}_elu")],
        lambda: [layers.Dropout(0.5, name=f"{name}_drop")],
        lambda: [layers.Softmax(name=f"{name}_softmax")],
    ))()  # fmt: skip


def _stack(keras: Any, rng: Rng) -> tuple[Any, Any]:
    width = int(rng.integers(2, 8))
    square = rng.random() < 0.5
    parts: list[Any] = [keras.Input((width,))]
    for number in range(int(rng.integers(1, 4))):
        parts.append(_dense(keras, rng, f"dense_{number}", width if square else None))
        parts += _between(keras, rng, f"after_{number}")
    parts.append(_dense(keras, rng, "last"))
    return keras.Sequential(parts), _normal(rng, width)


def _images(keras: Any, rng: Rng) -> tuple[Any, Any]:
    layers = keras.layers
    depth, padding = int(rng.integers(2, 5)), _one(rng, ("same", "same", "valid"))
    parts = [
        keras.Input((6, 6, depth)),
        layers.Conv2D(depth, 3, padding=padding, activation=_one(rng, _ACTIVATIONS), name="conv"),
        *([layers.BatchNormalization(name="norm")] if rng.random() < 0.4 else []),
        _one(rng, (layers.MaxPooling2D, layers.AveragePooling2D))(2, name="pool"),
        layers.Flatten(name="flat"),
        _dense(keras, rng, "last"),
    ]
    return keras.Sequential(parts), _normal(rng, 6, 6, depth)


def _series(keras: Any, rng: Rng) -> tuple[Any, Any]:
    layers = keras.layers
    depth = int(rng.integers(2, 5))
    parts = [
        keras.Input((8, depth)),
        layers.Conv1D(4, 3, padding="same", activation=_one(rng, _ACTIVATIONS), name="conv"),
        *([layers.Softmax(axis=1, name="soft")] if rng.random() < 0.5 else []),
        layers.GlobalMaxPooling1D(name="pool"),
        *_between(keras, rng, "after"),
        _dense(keras, rng, "last"),
    ]
    return keras.Sequential(parts), _normal(rng, 8, depth)


def _recurrent(keras: Any, rng: Rng) -> tuple[Any, Any]:
    layers = keras.layers
    kind = _one(rng, (layers.SimpleRNN, layers.LSTM, layers.GRU))
    parts = [keras.Input((5, 3)), kind(4, name="cell"), _dense(keras, rng, "last")]
    return keras.Sequential(parts), _normal(rng, 5, 3)


def _words(keras: Any, rng: Rng) -> tuple[Any, Any]:
    layers = keras.layers
    parts = [
        keras.Input((6,), dtype="int32"),
        layers.Embedding(12, 4, name="words"),
        layers.GlobalAveragePooling1D(name="pool"),
        _dense(keras, rng, "hidden"),
        _dense(keras, rng, "last"),
    ]
    # The last row of the table is left to codes that are one too large.
    return keras.Sequential(parts), rng.integers(0, 11, (ROWS, 6)).astype(np.int32)


def _branches(keras: Any, rng: Rng) -> tuple[Any, Any]:
    layers = keras.layers
    width = int(rng.integers(2, 7))
    given = keras.Input((width,), name="given")
    left = _dense(keras, rng, "left", width)(given)
    right = _dense(keras, rng, "right", width)(given)
    merge = _one(rng, (
        layers.Add(name="both"), layers.Multiply(name="both"),
        layers.Concatenate(axis=1, name="both"),
    ))  # fmt: skip
    last = _dense(keras, rng, "last")(merge([left, right]))
    return keras.Model(given, last), _normal(rng, width)


_FAMILIES: Final[tuple[Callable[[Any, Rng], tuple[Any, Any]], ...]] = (
    _stack, _stack, _images, _stack, _branches, _series, _stack, _words, _recurrent, _stack,
)  # fmt: skip
