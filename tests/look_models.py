"""Models of every kind, each predicted under a label; a twin for the tests of looking."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

SECOND = os.environ.get("TF_USE_LEGACY_KERAS") == "1"


def normal(*shape: int) -> Any:
    """Return standard normal float32 numbers, the same in every run."""
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def models(keras: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield a label, a model, and what it is to predict."""
    layers = keras.layers
    yield from merging(keras, layers)
    yield from recurrent(keras, layers)
    yield from fused(keras, layers)
    words = np.random.default_rng(0).integers(0, 4, (40, 6)).astype(np.int32)
    yield "mask", keras.Sequential([
        keras.Input((6,), dtype="int32"), layers.Embedding(9, 4, mask_zero=True, name="words"),
        layers.LSTM(3, name="lstm"), layers.Dense(2, name="dense"),
    ]), words  # fmt: skip
    image = keras.Input((6, 6, 1), name="image")
    cropped = layers.CenterCrop(4, 3, name="crop")(layers.RandomFlip(name="flip")(image))
    yield "augmented", keras.Model(image, layers.Dense(2, name="dense")(
        layers.Flatten(name="flat")(layers.RandomRotation(0.1, name="turn")(cropped))
    )), normal(40, 6, 6, 1)  # fmt: skip
    a = keras.Input((5, 4), name="a")
    attention = layers.MultiHeadAttention(2, 3, name="attention")
    yield "attention", keras.Model(a, layers.Dense(2, name="dense")(attention(a, a))), \
        normal(40, 5, 4)  # fmt: skip
    yield "doubles for integers", keras.Sequential([
        keras.Input((6,), dtype="int32"), layers.Embedding(9, 4, name="words"),
    ]), words.astype(np.float64)  # fmt: skip


def merging(keras: Any, layers: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield models whose layers have several inputs, or are called several times."""
    for label, order in (("a then b", (0, 1)), ("b then a", (1, 0))):
        inputs = [keras.Input((3,), name="a"), keras.Input((2,), name="b")]
        both = layers.Concatenate(name="both")([inputs[place] for place in order])
        yield label, keras.Model(inputs, layers.Dense(2, name="dense")(both)), \
            [normal(40, 3), normal(40, 2)]  # fmt: skip
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    both = layers.Concatenate(name="both")([b, a])
    yield "dict", keras.Model({"b": b, "a": a}, both), {"b": normal(40, 2), "a": normal(40, 3)}
    a = keras.Input((3,), name="a")
    hidden = layers.Dense(4, activation="tanh", name="hidden")(a)
    yield "twice", keras.Model(a, layers.Add(name="add")([hidden, hidden])), normal(40, 3)
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    shared = layers.Dense(4, activation="tanh", name="shared")
    minus = layers.Subtract(name="minus")([shared(b), shared(a)])
    yield "shared", keras.Model([a, b], minus), [normal(40, 3), normal(41, 3)[:40]]
    inner = keras.Sequential([
        keras.Input((3,)), layers.Dense(4, name="dense"), layers.ReLU(name="relu"),
        layers.Dense(3, name="last"),
    ], name="inner")  # fmt: skip
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    yield "nested", keras.Model([a, b], layers.Subtract(name="minus")([inner(a), inner(b)])), \
        [normal(40, 3), normal(41, 3)[:40]]  # fmt: skip
    a = keras.Input((3,), name="a")
    yield "nested last", keras.Model(a, inner(a)), normal(40, 3)
    a = keras.Input((3,), name="a")
    hidden = layers.Dense(3, name="hidden")(a)
    outputs = {"z": layers.Dense(2, name="z")(hidden), "b": layers.ReLU(name="b")(hidden)}
    yield "outputs by key", keras.Model(a, outputs), normal(40, 3)


def recurrent(keras: Any, layers: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield models with recurrent layers."""
    a = keras.Input((5, 3), name="a")
    y, h, c = layers.LSTM(4, return_state=True, name="lstm")(a)
    outputs = [layers.Dense(2, name="dense")(y), layers.Add(name="add")([h, c])]
    yield "states", keras.Model(a, outputs), normal(40, 5, 3)
    a = keras.Input((5, 3), name="a")
    _, _, c = layers.LSTM(4, return_state=True, return_sequences=True, name="lstm")(a)
    yield "unused", keras.Model(a, layers.Dense(2, name="dense")(c)), normal(40, 5, 3)
    a = keras.Input((5, 3), name="a")
    both = layers.Bidirectional(layers.LSTM(4), name="both")(a)
    yield "bidirectional", keras.Model(a, layers.Dense(2, name="dense")(both)), normal(40, 5, 3)
    a, b = keras.Input((5, 3), name="a"), keras.Input((4,), name="b")
    yield "initial state", keras.Model([a, b], layers.GRU(4, name="gru")(a, initial_state=b)), \
        [normal(40, 5, 3), normal(40, 4)]  # fmt: skip


def fused(keras: Any, layers: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield models in which asking for a layer's output may change what is executed."""
    yield "dense relu", keras.Sequential([
        keras.Input((3,)), layers.Dense(4, name="one"), layers.ReLU(name="relu"),
        layers.Dense(4, name="two"), layers.Dropout(0.5, name="drop"),
        layers.Activation("relu", name="act"), layers.Dense(2, name="last"),
    ]), normal(40, 3)  # fmt: skip
    yield "conv relu", keras.Sequential([
        keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="conv"), layers.ReLU(name="relu"),
        layers.Flatten(name="flat"), layers.Dense(2, name="last"),
    ]), normal(40, 8, 8, 3)  # fmt: skip
    yield "conv norm relu", keras.Sequential([
        keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="conv"),
        layers.BatchNormalization(name="norm"), layers.ReLU(name="relu"),
        layers.GlobalAveragePooling2D(name="pool"),
    ]), normal(40, 8, 8, 3)  # fmt: skip
    a = keras.Input((3,), name="a")
    first = layers.Add(name="first")([layers.Dense(3, name="p")(a), a])
    both = layers.Add(name="both")([first, layers.Dense(3, name="q")(a)])
    yield "sum of three", keras.Model(a, layers.Dense(2, name="last")(both)), normal(40, 3)


def predict(keras: Any) -> None:
    """Predict with every model, and call it."""
    from bridge import probe

    for label, model, x in models(keras):
        with probe(label):
            model.predict(x, verbose=0)
        # Called without a word, a layer that augments does so.
        told = {"training": False} if label == "augmented" else {}
        with probe(f"{label}, called"):
            model(x, **told)


def twin() -> None:
    """Run as a twin, in the generation of Keras of the process."""
    if SECOND:
        import tf_keras as keras
    else:
        import keras
    predict(keras)
