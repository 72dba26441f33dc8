"""What Keras' activations are: their ranges, the ops that execute them, whether they round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Final


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
