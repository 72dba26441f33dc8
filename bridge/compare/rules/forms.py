"""The activations as functions of float64, each in a form that is accurate there.

Every form has a relative error of a few units of 2^-52: sums of numbers of opposite sign are
avoided (``expm1``, ``log1p``, ``erfc``), and nothing overflows that the result does not. That is
far below a quarter of a unit in the last place of float32 (2^-26), which is what counts: a form
stands for the mathematical function when a float32 kernel is judged.

``turns`` are the arguments between which a form is monotone; the range over an interval follows
from its ends and the turns inside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge.compare.rules.erfc import F64, erfc

Function = Callable[[F64], F64]

SELU_SCALE: Final = 1.0507009873554804934193349852946
SELU_ALPHA: Final = 1.6732632423543772848170429916717
_SQRT_HALF: Final = math.sqrt(0.5)
_SQRT_2_OVER_PI: Final = math.sqrt(2.0 / math.pi)


@dataclass(frozen=True)
class Form:
    """A function of one float64 argument and the points at which it turns or bends."""

    name: str
    function: Function
    turns: tuple[float, ...] = ()

    def __call__(self, z: F64) -> F64:
        """Return the function's values at ``z``; NaN and overflow give NaN and Inf quietly."""
        with np.errstate(all="ignore"):
            return self.function(z)


def _linear(z: F64) -> F64:
    return z


def _relu(z: F64) -> F64:
    return np.maximum(z, 0.0)


def _relu6(z: F64) -> F64:
    return np.minimum(np.maximum(z, 0.0), 6.0)


def _sigmoid(z: F64) -> F64:
    small = np.exp(-np.abs(z))
    result: F64 = np.where(z >= 0.0, 1.0, small) / (1.0 + small)
    return result


def _tanh(z: F64) -> F64:
    return np.tanh(z)


def _elu(z: F64) -> F64:
    return np.where(z > 0.0, z, np.expm1(np.minimum(z, 0.0)))


def _selu(z: F64) -> F64:
    below = (SELU_SCALE * SELU_ALPHA) * np.expm1(np.minimum(z, 0.0))
    return np.where(z > 0.0, SELU_SCALE * z, below)


def _softplus(z: F64) -> F64:
    result: F64 = np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))
    return result


def _log_sigmoid(z: F64) -> F64:
    return -_softplus(-z)


def _softsign(z: F64) -> F64:
    result: F64 = z / (1.0 + np.abs(z))
    return result


def _times_sigmoid(z: F64, t: F64) -> F64:
    """Return z / (1 + exp(-t)), and zero where exp(-t) is beyond float64."""
    small = np.exp(-np.abs(t))
    result: F64 = z * (np.where(t >= 0.0, 1.0, small) / (1.0 + small))
    return result


def _silu(z: F64) -> F64:
    return _times_sigmoid(z, z)


def _gelu(z: F64) -> F64:
    result: F64 = 0.5 * z * erfc(-_SQRT_HALF * z)
    return result


def _gelu_tanh(z: F64) -> F64:
    # (1 + tanh(t)) / 2 is the logistic function of 2t.
    return _times_sigmoid(z, 2.0 * _SQRT_2_OVER_PI * (z + 0.044715 * z * z * z))


def _mish(z: F64) -> F64:
    # tanh(log(1 + w)) = w (w + 2) / (w (w + 2) + 2), with w = exp(z); in exp(-z) where w is large.
    small = np.exp(-np.abs(z))
    above = (1.0 + 2.0 * small) / (1.0 + 2.0 * small + 2.0 * small * small)
    below = small * (small + 2.0) / (small * (small + 2.0) + 2.0)
    result: F64 = z * np.where(z >= 0.0, above, below)
    return result


def _exponential(z: F64) -> F64:
    return np.exp(z)


def _hard_sigmoid_2(z: F64) -> F64:
    return np.clip(0.2 * z + 0.5, 0.0, 1.0)


def _hard_sigmoid_3(z: F64) -> F64:
    return np.clip(z + 3.0, 0.0, 6.0) / 6.0


def _hard_silu(z: F64) -> F64:
    return z * _hard_sigmoid_3(z)


FORMS: Final[dict[str, Form]] = {
    form.name: form
    for form in (
        Form("linear", _linear),
        Form("relu", _relu),
        Form("relu6", _relu6),
        Form("sigmoid", _sigmoid),
        Form("tanh", _tanh),
        Form("elu", _elu),
        Form("selu", _selu),
        Form("softplus", _softplus),
        Form("log_sigmoid", _log_sigmoid),
        Form("softsign", _softsign),
        Form("silu", _silu, turns=(-1.2784645427610738,)),
        Form("gelu", _gelu, turns=(-0.7517915246935645,)),
        Form("gelu_tanh", _gelu_tanh, turns=(-0.7524614220710162,)),
        Form("mish", _mish, turns=(-1.1924312145154796,)),
        Form("exponential", _exponential),
        Form("hard_sigmoid_2", _hard_sigmoid_2),
        Form("hard_sigmoid_3", _hard_sigmoid_3),
        Form("hard_silu", _hard_silu, turns=(-1.5,)),
    )
}
