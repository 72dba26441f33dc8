"""Activations with their error models: what a kernel may return for an argument in an interval.

For a float32 argument v somewhere in [z - e, z + e], a kernel returns y with
|y - f(z)| <= |f(v) - f(z)| + |y - f(v)|. The first part is at most the distance from f(z) to the
ends of f's range over the interval, which follows from the ends of the interval and from the
points inside it where f turns. The second is the kernel's own error: measured
(:mod:`bridge.compare.rules.models`), or derived where a constant of the configuration makes one
function a family.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydantic import JsonValue

from bridge.compare.rules.erfc import F64
from bridge.compare.rules.forms import FORMS, Form
from bridge.compare.rules.layer import Evaluation, Generation, UnsupportedError, as_number
from bridge.compare.rules.models import model_of
from bridge.compare.rules.rounding import (
    FLOAT32,
    OVERFLOW,
    TINY,
    Format,
    float32,
    gamma,
    ulp32,
)

#: Twice the relative error of a float64 form, at most (below 2^-126, relative to that); tests hold
#: them to half of it. The worst is gelu near -13, where f is 2^-126: rounding the argument of erfc
#: there changes f by 2^-44.5.
FORM_ERROR: Final = 2.0**-43

#: The names that configurations use.
_PLAIN: Final[dict[str, str]] = {
    name: name
    for name in (
        "relu", "relu6", "sigmoid", "tanh", "elu", "selu", "softplus", "softsign", "silu", "gelu",
        "mish", "exponential", "log_sigmoid", "hard_silu",
    )
} | {"swish": "silu", "hard_swish": "hard_silu"}  # fmt: skip

#: Error of a kernel, given the ends of the argument's interval and of the function's range there.
KernelError = Callable[[F64, F64, F64, F64], F64]


@dataclass(frozen=True)
class Activation:
    """A function of one number and the error of the kernels that compute it."""

    form: Form
    kernel_error: KernelError | None
    form_error: float = FORM_ERROR
    missed: float = 1.0

    def evaluate(self, z: F64, error: Callable[[], F64] | None = None) -> Evaluation:
        """Evaluate at ``z``, which a float32 computation knows up to ``error()`` (None: exactly).

        Where the argument or the error is not finite, nothing is claimed.
        """
        value = self.form(z)

        def derive() -> F64:
            return self._bound(z, value, error() if error is not None else None)

        return Evaluation(value, derive, self.missed, self.form.name)

    def _bound(self, z: F64, value: F64, error: F64 | None) -> F64:
        with np.errstate(all="ignore"):
            if error is None:
                low_z = high_z = z
                low = high = value
                bound = np.zeros_like(value)
                known = np.isfinite(z)
            else:
                low_z, high_z = z - error, z + error
                low, high = self._range(low_z, high_z, value)
                bound = np.maximum(high - value, value - low)
                known = np.maximum(np.abs(low_z), np.abs(high_z)) < OVERFLOW
            largest = np.maximum(np.abs(low), np.abs(high))
            bound = bound + self.form_error * largest
            if self.kernel_error is not None:
                bound = bound + self.kernel_error(low_z, high_z, low, high)
            return np.where(known & np.isfinite(value) & ~np.isnan(bound), bound, np.inf)

    def _range(self, low_z: F64, high_z: F64, value: F64) -> tuple[F64, F64]:
        first, last = self.form(low_z), self.form(high_z)
        low, high = np.minimum(first, last), np.maximum(first, last)
        low, high = np.minimum(low, value), np.maximum(high, value)
        for turn in self.form.turns:
            there = float(self.form(np.array(turn)))
            inside = (low_z <= turn) & (turn <= high_z)
            low = np.where(inside, np.minimum(low, there), low)
            high = np.where(inside, np.maximum(high, there), high)
        return low, high


#: The identity does not compute, so it does not round.
LINEAR: Final = Activation(FORMS["linear"], None, form_error=0.0)


def activation_of(spec: JsonValue, generation: Generation, fmt: Format = FLOAT32) -> Activation:
    """Return the activation that a configuration names.

    Raises:
        UnsupportedError: it has no float64 form or no error model; the message says so.
    """
    if spec is None or spec == "linear":
        return LINEAR
    if fmt is not FLOAT32:
        raise UnsupportedError(f"its activation was not measured in {fmt.name}")
    if isinstance(spec, str):
        return named(spec, generation)
    if isinstance(spec, dict):
        cls, config = spec.get("class_name"), spec.get("config")
        if isinstance(cls, str) and isinstance(config, dict) and cls in LAYERS:
            return LAYERS[cls](config, generation)
    raise UnsupportedError("its activation is a function of the script's own")


def named(name: str, generation: Generation) -> Activation:
    """Return an activation by the name that Keras gives it.

    Raises:
        UnsupportedError: it has no float64 form or no error model.
    """
    if name == "linear":
        return LINEAR
    if name == "leaky_relu":
        return leaky_relu(0.2)
    if name == "hard_sigmoid":
        if generation == 0:
            raise UnsupportedError("hard_sigmoid differs between Keras 2 and 3, and which it was "
                                   "is not recorded")  # fmt: skip
        return measured(f"hard_sigmoid_{generation}")
    if name not in _PLAIN:
        raise UnsupportedError(f"its activation {name!r} has no rule")
    return measured(_PLAIN[name])


def measured(name: str) -> Activation:
    """Return an activation whose kernels were measured.

    Raises:
        UnsupportedError: there is no measurement.
    """
    model = model_of(name)
    if model is None:
        raise UnsupportedError(f"the kernels of its activation {name!r} were never measured")
    exact = name in {"relu", "relu6"}
    return Activation(
        FORMS[name],
        lambda _low_z, _high_z, low, high: model.error(low, high),
        form_error=0.0 if exact else FORM_ERROR,
        missed=model.missed,
    )


def leaky_relu(slope: float) -> Activation:
    """Return max(z, 0) + slope min(z, 0): one product, rounded once, below zero."""
    slope = float32(slope)

    def function(z: F64) -> F64:
        return np.where(z > 0.0, z, slope * z)

    def error(low_z: F64, _high_z: F64, low: F64, high: F64) -> F64:
        largest = np.maximum(np.abs(low), np.abs(high))
        return np.where(low_z < 0.0, 0.5 * ulp32(largest), 0.0) + TINY

    return Activation(Form("leaky_relu", function, turns=(0.0,)), error)


def elu(alpha: float) -> Activation:
    """Return the exponential linear unit: the kernel's, and one product if alpha is not 1."""
    alpha = float32(alpha)
    unit = measured("elu")
    if alpha == 1.0:
        return unit
    kernel = unit.kernel_error
    assert kernel is not None

    def function(z: F64) -> F64:
        return np.where(z > 0.0, z, alpha * np.expm1(np.minimum(z, 0.0)))

    def error(low_z: F64, high_z: F64, low: F64, high: F64) -> F64:
        below = kernel(low_z, high_z, unit.form(low_z), unit.form(high_z))
        rounded = 0.5 * ulp32(np.maximum(np.abs(low), np.abs(high)) + abs(alpha) * below)
        return np.maximum(below, abs(alpha) * below + rounded + TINY)

    return Activation(Form("elu", function, turns=(0.0,)), error, missed=unit.missed)


