"""The founding question on Keras 3, in the form that works there."""

from __future__ import annotations

import keras
import numpy as np

from bridge import probe

ACTIVATIONS = ("relu", "gelu", "sigmoid")


def models(activation: str) -> dict[str, keras.Sequential]:
    """Build the three models with kernels of 1 and biases of 0."""
    layers = keras.layers

    def dense(function: str | None = None) -> keras.layers.Dense:
        return layers.Dense(1, activation=function, kernel_initializer="ones")

    start = [layers.InputLayer(shape=(1, 1)), layers.Flatten()]
    return {
        "A": keras.Sequential([*start, dense(activation), dense()]),
        "B": keras.Sequential([*start, dense(activation)]),
        "C": keras.Sequential([*start, layers.Activation(activation), dense()]),
    }


def twin() -> None:
    """Predict with every model on the grid."""
    grid = (-5 + 10 * np.arange(1, 1001) / 1000).reshape(1000, 1, 1)
    for activation in ACTIVATIONS:
        for name, model in models(activation).items():
            with probe(f"{name}/{activation}"):
                model.predict(grid, verbose=0)
