"""Activations as functions of balls, and where they turn.

Written from the definitions in the documentation of Keras, each in a form that stays right for a
ball that contains a bend, and evaluated with as many digits as are asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flint import arb

from bridge.verify.exact import precisely

#: A function of one number.
Real = Callable[[arb], arb]


@dataclass(frozen=True)
class Turn:
    """A value that a function takes, or comes as near to as one likes, at an argument."""

    at: arb
    value: arb


@dataclass(frozen=True)
class Function:
    """A function of one number, monotone between its turns; where it jumps it has two.

    ``rough`` bounds how far its float64 form may be off besides a relative error, in units of
    2^-53, for arguments of at most the magnitude ``within``: there a sum of opposite signs cancels
    (``times`` says that the argument multiplies it).
    ``exact`` says that it only compares and chooses. ``added`` is a constant that is added to the
    argument first; TensorFlow may add it to any part of a sum that makes the argument.
    """

    real: Real
    turns: tuple[Turn, ...] = ()
    rough: float = 0.0
    within: float = 0.0
    times: bool = False
    exact: bool = False
    added: float = 0.0


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


def smooth(real: Real, digits: str) -> Function:
    """Return a function that turns once, at the argument that these digits are the start of."""
    with precisely():
        at = arb(digits) + arb(0, 1e-17)
        return Function(real, (Turn(at, real(at)),))


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


def _jump(edge: float, over: Real, under: Real, exact: bool = False) -> Function:
    at = arb(edge)
    turns = (Turn(at, over(at)), Turn(at, under(at)))
    return Function(lambda z: _either(z, edge, over, under), turns, exact=exact)


def leaky(slope: float) -> Function:
    """Return max(z, 0) + slope min(z, 0)."""
    return Function(lambda z: above(z) + slope * below(z), (Turn(arb(0), arb(0)),))


def elu(alpha: float) -> Function:
    """Return max(z, 0) + alpha (exp(min(z, 0)) - 1)."""
    return Function(lambda z: above(z) + alpha * below(z).expm1(), (Turn(arb(0), arb(0)),))


def celu(alpha: float) -> Function:
    """Return max(z, 0) + alpha (exp(min(z, 0) / alpha) - 1)."""
    return Function(lambda z: above(z) + alpha * (below(z) / alpha).expm1())


def rectifier(slope: float, edge: float, most: float | None) -> Function:
    """Return slope (z - edge) up to an edge, beyond it z, or what is nearest in [0, most]."""
    over = (lambda z: z) if most is None else (lambda z: clip(z, 0.0, most))
    return _jump(edge, over, lambda z: slope * (z - edge))


def squareplus(b: float) -> Function:
    """Return (z + sqrt(z^2 + b)) / 2."""

    def real(z: arb) -> arb:
        root = (z * z + b).sqrt()
        return b / (root - z) / 2 if z < 0 else (z + root) / 2

    return Function(real)


def threshold(edge: float, default: float) -> Function:
    """Return z beyond an edge and a constant up to it."""
    return _jump(edge, lambda z: z, lambda _z: arb(default), exact=True)


def hard_shrink(edge: float) -> Function:
    """Return z where its magnitude is beyond an edge, and 0 elsewhere."""
    zero, low = arb(0), arb(-edge)

    def real(z: arb) -> arb:
        if abs(z) > edge:
            return z
        return zero if abs(z) <= edge else z.union(zero)

    sides = (Turn(arb(edge), arb(edge)), Turn(arb(edge), zero), Turn(low, low), Turn(low, zero))
    return Function(real, sides, exact=True)


def soft_shrink(edge: float) -> Function:
    """Return z moved towards zero by ``edge``, at most to zero."""
    return Function(lambda z: above(z - edge) + below(z + edge))


PLAIN: Final[dict[str, Function]] = {
    "relu": Function(above, exact=True),
    "relu6": Function(lambda z: clip(z, 0.0, 6.0), exact=True),
    "hard_tanh": Function(lambda z: clip(z, -1.0, 1.0), exact=True),
    "sigmoid": Function(sigmoid),
    "tanh": Function(lambda z: z.tanh()),
    "tanh_shrink": Function(lambda z: z - z.tanh()),
    "elu": elu(1.0),
    "celu": celu(1.0),
    "selu": Function(_selu),
    "softplus": Function(softplus),
    "log_sigmoid": Function(lambda z: -softplus(-z)),
    "softsign": Function(lambda z: z / (1 + abs(z))),
    "silu": smooth(lambda z: z * sigmoid(z), "-1.278464542761073795109358739023"),
    "gelu": smooth(_gelu, "-0.751791524693564457457904946780"),
    "gelu_tanh": smooth(_gelu_tanh, "-0.752461422071016256487954443289"),
    "mish": smooth(lambda z: z * softplus(z).tanh(), "-1.192431214515495212137588340421"),
    "exponential": Function(lambda z: z.exp()),
    "hard_sigmoid_2": Function(lambda z: hard_sigmoid(z, 2), rough=4.0, within=2.5, added=2.5),
    "hard_sigmoid_3": Function(lambda z: hard_sigmoid(z, 3), rough=4.0, within=3.0, added=3.0),
    "hard_silu": Function(
        lambda z: z * hard_sigmoid(z, 3),
        (Turn(arb(-1.5), arb(-0.375)),),
        rough=4.0,
        within=3.0,
        times=True,
        added=3.0,
    ),
    "sparse_plus": Function(_sparse_plus, rough=8.0, within=1.0),
    "sparse_sigmoid": Function(lambda z: (clip(z, -1.0, 1.0) + 1) / 2, rough=4.0, within=1.0),
    "squareplus": squareplus(4.0),
}