def relu(slope: float, threshold: float, most: float | None) -> Activation:
    """Return the rectifier with a slope below ``threshold`` and a largest value.

    Below the threshold it is slope (z - threshold): a difference and a product, both rounded.
    """
    slope, threshold = float32(slope), float32(threshold)
    most = None if most is None else float32(most)
    if slope == 0.0 and threshold == 0.0 and most is None:
        return measured("relu")
    if most is not None and most < 0.0:
        raise UnsupportedError("its max_value is negative")

    def function(z: F64) -> F64:
        above = z if most is None else np.clip(z, 0.0, most)
        return np.where(z > threshold, above, slope * (z - threshold))

    def error(low_z: F64, _high_z: F64, low: F64, high: F64) -> F64:
        largest = np.maximum(np.abs(low), np.abs(high))
        return np.where(low_z <= threshold, gamma(2) * largest, 0.0) + 2.0 * TINY

    # At the threshold the function may jump.
    turns = (threshold, float(np.nextafter(threshold, np.inf)))
    return Activation(Form("relu", function, turns), error)


def _relu_layer(config: Mapping[str, JsonValue], _generation: Generation) -> Activation:
    most = config.get("max_value")
    return relu(
        _number(config, ("negative_slope",), 0.0),
        _number(config, ("threshold",), 0.0),
        None if most is None else _number(config, ("max_value",), 0.0),
    )


def _leaky_layer(config: Mapping[str, JsonValue], _generation: Generation) -> Activation:
    return leaky_relu(_number(config, ("negative_slope", "alpha"), 0.3))


def _elu_layer(config: Mapping[str, JsonValue], _generation: Generation) -> Activation:
    return elu(_number(config, ("alpha",), 1.0))


def _activation_layer(config: Mapping[str, JsonValue], generation: Generation) -> Activation:
    return activation_of(config.get("activation"), generation)


#: Layers that are nothing but an activation; a configuration may also name one as an activation.
LAYERS: Final[dict[str, Callable[[Mapping[str, JsonValue], Generation], Activation]]] = {
    "Activation": _activation_layer,
    "ReLU": _relu_layer,
    "LeakyReLU": _leaky_layer,
    "ELU": _elu_layer,
}


def _number(config: Mapping[str, JsonValue], keys: tuple[str, ...], default: float) -> float:
    for key in keys:
        if config.get(key) is not None:
            found = as_number(config[key])
            if found is None:
                raise UnsupportedError(f"its {key} is not a number")
            return found
    return default
