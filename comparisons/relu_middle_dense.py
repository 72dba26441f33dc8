"""The founding question in Python: is a relu in a middle dense layer applied?

Written from the question, not from the R script's trace, so that it can disagree with it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from bridge import probe

ACTIVATIONS = ("relu", "gelu", "sigmoid", "tanh", "elu", "selu", "softplus", "leaky_relu")


def one() -> list[npt.NDArray[np.float32]]:
    """A 1x1 kernel of 1 and a bias of 0."""
    return [np.ones((1, 1), np.float32), np.zeros(1, np.float32)]


def models(activation: str) -> dict[str, keras.Sequential]:
    """Build the three models: relu in the middle, at the end, and as a layer of its own."""
    layers = keras.layers
    return {
        "A": keras.Sequential(
            [
                layers.InputLayer(input_shape=(1, 1)),
                layers.Flatten(),
                layers.Dense(1, activation=activation, weights=one()),
                layers.Dense(1, weights=one()),
            ]
        ),
        "B": keras.Sequential(
            [
                layers.InputLayer(input_shape=(1, 1)),
                layers.Flatten(),
                layers.Dense(1, activation=activation, weights=one()),
            ]
        ),
        "C": keras.Sequential(
            [
                layers.InputLayer(input_shape=(1, 1)),
                layers.Flatten(),
                layers.Activation(activation),
                layers.Dense(1, weights=one()),
            ]
        ),
    }


def twin() -> None:
    """Predict with every model on the grid."""
    grid = tf.constant(-5 + 10 * np.arange(1, 1001) / 1000, dtype=tf.float32)
    for activation in ACTIVATIONS:
        for name, model in models(activation).items():
            with probe(f"{name}/{activation}"):
                model.predict(grid, verbose=0)
