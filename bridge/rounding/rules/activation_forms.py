"""The activations' exact values and condition numbers in float64, with erfc to full precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from bridge._typing import F64

_SMALL: Final = 0.46875
_MIDDLE: Final = 4.0
#: Beyond this erfc is below the smallest float64.
_LARGE: Final = 27.3
_ONE_OVER_SQRT_PI: Final = 0.56418958354775628695

# Highest power first.
_A: Final = (
    1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2,
    3.77485237685302021e2, 3.20937758913846947e3,
)  # fmt: skip
_B: Final = (
    1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3,
    2.84423683343917062e3,
)  # fmt: skip
_C: Final = (
    2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594,
    6.61191906371416295e1, 2.98635138197400131e2, 8.81952221241769090e2,
    1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3,
)  # fmt: skip
_D: Final = (
    1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2,
    1.62138957456669019e3, 3.29079923573345963e3, 4.36261909014324716e3,
    3.43936767414372164e3, 1.23033935480374942e3,
)  # fmt: skip
_P: Final = (
    1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1,
    1.25781726111229246e-1, 1.60837851487422766e-2, 6.58749161529837803e-4,
)  # fmt: skip
_Q: Final = (
    1.0, 2.56852019228982242, 1.87295284992346725, 5.27905102951428412e-1,
    6.05183413124413191e-2, 2.33520497626869185e-3,
)  # fmt: skip


def erfc(x: F64) -> F64:
    """Return erfc of every element; NaN gives NaN."""
    y = np.abs(x)
    result = np.where(np.isnan(x), np.nan, 0.0)
    for low, high, part in (
        (-1.0, _SMALL, _below), (_SMALL, _MIDDLE, _between), (_MIDDLE, _LARGE, _above),
    ):  # fmt: skip
        here = (y > low) & (y <= high)
        if here.all():
            result = part(y)
        elif here.any():
            result[here] = part(y[here])
    return np.where(x < 0.0, 2.0 - result, result)


def _below(y: F64) -> F64:
    square = y * y
    result: F64 = 1.0 - y * _ratio(_A, _B, square)
    return result


def _between(y: F64) -> F64:
    return _gauss(y) * _ratio(_C, _D, y)


def _above(y: F64) -> F64:
    square = 1.0 / (y * y)
    tail = square * _ratio(_P, _Q, square)
    result: F64 = _gauss(y) * ((_ONE_OVER_SQRT_PI - tail) / y)
    return result


def _gauss(y: F64) -> F64:
    # exp(-y^2) with y^2 = s^2 + (y - s)(y + s), where s^2 is exact.
    s = np.trunc(y * 16.0) / 16.0
    result: F64 = np.exp(-s * s) * np.exp(-(y - s) * (y + s))
    return result


def _ratio(numerator: tuple[float, ...], denominator: tuple[float, ...], x: F64) -> F64:
    top, bottom = np.full_like(x, numerator[0]), np.full_like(x, denominator[0])
    for coefficient in numerator[1:]:
        top *= x
        top += coefficient
    for coefficient in denominator[1:]:
        bottom *= x
        bottom += coefficient
    return top / bottom


# The activations as functions of float64, each in a form that is accurate there.

Function = Callable[[F64], F64]

SELU_SCALE: Final = 1.0507009873554804934193349852946
SELU_ALPHA: Final = 1.6732632423543772848170429916717
_SQRT_HALF: Final = math.sqrt(0.5)
_SQRT_2_OVER_PI: Final = math.sqrt(2.0 / math.pi)
_SERIES_BELOW: Final = 0.125
#: (z - tanh(z)) / z^3 by powers of z^2, the highest first (Abramowitz and Stegun, 4.5.64).
_TANH_SERIES: Final = (
    443861162 / 1856156927625, -6404582 / 10854718875, 929569 / 638512875, -21844 / 6081075,
    1382 / 155925, -62 / 2835, 17 / 315, -2 / 15, 1 / 3,
)  # fmt: skip
#: The slope of ``leaky_relu`` in both Keras, as a float32 kernel holds it.
LEAKY_SLOPE: Final = float(np.float32(0.2))


@dataclass(frozen=True)
class Form:
    """A function of one float64 argument and the points at which it turns or bends.

    ``added`` is a constant that its formula adds to its argument before anything else. TensorFlow's
    graph optimiser may add it to a part of the sum that makes the argument instead (AddOpsRewrite
    of its arithmetic optimiser; measured: to the bias of a DepthwiseConv2D of Keras 3).
    ``constants`` are those of a configuration that make a form one of many, as they are given to
    the function of this module that made it.
    """

    name: str
    function: Function
    turns: tuple[float, ...] = ()
    added: float = 0.0
    constants: tuple[float | None, ...] = ()

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


def _hard_tanh(z: F64) -> F64:
    return np.clip(z, -1.0, 1.0)


def _sigmoid(z: F64) -> F64:
    small = np.exp(-np.abs(z))
    result: F64 = np.where(z >= 0.0, 1.0, small) / (1.0 + small)
    return result


def _tanh(z: F64) -> F64:
    return np.tanh(z)


def _tanh_shrink(z: F64) -> F64:
    # Near zero z and tanh(z) cancel; there the series, whose next term is below 2^-52 of the sum.
    near = np.abs(z) < _SERIES_BELOW
    square = np.where(near, z * z, 0.0)
    total = np.full_like(square, _TANH_SERIES[0])
    for coefficient in _TANH_SERIES[1:]:
        total *= square
        total += coefficient
    return np.where(near, z * square * total, z - np.tanh(z))


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


def _sparse_plus(z: F64) -> F64:
    # Clipped, the square cannot overflow where it is not wanted.
    inner = np.clip(z, -1.0, 1.0) + 1.0
    return np.where(z < 1.0, 0.25 * inner * inner, z)


def _sparse_sigmoid(z: F64) -> F64:
    return 0.5 * (np.clip(z, -1.0, 1.0) + 1.0)


def relu(slope: float, threshold: float, most: float | None) -> Form:
    """Return z above ``threshold``, clipped at ``most``, and slope (z - threshold) below it."""

    def function(z: F64) -> F64:
        above = z if most is None else np.clip(z, 0.0, most)
        return np.where(z > threshold, above, slope * (z - threshold))

    turns = (threshold, _after(threshold))
    return Form("relu", function, turns, constants=(slope, threshold, most))


def leaky_relu(slope: float) -> Form:
    """Return z above zero and slope z below."""

    def function(z: F64) -> F64:
        return np.where(z > 0.0, z, slope * z)

    return Form("leaky_relu", function, (0.0,), constants=(slope,))


def prelu(slopes: F64) -> Form:
    """Return z above zero and slope z below, with a slope for each element of a sample."""

    def function(z: F64) -> F64:
        return np.where(z > 0.0, z, slopes * z)

    return Form("prelu", function, (0.0,))


def elu(alpha: float) -> Form:
    """Return z above zero and alpha (exp(z) - 1) below."""

    def function(z: F64) -> F64:
        return np.where(z > 0.0, z, alpha * np.expm1(np.minimum(z, 0.0)))

    return Form("elu", function, (0.0,), constants=(alpha,))


def celu(alpha: float) -> Form:
    """Return z above zero and alpha (exp(z / alpha) - 1) below; alpha > 0."""

    def function(z: F64) -> F64:
        return np.where(z > 0.0, z, alpha * np.expm1(np.minimum(z, 0.0) / alpha))

    return Form("celu", function, constants=(alpha,))


def squareplus(b: float) -> Form:
    """Return (z + sqrt(z^2 + b)) / 2, which is (b / 2) / (sqrt(z^2 + b) - z); b >= 0."""

    def function(z: F64) -> F64:
        total = np.abs(z) + np.sqrt(z * z + b)
        return np.where(z < 0.0, 0.5 * b / total, 0.5 * total)

    return Form("squareplus", function, constants=(b,))


def threshold(least: float, default: float) -> Form:
    """Return z above ``least`` and ``default`` up to it."""

    def function(z: F64) -> F64:
        return np.where(z > least, z, default)

    return Form("threshold", function, (least, _after(least)), constants=(least, default))


def hard_shrink(least: float) -> Form:
    """Return z where |z| > ``least`` and zero elsewhere."""

    def function(z: F64) -> F64:
        return np.where(np.abs(z) > least, z, 0.0)

    turns = (-_after(least), -least, least, _after(least))
    return Form("hard_shrink", function, turns, constants=(least,))


def soft_shrink(least: float) -> Form:
    """Return z moved by ``least`` towards zero, and zero where |z| is no larger than that."""

    def function(z: F64) -> F64:
        return np.where(z > least, z - least, np.where(z < -least, z + least, 0.0))

    # For a negative ``least`` it jumps.
    turns = (-_after(least), -least, least, _after(least))
    return Form("soft_shrink", function, turns, constants=(least,))


def _after(value: float) -> float:
    return float(np.nextafter(value, math.inf))


_FIXED: Final = (
    Form("linear", _linear),
    Form("relu", _relu),
    Form("relu6", _relu6),
    Form("sigmoid", _sigmoid),
    Form("tanh", _tanh),
    Form("selu", _selu),
    Form("softplus", _softplus),
    Form("log_sigmoid", _log_sigmoid),
    Form("softsign", _softsign),
    Form("silu", _silu, turns=(-1.2784645427610738,)),
    Form("gelu", _gelu, turns=(-0.7517915246935645,)),
    Form("gelu_tanh", _gelu_tanh, turns=(-0.7524614220710162,)),
    Form("mish", _mish, turns=(-1.1924312145154952,)),
    Form("exponential", _exponential),
    Form("hard_sigmoid_2", _hard_sigmoid_2, added=2.5),
    Form("hard_sigmoid_3", _hard_sigmoid_3, added=3.0),
    Form("hard_silu", _hard_silu, turns=(-1.5,), added=3.0),
    Form("hard_tanh", _hard_tanh),
    Form("tanh_shrink", _tanh_shrink),
    Form("sparse_plus", _sparse_plus),
    Form("sparse_sigmoid", _sparse_sigmoid),
)

#: Every activation as it is by its name alone: families have the constants of Keras' defaults, or,
#: where there are none (``threshold``, ``prelu``, ``thresholded_relu``), those that were measured.
FORMS: Final[dict[str, Form]] = {form.name: form for form in _FIXED} | {
    name: replace(form, name=name)
    for name, form in {
        "leaky_relu": leaky_relu(LEAKY_SLOPE),
        "elu": elu(1.0),
        "celu": celu(1.0),
        "squareplus": squareplus(4.0),
        "hard_shrink": hard_shrink(0.5),
        "soft_shrink": soft_shrink(0.5),
        "threshold": threshold(0.5, -0.25),
        "thresholded_relu": threshold(1.0, 0.0),
        "prelu": leaky_relu(LEAKY_SLOPE),
    }.items()
}
