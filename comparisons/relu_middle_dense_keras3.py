"""The two errors of the founding script on Keras 3, in Python."""

from __future__ import annotations

from contextlib import suppress

import keras
import numpy as np
import tensorflow as tf

from bridge import probe


def twin() -> None:
    """Meet both errors."""
    grid = tf.constant(-5 + 10 * np.arange(1, 1001) / 1000, dtype=tf.float32)
    one = [np.ones((1, 1)), np.zeros(1)]
    with suppress(ValueError), probe("weights="):
        keras.layers.Dense(units=1, activation="relu", weights=one)
    model = keras.Sequential(
        [
            keras.layers.InputLayer(shape=(1, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="relu", kernel_initializer="ones"),
            keras.layers.Dense(1, kernel_initializer="ones"),
        ]
    )
    with suppress(ValueError), probe("input of shape (1000)"):
        model.predict(grid, verbose=0)
