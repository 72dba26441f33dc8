"""Small models of several kinds, predicted with and called; a twin for the tests of running again.

The same text runs in both generations of Keras.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

SECOND = os.environ.get("TF_USE_LEGACY_KERAS") == "1"


def models(keras: Any) -> dict[str, tuple[Any, Any]]:
    """Return models and what they are to predict, by label."""
    layers = keras.layers
    normal = np.random.default_rng(0).standard_normal
    a = keras.Input((3,), name="a")
    hidden = layers.Dense(4, name="hidden")(a)
    twice = [layers.Activation("tanh", name=name)(hidden) for name in ("one", "other")]
    return {
        "chain": (
            keras.Sequential([
                keras.Input((3,)), layers.Dense(8, activation="relu", name="first"),
                layers.Dense(8, activation="gelu", name="middle"), layers.Dense(2, name="last"),
            ]),
            normal((40, 3)),
        ),
        "image": (
            keras.Sequential([
                keras.Input((6, 6, 2)), layers.Conv2D(3, 3, activation="relu", name="conv"),
                layers.BatchNormalization(name="norm"), layers.Flatten(name="flat"),
                layers.Dense(3, activation="softmax", name="classes"),
            ]),
            normal((5, 6, 6, 2)),
        ),
        "twice": (keras.Model(a, layers.Concatenate(name="both")(twice)), normal((5, 3))),
        "steps": (
            keras.Sequential([
                keras.Input((4, 3)), layers.LSTM(3, name="lstm"), layers.Dense(2, name="last"),
            ]),
            normal((5, 4, 3)),
        ),
    }  # fmt: skip


def twin() -> None:
    """Predict with every model, and call the first."""
    from bridge import probe

    if SECOND:
        import tf_keras as keras
    else:
        import keras
    found = models(keras)
    for label, (model, x) in found.items():
        with probe(label):
            model.predict(x, verbose=0)
    model, x = found["chain"]
    with probe("called"):
        model(x.astype(np.float32))
