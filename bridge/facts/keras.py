"""What the two generations of Keras are: packages, methods, activations, what draws at random."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Final, Literal

#: 2: tf_keras; 3: Keras 3; 0: not known.
Generation = Literal[0, 2, 3]

#: The package of each generation.
PACKAGES: Final[Mapping[int, str]] = {2: "tf_keras", 3: "keras"}
#: The generation that a script does not mean.
OTHER: Final[Mapping[int, int]] = {2: 3, 3: 2}
#: The packages that TensorFlow's and Keras' classes and functions come from.
LIBRARIES: Final = frozenset({"keras", "tf_keras", "tensorflow", "keras_core"})

_VERSION: Final = re.compile(r"(?<![\d.])([23])\.\d")


def generation_of(keras: str, config: Mapping[str, object] | None = None) -> Generation:
    """Return the generation that something of Keras is of.

    Args:
        keras: a package, a module or a version: "tf_keras.src.layers", "keras 3.15.1".
        config: a configuration of its own, which tells where ``keras`` does not: Keras 3 writes
            types as an object.
    """
    root = re.split(r"[.\s:]", keras, maxsplit=1)[0]
    if root == PACKAGES[2]:
        return 2
    version = _VERSION.search(keras)
    if version:
        return 2 if version.group(1) == "2" else 3
    if root == PACKAGES[3]:
        return 3
    dtype = (config or {}).get("dtype")
    if isinstance(dtype, str):
        return 2
    return 3 if isinstance(dtype, dict) and dtype.get("class_name") == "DTypePolicy" else 0


#: Methods of models that compute, and the kind of probe that each is recorded as.
METHODS: Final = {
    "predict": "predict",
    "predict_on_batch": "predict",
    "evaluate": "evaluate",
    "test_on_batch": "evaluate",
    "fit": "fit",
    "train_on_batch": "train",
}

#: Functions of Python's own that a recorded call may be replayed with.
BUILTINS: Final = frozenset({
    "int", "float", "bool", "str", "list", "tuple", "dict", "set", "slice", "len", "range",
    "isinstance", "callable", "repr", "type", "super", "iter", "next", "enumerate", "zip",
    "property", "staticmethod", "classmethod",
})  # fmt: skip

#: Initializers that draw, by their class or their name, wherever they stand in a configuration.
RANDOM_INITIALIZER: Final = re.compile(
    r"Random(Normal|Uniform)|Truncated|VarianceScaling|Glorot|HeNormal|HeUniform|Lecun|Orthogonal"
)
#: What Keras 2 calls an argument of Keras 3, by the class that takes it (the guide "Migrating Keras
#: 2 code to Keras 3", and the signatures of both).
NAMES_IN_KERAS_2: Final[Mapping[str, Mapping[str, str]]] = {
    "InputLayer": {"shape": "input_shape", "batch_shape": "batch_input_shape"},
    "LeakyReLU": {"negative_slope": "alpha"},
}
#: The learning rates of optimizers that are named and no more, the same in both generations.
RATES: Final[Mapping[str, float]] = {
    "adam": 0.001, "rmsprop": 0.001, "sgd": 0.01, "adagrad": 0.001, "adadelta": 0.001,
    "adamax": 0.001, "nadam": 0.001, "adamw": 0.001,
}  # fmt: skip


@dataclass(frozen=True)
class ActivationFacts:
    """What an activation is, by the name that a configuration has.

    Args:
        range: the ends of what it can give; None where it is not bounded.
        op: the op that TensorFlow executes it as, "" if it is several.
        fused: whether TensorFlow has kernels that do a product and this at once.
        piecewise: whether it is linear between a few corners.
    """

    range: tuple[float, float] | None = None
    op: str = ""
    fused: bool = False
    piecewise: bool = False


ACTIVATIONS: Final[Mapping[str, ActivationFacts]] = {
    "linear": ActivationFacts(piecewise=True),
    "relu": ActivationFacts((0.0, inf), "Relu", fused=True, piecewise=True),
    "relu6": ActivationFacts((0.0, 6.0), "Relu6", fused=True, piecewise=True),
    "hard_tanh": ActivationFacts((-1.0, 1.0), piecewise=True),
    "hard_shrink": ActivationFacts(piecewise=True),
    "soft_shrink": ActivationFacts(piecewise=True),
    "threshold": ActivationFacts(piecewise=True),
    "hard_sigmoid": ActivationFacts((0.0, 1.0)),
    "sigmoid": ActivationFacts((0.0, 1.0), "Sigmoid", fused=True),
    "tanh": ActivationFacts((-1.0, 1.0), "Tanh", fused=True),
    "elu": ActivationFacts((-1.0, inf), "Elu", fused=True),
    "selu": ActivationFacts(op="Selu"),
    "softplus": ActivationFacts((0.0, inf), "Softplus"),
    "softsign": ActivationFacts((-1.0, 1.0), "Softsign"),
    "softmax": ActivationFacts((0.0, 1.0), "Softmax"),
    "exponential": ActivationFacts((0.0, inf)),
}
#: The names under which configurations have activations of other names.
ALIASES: Final[Mapping[str, str]] = {"swish": "silu", "hard_swish": "hard_silu"}


def op_of(name: object) -> str:
    """Return the op that TensorFlow executes an activation as, "" if it is none or several."""
    facts = ACTIVATIONS.get(name) if isinstance(name, str) else None
    return facts.op if facts is not None else ""
