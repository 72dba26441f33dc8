"""The input told once more to an inner layer, on Keras 3."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from bridge import Evidence, claim, probe

Float = npt.NDArray[np.float64]

X = np.array([[5, 1, 2], [3, 9, 8], [1, 2, 3], [9, 9, 9]], np.float64)


def kernel(rows: int, columns: int, first: int) -> Float:
    """Return eighths from -6/8 to 6/8, down the columns."""
    values = ((first + 5 * np.arange(1, rows * columns + 1)) % 13 - 6) / 8
    return values.reshape((rows, columns), order="F")


def bias(units: int, first: int) -> Float:
    """Return eighths from -3/8 to 3/8."""
    return ((first + 3 * np.arange(1, units + 1)) % 7 - 3) / 8


WEIGHTS = [kernel(3, 6, 1), bias(6, 1), kernel(6, 6, 2), bias(6, 2), kernel(6, 3, 3), bias(3, 3)]


def model(told: int | None) -> keras.Sequential:
    """Build the three layers; the second is told that its input has ``told`` features."""
    again: dict[str, Any] = {} if told is None else {"input_shape": (told,)}
    layers = [
        keras.Input((3,)),
        keras.layers.Dense(6, activation="relu"),
        keras.layers.Dense(6, activation="relu", **again),
        keras.layers.Dense(3, activation="softmax"),
    ]
    built = keras.Sequential(layers)
    built.set_weights(WEIGHTS)
    return built


def twin() -> None:
    """Predict with each in turn."""
    for told in (None, 3, 4):
        with probe(f"told {told or 'nothing'}"):
            model(told).predict(X, verbose=0)


@claim(
    "Telling the second layer input_dim=3 once more makes the model invalid: it raises an error."
)
def input_dim_twice() -> Evidence:
    made, counts, warned = [], [], []
    for told in (None, 3, 4):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            built = model(told)
        warned.append(sum("input_shape" in str(each.message) for each in caught))
        counts.append(built.count_params())
        made.append(built.predict(X, verbose=0).tobytes())
    ignored = len(set(made)) == 1 and len(set(counts)) == 1
    return Evidence(
        False if ignored else "holds in part",
        f"it builds with {counts[1]} parameters, told nothing, 3 or the wrong number 4, and "
        f"predicts {'the same bits' if ignored else 'other numbers'}; Keras 3 answers with "
        f"{warned[0]}, {warned[1]} and {warned[2]} warnings",
        number=counts[1],
    )
