"""What TensorFlow's convolutions return lies within the bounds, however they are asked."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from bridge.facts.keras import Generation
from bridge.rounding.rules import Layer
from tests.compare_samples import F32, judge_layer
from tests.tensorflow_ways import GENERATIONS, described, hold

pytestmark = pytest.mark.tf

GOOD: Final = ("same-bits", "within-rounding")

OPTIONS: Final[dict[str, list[dict[str, Any]]]] = {
    "Conv1D": [
        {"strides": 2, "padding": "causal", "activation": "tanh"},
        {"dilation_rate": 3, "padding": "same", "groups": 2},
    ],
    "Conv2D": [
        {"strides": (2, 3), "padding": "same", "activation": "gelu"},
        {"padding": "same", "filters": 48, "activation": "relu"},
        {"dilation_rate": (1, 2), "activation": "softmax"},
    ],
    "Conv3D": [{"strides": (1, 2, 1), "padding": "same"}, {"use_bias": False}],
    "DepthwiseConv1D": [{"strides": 2, "padding": "same", "depth_multiplier": 2}],
    "DepthwiseConv2D": [
        {"strides": 2, "padding": "same", "activation": "relu"},
        {"data_format": "channels_first", "depth_multiplier": 3, "activation": "softmax"},
    ],
    "SeparableConv1D": [{"strides": 2, "padding": "same", "activation": "relu"}],
    "SeparableConv2D": [{"dilation_rate": 2, "padding": "same", "depth_multiplier": 2}],
    "Conv1DTranspose": [{"strides": 3, "padding": "same", "activation": "sigmoid"}],
    "Conv2DTranspose": [
        {"strides": 2, "padding": "same", "output_padding": 1},
        {"strides": (3, 2), "padding": "valid", "activation": "relu"},
    ],
    "Conv3DTranspose": [{"strides": 2, "padding": "valid"}],
}


def _inputs(rng: np.random.Generator, shape: tuple[int, ...]) -> Iterator[F32]:
    yield rng.standard_normal(shape).astype(np.float32)
    wide = rng.standard_normal(shape) * 10.0 ** rng.uniform(-42, 5, shape)
    yield wide.astype(np.float32)


def built(keras: Any, cls: str, options: dict[str, Any], channels: int = 6) -> tuple[Any, Any]:
    """Return a layer with random weights, and the shape of its inputs."""
    rank = next(int(letter) for letter in cls if letter.isdigit())
    options = {"kernel_size": 3} | options
    if not cls.startswith("Depthwise"):
        options = {"filters": 4} | options
    layer = getattr(keras.layers, cls)(**options)
    lengths = (9, 8, 7)[:rank]
    shape = (3, *lengths, channels)
    if options.get("data_format") == "channels_first":
        shape = (3, channels, *lengths)
    layer.build((None, *shape[1:]))
    rng = np.random.default_rng(5)
    layer.set_weights(
        [
            (rng.standard_normal(weight.shape) * 10.0 ** rng.uniform(-2, 1, weight.shape)).astype(
                np.float32
            )
            for weight in layer.get_weights()
        ]
    )
    return layer, shape


@pytest.mark.parametrize(("generation", "package"), GENERATIONS)
@pytest.mark.parametrize("cls", sorted(OPTIONS))
def test_tensorflow_stays_within_the_bound(cls: str, generation: Generation, package: str) -> None:
    keras = pytest.importorskip(package)
    rng = np.random.default_rng(0)
    for options in OPTIONS[cls]:
        layer, shape = built(keras, cls, options)
        hold(layer, generation, list(_inputs(rng, shape)))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("cls", ["Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose"])
def test_tensorflow_stays_within_the_bound_in_half_precision(cls: str, dtype: str) -> None:
    keras = pytest.importorskip("keras")
    rng = np.random.default_rng(1)
    layer, shape = built(keras, cls, {"padding": "same", "dtype": "mixed_" + dtype})
    hold(layer, 3, [rng.standard_normal(shape).astype(np.float32)])


def test_what_another_way_computes_is_told_apart() -> None:
    keras = pytest.importorskip("tf_keras")
    layer, shape = built(keras, "Conv2D", {"padding": "same", "strides": 2, "activation": "relu"})
    x = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    recorded = described(layer, 2)
    assert judge_layer(recorded, [x], [np.asarray(layer(x))]).verdict in GOOD
    layer.activation = keras.activations.linear
    assert judge_layer(recorded, [x], [np.asarray(layer(x))]).verdict == "different"


_CHILD: Final = """
import sys
import numpy as np, tensorflow as tf
rng = np.random.default_rng(0)
x = rng.standard_normal((1, 28, 28, 64)) * 10.0 ** rng.uniform(-3, 3, (1, 28, 28, 1))
kernel = rng.standard_normal((3, 3, 64, 64)) * 10.0 ** rng.uniform(-3, 3, (3, 3, 1, 1))
x, kernel = x.astype("f4"), kernel.astype("f4")
np.savez(sys.argv[1], x=x, kernel=kernel, y=tf.nn.conv2d(x, kernel, 1, "SAME"))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        ({"TF_ENABLE_ONEDNN_OPTS": "0"}, GOOD),
        ({"TF_ENABLE_ONEDNN_OPTS": "0", "TF_USE_DEEP_CONV2D": "1"}, ("different",)),
    ],
)
def test_a_cpu_uses_winograd_only_if_told_to(
    switches: dict[str, str], expected: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "made.npz"
    subprocess.run(
        [sys.executable, "-c", _CHILD, str(file)],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | switches,
        check=True,
        capture_output=True,
        timeout=120,
    )
    with np.load(file) as made:
        x, kernel, y = made["x"], made["kernel"], made["y"]
    layer = Layer("conv", "keras.layers.Conv2D", {"padding": "same"}, {"kernel": kernel}, 2)
    assert judge_layer(layer, [x], [y]).verdict in expected
