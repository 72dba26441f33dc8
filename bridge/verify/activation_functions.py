"""Activations as functions of balls.

Each is written in a form that stays right for a ball that contains a bend, and is evaluated with as
many digits as are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from flint import arb

from bridge.rounding.rules.activation_forms import Form

#: A function of one number.
Real = Callable[[arb], arb]


def real_of(form: Form) -> Real | None:
    """Return the function that a float64 form stands for; None if it has no exact evaluation."""
    if form.constants:
        family = _FAMILIES.get(form.name)
        return None if family is None else family(*form.constants)
    return PLAIN.get(form.name)


def above(z: arb) -> arb:
    """Return max(z, 0)."""
    return z.max(arb(0))


def below(z: arb) -> arb:
    """Return min(z, 0)."""
    return z.min(arb(0))


def clip(z: arb, least: float, most: float) -> arb:
    """Return the number from ``least`` to ``most`` that is nearest to z."""
    return z.max(arb(least)).min(arb(most))


def sigmoid(z: arb) -> arb:
    """Return 1 / (1 + exp(-z)), without exponentials that are too large for a ball."""
    small = (-abs(z)).exp()
    if z >= 0:
        return 1 / (1 + small)
    return small / (1 + small) if z < 0 else 1 / (1 + (-z).exp())


def softplus(z: arb) -> arb:
    """Return log(1 + exp(z))."""
    return above(z) + (-abs(z)).exp().log1p()


def _selu(z: arb) -> arb:
    scale, alpha = (
        arb("1.0507009873554804934193349852946"),
        arb("1.6732632423543772848170429916717"),
    )
    return scale * (above(z) + alpha * below(z).expm1())


def _gelu(z: arb) -> arb:
    return z / 2 * (-z / arb(2).sqrt()).erfc()


def _gelu_tanh(z: arb) -> arb:
    # (1 + tanh(t)) / 2 is the logistic function of 2t.
    return z * sigmoid(2 * (2 / arb.pi()).sqrt() * (z + arb("0.044715") * z * z * z))


def _sparse_plus(z: arb) -> arb:
    # (z + 1)^2 / 4 from -1 to 1, z from there on.
    inner = clip(z, -1.0, 1.0) + 1
    return inner * inner / 4 + above(z - 1)


def hard_sigmoid(z: arb, generation: int) -> arb:
    """Return what Keras 2 or Keras 3 calls so."""
    if generation == 2:
        return clip(arb(0.2) * z + arb(0.5), 0.0, 1.0)
    return clip(z + 3, 0.0, 6.0) / 6


def _either(z: arb, edge: float, over: Real, under: Real) -> arb:
    """Return over(z) beyond an edge and under(z) up to it; both where z may be either."""
    if z > edge:
        return over(z)
    return under(z) if z <= edge else over(z).union(under(z))


def leaky(slope: float) -> Real:
    """Return max(z, 0) + slope min(z, 0)."""
    return lambda z: above(z) + slope * below(z)


def elu(alpha: float) -> Real:
    """Return max(z, 0) + alpha (exp(min(z, 0)) - 1)."""
    return lambda z: above(z) + alpha * below(z).expm1()


def celu(alpha: float) -> Real:
    """Return max(z, 0) + alpha (exp(min(z, 0) / alpha) - 1)."""
    return lambda z: above(z) + alpha * (below(z) / alpha).expm1()


def rectifier(slope: float, edge: float, most: float | None) -> Real:
    """Return slope (z - edge) up to an edge, beyond it z, or what is nearest in [0, most]."""

    def over(z: arb) -> arb:
        return z if most is None else clip(z, 0.0, most)

    return lambda z: _either(z, edge, over, lambda inner: slope * (inner - edge))


def squareplus(b: float) -> Real:
    """Return (z + sqrt(z^2 + b)) / 2."""

    def real(z: arb) -> arb:
        root = (z * z + b).sqrt()
        return b / (root - z) / 2 if z < 0 else (z + root) / 2

    return real


def threshold(edge: float, default: float) -> Real:
    """Return z beyond an edge and a constant up to it."""
    return lambda z: _either(z, edge, lambda inner: inner, lambda _inner: arb(default))


def hard_shrink(edge: float) -> Real:
    """Return z where its magnitude is beyond an edge, and 0 elsewhere."""

    def real(z: arb) -> arb:
        if abs(z) > edge:
            return z
        return arb(0) if abs(z) <= edge else z.union(arb(0))

    return real


def soft_shrink(edge: float) -> Real:
    """Return z moved towards zero by ``edge``, at most to zero."""
    return lambda z: above(z - edge) + below(z + edge)


#: By the name of the form, where a configuration has no constants.
PLAIN: Final[Mapping[str, Real]] = {
    "linear": lambda z: z,
    "relu": above,
    "relu6": lambda z: clip(z, 0.0, 6.0),
    "hard_tanh": lambda z: clip(z, -1.0, 1.0),
    "sigmoid": sigmoid,
    "tanh": lambda z: z.tanh(),
    "tanh_shrink": lambda z: z - z.tanh(),
    "selu": _selu,
    "softplus": softplus,
    "log_sigmoid": lambda z: -softplus(-z),
    "softsign": lambda z: z / (1 + abs(z)),
    "silu": lambda z: z * sigmoid(z),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "mish": lambda z: z * softplus(z).tanh(),
    "exponential": lambda z: z.exp(),
    "hard_sigmoid_2": lambda z: hard_sigmoid(z, 2),
    "hard_sigmoid_3": lambda z: hard_sigmoid(z, 3),
    "hard_silu": lambda z: z * hard_sigmoid(z, 3),
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": lambda z: (clip(z, -1.0, 1.0) + 1) / 2,
}

#: By the name of the form: the function with such constants.
_FAMILIES: Final[Mapping[str, Callable[..., Real]]] = {
    "relu": rectifier,
    "leaky_relu": leaky,
    "elu": elu,
    "celu": celu,
    "squareplus": squareplus,
    "threshold": threshold,
    "hard_shrink": hard_shrink,
    "soft_shrink": soft_shrink,
}
