"""The founding question in Python: is a relu in a middle dense layer applied?

Written from the question, not from the R script's trace, so that it can disagree with it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from bridge import Evidence, claim, probe

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


def on_the_grid() -> tf.Tensor:
    """The 1,000 points of the question, as float32."""
    return tf.constant(-5 + 10 * np.arange(1, 1001) / 1000, dtype=tf.float32)


def twin() -> None:
    """Predict with every model on the grid."""
    grid = on_the_grid()
    for activation in ACTIVATIONS:
        for name, model in models(activation).items():
            with probe(f"{name}/{activation}"):
                model.predict(grid, verbose=0)


# What was claimed, and what the three models say of it.


def curves(activation: str) -> dict[str, npt.NDArray[np.float32]]:
    """Return what each model predicts on the grid."""
    grid = on_the_grid()
    return {
        name: model.predict(grid, verbose=0).ravel() for name, model in models(activation).items()
    }


def relu_of_the_grid() -> npt.NDArray[np.float32]:
    """Return the relu of the grid: with kernels of 1 and biases of 0 nothing else is computed."""
    grid: npt.NDArray[np.float32] = on_the_grid().numpy()
    return np.maximum(grid, np.float32(0))


@claim("The relu of a middle dense layer is lost: its model draws a straight line.",
       said_by="question")  # fmt: skip
def middle_is_lost() -> Evidence:
    """Compare model A with the relu of its input, and with a line."""
    drawn, relu = curves("relu")["A"], relu_of_the_grid()
    off, line = (float(np.abs(drawn - each).max()) for each in (relu, on_the_grid().numpy()))
    return Evidence(
        off != 0,
        f"model A is the relu of its input on all {len(drawn):,} points (up to {off:g} away); "
        f"from a straight line it is up to {line:g} away",
        number=off,
    )


@claim("gelu and sigmoid are not affected.", said_by="question")
def others_are_right() -> Evidence:
    """Compare the three models with one another and with a line, for both activations."""
    gaps, lines = [], []
    for activation in ("gelu", "sigmoid"):
        found = list(curves(activation).values())
        gaps.append(max(float(np.abs(each - found[0]).max()) for each in found[1:]))
        lines.append(float(np.abs(found[0] - on_the_grid().numpy()).max()))
    return Evidence(
        all(gap < line for gap, line in zip(gaps, lines, strict=True)),
        f"the three models are at most {gaps[0]:.2g} (gelu) and {gaps[1]:.2g} (sigmoid) apart, and "
        f"model A is up to {lines[0]:.2g} and {lines[1]:.2g} from a straight line",
        number=max(gaps),
    )


@claim("A relu works differently by its place in the network.", said_by="question")
def place_matters() -> Evidence:
    """Compare the middle relu, the last one, and the one that is a layer of its own."""
    found = curves("relu")
    same = all(np.array_equal(each, found["A"]) for each in found.values())
    return Evidence(
        not same,
        f"in the middle, at the end and as a layer of its own it gives "
        f"{'the same bits' if same else 'other numbers'} on all {len(found['A']):,} points",
    )


@claim("With weights of 1 a relu may look linear over the range of the inputs.")
def may_look_linear() -> Evidence:
    """Count the inputs that are negative: there a relu is level, and a line is not."""
    grid = on_the_grid().numpy()
    negative = int(np.sum(grid < 0))
    return Evidence(
        negative == 0,
        f"{negative} of {len(grid):,} inputs are negative, and there the relu is 0: it would look "
        "linear only if none were",
        number=negative / len(grid),
    )


@claim("Negative sums become 0, and positive ones stay as they are.")
def clipped() -> Evidence:
    """Look at both halves of model A's curve."""
    grid, drawn = on_the_grid().numpy(), curves("relu")["A"]
    zeros = int(np.sum(drawn[grid < 0] == 0))
    kept = int(np.sum(drawn[grid > 0] == grid[grid > 0]))
    halves = int(np.sum(grid < 0)), int(np.sum(grid > 0))
    return Evidence(
        (zeros, kept) == halves,
        f"{zeros} of {halves[0]} negative sums give 0, "
        f"{kept} of {halves[1]} positive ones themselves",
    )
