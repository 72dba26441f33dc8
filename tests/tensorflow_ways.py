"""The ways in which TensorFlow runs a layer, and the check that the ladder accepts all of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np

from bridge.facts.keras import Generation
from bridge.process.environment import kernel_switches
from bridge.rounding.measurements import Kernels
from bridge.rounding.rules import Layer
from bridge.rounding.rules.activation_models import kernels_of
from bridge.runs.activation_measurement import (
    Wanted,
    installation_here,
    kernels_here,
    measure_here,
)
from bridge.trace.model_description import named_weights, plain
from tests.compare_samples import judge_layer

#: Of every generation of Keras: its package.
GENERATIONS: Final[tuple[tuple[Generation, str], ...]] = ((2, "tf_keras"), (3, "keras"))


#: A product, an activation and a bias in a type, in every way that tests run layers.
_TRIAL: Final = """
import sys
import tensorflow as tf

def layer(x):
    return tf.tanh(tf.nn.bias_add(tf.matmul(x, x), x[0])) * tf.nn.softmax(x)

x = tf.ones([8, 8], sys.argv[1])
for way in (layer, tf.function(layer), tf.function(layer, jit_compile=True)):
    way(x)
"""


@lru_cache(maxsize=8)
def runs_here(dtype: str) -> bool:
    """Say whether this installation computes in a type at all.

    TensorFlow asks the processor what it can do, and not the switches that hold libraries down to
    less. So under one a product in bfloat16 can end the process in oneDNN, and XLA may lack the
    conversions of float16.
    """
    if not kernel_switches():
        return True
    trial = subprocess.run([sys.executable, "-c", _TRIAL, dtype], capture_output=True, check=False)
    return trial.returncode == 0


def ways(layer: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    import tensorflow as tf

    yield "eager", layer
    yield "graph", tf.function(layer)
    yield "xla", tf.function(layer, jit_compile=True)


def described(layer: Any, generation: Generation) -> Layer:
    """Describe a layer as a capsule records it."""
    weights = {name: np.asarray(weight) for name, weight in named_weights(layer)}
    cls = f"keras.layers.{type(layer).__name__}"
    config = plain(layer.get_config())
    found = installed(frozenset(kernels_of([cls, config])))
    return Layer(layer.name, cls, config, weights, generation, kernels=found)


@lru_cache(maxsize=256)
def installed(wanted: frozenset[Wanted]) -> Kernels:
    """Return the kernels of this installation for activations in types, read once."""
    return kernels_here(sorted(wanted), measure_here, _here())


_here = lru_cache(maxsize=1)(installation_here)


def hold(layer: Any, generation: Generation, inputs: Sequence[Any]) -> None:
    """Check that what a layer returns is within its bound, however it is asked.

    Each input is an array, or a list of arrays for a layer that takes several. The layer is
    described after its first call, which builds it; none of them changes it.
    """
    recorded = None
    for name, way in ways(layer):
        for x in inputs:
            made = way(x)
            outputs = [np.asarray(y) for y in (made if isinstance(made, (list, tuple)) else [made])]
            given = x if isinstance(x, list) else [x]
            recorded = recorded or described(layer, generation)
            verdict = judge_layer(recorded, given, outputs)
            assert verdict.verdict in ("same-bits", "within-rounding"), (name, verdict)
