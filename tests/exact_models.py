"""Random models as Python text, for the tests of exact probes; both generations of Keras run it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np

HEADS: Final = {
    2: """
import numpy as np
import tf_keras as keras
L = keras.layers
LEAKY = dict(alpha=0.25)
""",
    3: """
import numpy as np
import keras
L = keras.layers
LEAKY = dict(negative_slope=0.25)
""",
}

_EXACT: Final = ("relu", "relu", "relu", "linear", "relu6")
_ROUNDING: Final = ("gelu", "sigmoid", "tanh", "elu", "softmax")

Draw = np.random.Generator


def script(generation: int, seed: int, kinds: Iterable[Maker]) -> str:
    """Write a script that makes a model of each kind and predicts with each once."""
    rng = np.random.default_rng([generation, seed])
    models = [kind(rng) for kind in kinds]
    return "\n".join([HEADS[generation], *models])


def _activation(rng: Draw, rounding: float = 0.2) -> str:
    if rng.random() < rounding:
        return str(rng.choice(_ROUNDING))
    return str(rng.choice(_EXACT))


def _model(shape: tuple[int, ...], layers: list[str], low: int = -3) -> str:
    body = "\n".join(f"x = {layer}(x)" for layer in layers)
    return f"""
i = keras.Input({shape})
x = i
{body}
keras.Model(i, x).predict(np.full((2, *{shape}), {low} + 4.0, 'float32'), verbose=0)
"""


def dense(rng: Draw) -> str:
    """Dense layers, wide and narrow, deep and shallow."""
    layers = []
    for _ in range(rng.integers(1, 9)):
        units = int(rng.choice([1, 2, 3, 5, 8, 17, 64, 200]))
        bias = bool(rng.random() < 0.8)
        layers.append(f"L.Dense({units}, activation={_activation(rng)!r}, use_bias={bias})")
        layers += _sometimes(rng, 0.3, ("L.Dropout(0.5)", "L.ReLU()", "L.LeakyReLU(**LEAKY)",
                                       "L.BatchNormalization()"))  # fmt: skip
    return _model((int(rng.integers(1, 30)),), layers)


def image(rng: Draw) -> str:
    """Convolutions over images, with pooling between them."""
    size, layers = int(rng.integers(8, 20)), []
    for _ in range(rng.integers(1, 5)):
        layers.append(_convolution(rng, 2, size))
        layers += _sometimes(rng, 0.6, (
            "L.MaxPooling2D(2, padding='same')", "L.AveragePooling2D(2)",
            "L.BatchNormalization()", "L.ZeroPadding2D(((1, 0), (2, 1)))",
            "L.UpSampling2D(2)", "L.Activation('relu')", "L.Cropping2D(1)",
            "L.SpatialDropout2D(0.3)",
        ))  # fmt: skip
    layers.append(str(rng.choice(["L.Flatten()", "L.GlobalMaxPooling2D()",
                                  "L.GlobalAveragePooling2D()"])))  # fmt: skip
    layers.append(f"L.Dense(4, activation={_activation(rng, 0.5)!r})")
    return _model((size, size + 1, int(rng.integers(1, 5))), layers)


def _convolution(rng: Draw, rank: int, size: int) -> str:
    filters, kernel = int(rng.choice([1, 3, 8, 16])), int(rng.integers(1, 4))
    common = f"activation={_activation(rng, 0.1)!r}, padding='same', use_bias={rng.random() < 0.8}"
    stride = int(rng.integers(1, 3))
    kinds = [f"L.Conv{rank}D({filters}, {kernel}, strides={stride}, {common})",
             f"L.Conv{rank}D({filters}, {kernel}, dilation_rate=2, {common})"]  # fmt: skip
    kinds.append(f"L.Conv{rank}DTranspose({filters}, {kernel}, strides={stride}, {common})")
    if rank < 3:
        kinds.append(f"L.SeparableConv{rank}D({filters}, {kernel}, depth_multiplier=2, {common})")
        kinds.append(f"L.DepthwiseConv{rank}D({kernel}, depth_multiplier={stride}, {common})")
    del size
    return str(rng.choice(kinds))


def sequence(rng: Draw) -> str:
    """Convolutions over sequences, and a dense layer on each step."""
    layers = [_convolution(rng, 1, 12) for _ in range(rng.integers(1, 4))]
    layers += _sometimes(rng, 0.5, ("L.MaxPooling1D(2)", "L.AveragePooling1D(4)",
                                    "L.ZeroPadding1D(2)", "L.UpSampling1D(3)"))  # fmt: skip
    layers.append(f"L.Dense(6, activation={_activation(rng)!r})")
    layers += _sometimes(rng, 0.5, ("L.LSTM(4)", "L.Permute((2, 1))", "L.GlobalMaxPooling1D()"))
    layers += ["L.Flatten()", "L.RepeatVector(3)", f"L.Dense(2, activation={_activation(rng)!r})"]
    return _model((24, int(rng.integers(1, 5))), layers)


def volume(rng: Draw) -> str:
    """Convolutions over small volumes."""
    layers = [_convolution(rng, 3, 6) for _ in range(rng.integers(1, 3))]
    layers += _sometimes(rng, 0.7, ("L.MaxPooling3D(2)", "L.AveragePooling3D(2)"))
    layers += ["L.GlobalMaxPooling3D()", "L.Dense(3)"]
    return _model((6, 5, 6, int(rng.integers(1, 3))), layers)


def branches(rng: Draw) -> str:
    """Layers that merge what others made, and connections that go around some."""
    width = int(rng.choice([3, 8, 20]))
    lines = [f"i = keras.Input(({width},))", f"j = keras.Input(({width},))", "x, y = i, j"]
    for _ in range(rng.integers(1, 6)):
        lines.append(f"y = L.Dense({width}, activation={_activation(rng, 0.1)!r})(x)")
        kind = str(rng.choice(["Add", "Subtract", "Multiply", "Maximum", "Minimum", "Average"]))
        lines.append(f"x = L.{kind}()([{rng.choice(['x, y', 'y, x', 'y, j', 'y, y'])}])")
    lines.append("z = L.Concatenate()([x, y, i])")
    lines.append("z = L.Dense(3, activation='relu')(z)")
    lines.append("d = L.Dot(1)([x, y])")
    lines.append("m = keras.Model([i, j], [z, d, x])")
    lines.append(f"m.predict([np.ones((2, {width}), 'float32')] * 2, verbose=0)")
    return "\n".join(lines)


def words(rng: Draw) -> str:
    """Embeddings with convolutions or dense layers after them."""
    count, length = int(rng.integers(3, 40)), 8
    layers = [f"L.Embedding({count}, {int(rng.integers(1, 9))})"]
    layers += [str(rng.choice(["L.Conv1D(6, 3, activation='relu')", "L.Dense(5)",
                               "L.AveragePooling1D(2)"]))]  # fmt: skip
    layers += [str(rng.choice(["L.Flatten()", "L.GlobalAveragePooling1D()", "L.GRU(3)"]))]
    layers.append(f"L.Dense(4, activation={_activation(rng)!r})")
    return _model((length,), layers, -4)


def _sometimes(rng: Draw, chance: float, choices: tuple[str, ...]) -> list[str]:
    return [str(rng.choice(choices))] if rng.random() < chance else []


Maker = Callable[[Draw], str]
KINDS: Final[tuple[Maker, ...]] = (dense, image, sequence, volume, branches, words)
