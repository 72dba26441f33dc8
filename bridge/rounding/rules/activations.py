"""Bounds of activations: the model of each kernel, its domain, and layers that only activate."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydantic import JsonValue

from bridge._typing import F64, AnyArray
from bridge.facts.keras import ALIASES, Generation
from bridge.facts.layers import class_name
from bridge.rounding.rules import activation_forms, activations
from bridge.rounding.rules.activation_forms import FORMS, Form
from bridge.rounding.rules.activation_models import COMPARING, ErrorModel, model_of
from bridge.rounding.rules.layer import (
    Evaluation,
    Layer,
    Rule,
    UnsupportedError,
    as_number,
    policy_name,
    single,
)
from bridge.rounding.rules.rounding import FLOAT32, MOST_TERMS, Format

# Softmax, p_i = exp(z_i - m) / sum_j exp(z_j - m) with m the largest z of the row, and its log.
#
# m cancels, so only differences count. The argument of the exponential is off by at most d_i = e_i
# + u (|z_i - m| + e_i + max e), where e is the error of z and the second part is the rounding of
# the difference; exp then errs by the factor exp(d_i) (1 + r), and by t where it underflows, with
# (r, t) as measured for the exponential inside TensorFlow's softmax. The n terms of the sum are
# positive, so summing costs a factor within gamma_{n-1}, and dividing (or multiplying by the
# reciprocal) two roundings; gamma_{n+4} covers both and the float64 evaluation. Putting every error
# to its end at once gives the largest and the smallest quotient.
#
# The logarithm is z_i - m - log(sum): the sum lies between the same ends, the logarithm errs as
# measured, and both differences are rounded.

#: Under this name the second part of softmax(0, z) was measured. It is exp(z) / (1 + exp(z)), so
#: its error is the exponential's, a sum's and a quotient's: the first is at most the whole and
#: three roundings.
_EXPONENTIAL: Final = "softmax_pair"
_LOGARITHM: Final = "log"
#: Longer sums in a short type leave nothing to claim.
_MOST_GROWTH: Final = 0.5


@dataclass(frozen=True)
class _Ends:
    """The largest and the smallest that every exponential of a row, and the row's sum, may be."""

    off: F64
    most: F64
    least: F64
    growth: float
    axis: int

    @property
    def most_sum(self) -> F64:
        total: F64 = self.most.sum(axis=self.axis, keepdims=True)
        return total

    @property
    def least_sum(self) -> F64:
        total: F64 = self.least.sum(axis=self.axis, keepdims=True)
        return total


def softmax(
    z: F64, axis: int, error: Callable[[], F64] | None = None, fmt: Format = FLOAT32
) -> Evaluation:
    """Evaluate softmax along ``axis`` of ``z``, which is known up to ``error()``.

    Raises:
        UnsupportedError: there is no measurement, or the row is too long for a bound.
    """
    model = _model(_EXPONENTIAL, z, axis, fmt)
    with np.errstate(all="ignore"):
        below = z - z.max(axis=axis, keepdims=True, initial=-np.inf)
        parts = np.exp(below)
        value = parts / parts.sum(axis=axis, keepdims=True)

    def derive() -> F64:
        with np.errstate(all="ignore"):
            ends = _ends(below, axis, None if error is None else error(), model, fmt)
            above = (1.0 + ends.growth) * ends.most / ends.least_sum
            under = (1.0 - ends.growth) * ends.least / ends.most_sum
            return _claimed(value, np.maximum(above - value, value - under) + fmt.tiny)

    return Evaluation(value, derive, model.missed, "softmax")


def log_softmax(
    z: F64, axis: int, error: Callable[[], F64] | None = None, fmt: Format = FLOAT32
) -> Evaluation:
    """Evaluate the logarithm of softmax along ``axis`` of ``z``, which is known up to ``error()``.

    Raises:
        UnsupportedError: there is no measurement, or the row is too long for a bound.
    """
    model, logarithm = (_model(name, z, axis, fmt) for name in (_EXPONENTIAL, _LOGARITHM))
    with np.errstate(all="ignore"):
        below = z - z.max(axis=axis, keepdims=True, initial=-np.inf)
        total = np.exp(below).sum(axis=axis, keepdims=True)
        value = below - np.log(total)

    def derive() -> F64:
        with np.errstate(all="ignore"):
            ends = _ends(below, axis, None if error is None else error(), model, fmt)
            high = np.log((1.0 + ends.growth) * ends.most_sum)
            low = np.log((1.0 - ends.growth) * ends.least_sum)
            log = np.log(total)
            off = np.maximum(high - log, log - low) + logarithm.error(low, high)
            # What the maximum is off by cancels, but it is in the size of what is rounded.
            carried = ends.off + off
            size = np.abs(value) + carried + ends.off.max(axis=axis, keepdims=True, initial=0.0)
            return _claimed(value, carried + fmt.gamma(2) * size + 2.0 * fmt.tiny)

    return Evaluation(value, derive, max(model.missed, logarithm.missed), "log_softmax")


def _model(name: str, z: F64, axis: int, fmt: Format) -> ErrorModel:
    model = model_of(name, fmt.name, fmt.kernels)
    if model is None:
        raise UnsupportedError(f"the kernels of softmax were never measured in {fmt.name}")
    if z.ndim == 0 or not -z.ndim <= axis < z.ndim:
        raise UnsupportedError(f"its input of shape {z.shape} has no axis {axis}")
    terms = z.shape[axis] + 4
    if terms > MOST_TERMS or terms * fmt.unit > _MOST_GROWTH:
        raise UnsupportedError(f"rows of {z.shape[axis]} are too long for a bound in {fmt.name}")
    return model


def _ends(below: F64, axis: int, error: F64 | None, model: ErrorModel, fmt: Format) -> _Ends:
    relative, lost = model.relative
    relative += fmt.gamma(3)
    off = np.zeros_like(below) if error is None else error
    widest = off.max(axis=axis, keepdims=True, initial=0.0)
    off = off + fmt.unit * (np.abs(below) + off + widest)
    parts = np.exp(below)
    # The row was shifted by a maximum that may be off: what underflows is so in its scale.
    lost = lost * np.exp(widest)
    most = parts * np.exp(off) * (1.0 + relative) + lost
    least = np.maximum(parts * np.exp(-off) * (1.0 - relative) - lost, 0.0)
    return _Ends(off, most, least, fmt.gamma(below.shape[axis] + 4), axis)


def _claimed(value: F64, bound: F64) -> F64:
    """Return the bound; infinite where there is no number to claim it of."""
    return np.where(np.isfinite(value) & np.isfinite(bound), bound, np.inf)


def layer(this: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate a Softmax layer."""
    return (softmax(single(inputs), axis_of(this), fmt=this.arithmetic()),)


def axis_of(this: Layer) -> int:
    """Return the axis of a Softmax layer's rows.

    Raises:
        UnsupportedError: it is not one integer.
    """
    axis = this.config.get("axis", -1)
    if isinstance(axis, list) and len(axis) == 1:
        axis = axis[0]
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise UnsupportedError("its axis is not one integer")
    return axis


#: Twice the relative error of a float64 form, at most (below 2^-126, relative to that); tests hold
#: them to half of it. The worst is gelu near -13, where f is 2^-126: rounding the argument of erfc
#: there changes f by 2^-44.5.
FORM_ERROR: Final = 2.0**-43
#: Twice the unit of float64: a bound on a sum's error in a type, times the ratio of the units,
#: bounds the error of the same sum in float64.
_FLOAT64: Final = 2.0**-52

#: Error of a kernel, given the ends of the argument's interval and of the function's range there.
KernelError = Callable[[F64, F64, F64, F64], F64]


@dataclass(frozen=True)
class Activation:
    """A function of one number and the error of the kernels that compute it in a type.

    ``unrounded`` is the error for arguments that are not numbers of the type; None where
    ``kernel_error`` holds for those as well.
    """

    form: Form
    kernel_error: KernelError | None
    form_error: float = FORM_ERROR
    missed: float = 1.0
    fmt: Format = FLOAT32
    unrounded: KernelError | None = None

    def evaluate(self, z: F64, error: Callable[[], F64] | None = None) -> Evaluation:
        """Evaluate at ``z``, which a computation knows up to ``error()`` (None: exactly).

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
                # The exact argument is not z, but as near to it as the same sum in float64 is.
                near = error * (_FLOAT64 / self.fmt.unit)
                least, most = self._range(z - near, z + near, value)
                bound = np.maximum(high - least, most - low)
                known = np.maximum(np.abs(low_z), np.abs(high_z)) < self.fmt.overflow
            largest = np.maximum(np.abs(low), np.abs(high))
            bound = bound + self.form_error * largest
            if self.kernel_error is not None:
                kernel = self.kernel_error(low_z, high_z, low, high)
                if error is not None and self.unrounded is not None:
                    kernel = np.maximum(kernel, self.unrounded(low_z, high_z, low, high))
                bound = bound + kernel
            return np.where(known & np.isfinite(value) & ~np.isnan(bound), bound, np.inf)

    def _range(self, low_z: F64, high_z: F64, value: F64) -> tuple[F64, F64]:
        first, last = self.form(low_z), self.form(high_z)
        low, high = np.minimum(first, last), np.maximum(first, last)
        low, high = np.minimum(low, value), np.maximum(high, value)
        for turn in self.form.turns:
            there = self.form(np.array(turn))
            inside = (low_z <= turn) & (turn <= high_z)
            low = np.where(inside, np.minimum(low, there), low)
            high = np.where(inside, np.maximum(high, there), high)
        return low, high


#: The identity does not compute, so it does not round.
LINEAR: Final = Activation(FORMS["linear"], None, form_error=0.0)


def measured(name: str, fmt: Format = FLOAT32) -> Activation:
    """Return an activation whose kernels were measured in a type.

    Raises:
        UnsupportedError: there is no measurement.
    """
    model, single = (model_of(name, dtype, fmt.kernels) for dtype in (fmt.name, FLOAT32.name))
    if model is None or single is None:
        raise UnsupportedError(
            f"the kernels of its activation {name!r} were never measured in {fmt.name}"
        )

    def kernel(_low_z: F64, _high_z: F64, low: F64, high: F64) -> F64:
        return model.error(low, high)

    def unrounded(_low_z: F64, _high_z: F64, low: F64, high: F64) -> F64:
        error = single.error(low, high)
        largest = np.maximum(np.abs(low), np.abs(high)) + error
        return error + (1.0 if fmt.chopped else 0.5) * fmt.ulp(largest) + fmt.tiny

    return Activation(
        FORMS[name],
        kernel,
        form_error=0.0 if name in COMPARING else FORM_ERROR,
        # In a short type the float32 kernels make the smaller part: that they were measured counts.
        missed=model.missed if math.isfinite(single.missed) else math.inf,
        fmt=fmt,
        unrounded=None if fmt.name == FLOAT32.name else unrounded,
    )


# Activations with constants: errors that follow from the operations that the kernels do.


def leaky_relu(slope: float, fmt: Format = FLOAT32) -> Activation:
    """Return max(z, 0) + slope min(z, 0): one product, rounded once, below zero.

    A fused kernel holds the slope as float32 in every type, others in the type itself.
    """
    whole = FLOAT32.held(slope)
    gap = abs(whole - fmt.held(slope))

    def error(low_z: F64, _high_z: F64, low: F64, high: F64) -> F64:
        off = gap * np.maximum(-low_z, 0.0)
        rounded = 0.5 * fmt.ulp(_largest(low, high) + off)
        return np.where(low_z < 0.0, off + rounded, 0.0) + max(1.0, abs(whole)) * fmt.tiny

    return Activation(activation_forms.leaky_relu(whole), error, fmt=fmt)


def prelu(slopes: F64, fmt: Format = FLOAT32) -> Activation:
    """Return max(z, 0) + slope min(z, 0) with slopes that fit each sample; they are weights."""
    lost = np.maximum(1.0, np.abs(slopes)) * fmt.tiny

    def error(low_z: F64, _high_z: F64, low: F64, high: F64) -> F64:
        rounded: F64 = np.where(low_z < 0.0, 0.5 * fmt.ulp(_largest(low, high)), 0.0)
        return rounded + lost

    return Activation(activation_forms.prelu(slopes), error, fmt=fmt)


def elu(alpha: float, fmt: Format = FLOAT32) -> Activation:
    """Return the exponential linear unit: the kernel's, and one product if alpha is not 1."""
    alpha = fmt.held(alpha)
    unit = measured("elu", fmt)
    if alpha == 1.0:
        return unit

    def error(low_z: F64, high_z: F64, low: F64, high: F64) -> F64:
        kernel = _kernel(unit, low_z, high_z)
        rounded = 0.5 * fmt.ulp(_largest(low, high) + abs(alpha) * kernel)
        return np.maximum(kernel, abs(alpha) * kernel + rounded + fmt.tiny)

    return Activation(activation_forms.elu(alpha), error, missed=unit.missed, fmt=fmt)


def celu(alpha: float, fmt: Format = FLOAT32) -> Activation:
    """Return max(z, 0) + alpha expm1(min(z, 0) / alpha).

    With q = z / alpha, |q exp(q)| <= |expm1(q)|, so the rounding of the quotient (of a product
    with the reciprocal) changes expm1(q) by the same factor at most. The error of expm1 itself is
    that of celu with alpha = 1.

    Raises:
        UnsupportedError: alpha is not positive.
    """
    alpha = fmt.held(alpha)
    unit = measured("celu", fmt)
    if alpha == 1.0:
        return unit
    if not alpha > 0.0:
        raise UnsupportedError(f"its alpha is {alpha}, not positive")
    growth = fmt.gamma(4)

    def error(low_z: F64, high_z: F64, low: F64, high: F64) -> F64:
        size = _largest(low, high) / alpha
        first = np.minimum(low_z, 0.0) * ((1.0 + growth) / alpha)
        last = np.minimum(high_z, 0.0) * ((1.0 - growth) / alpha)
        inner = _kernel(unit, first, last)
        inner = inner + growth * size + fmt.tiny
        rounded = 0.5 * fmt.ulp(alpha * (size + inner))
        return np.where(low_z < 0.0, alpha * inner + rounded, 0.0) + fmt.tiny

    return Activation(activation_forms.celu(alpha), error, missed=unit.missed, fmt=fmt)


def relu(slope: float, threshold: float, most: float | None, fmt: Format = FLOAT32) -> Activation:
    """Return the rectifier with a slope below ``threshold`` and a largest value.

    Below the threshold it is slope (z - threshold): a difference and a product, both rounded.

    Raises:
        UnsupportedError: the largest value is negative.
    """
    if threshold == 0.0 and most is None:
        return measured("relu", fmt) if slope == 0.0 else leaky_relu(slope, fmt)
    if most is not None and most < 0.0:
        raise UnsupportedError("its max_value is negative")
    slope, threshold = fmt.held(slope), fmt.held(threshold)
    growth, lost = fmt.gamma(2), (2.0 + abs(slope)) * fmt.tiny

    def error(low_z: F64, _high_z: F64, low: F64, high: F64) -> F64:
        return np.where(low_z <= threshold, growth * _largest(low, high), 0.0) + lost

    form = activation_forms.relu(slope, threshold, None if most is None else fmt.held(most))
    return Activation(form, error, fmt=fmt)


def squareplus(b: float, fmt: Format = FLOAT32) -> Activation:
    """Return (z + sqrt(z^2 + b)) / 2.

    The square and the sum are rounded, which the root halves, and so is the root (two units, for
    it may be made of an approximation); then the last sum, which cancels for negative z. Where the
    square overflows nothing is claimed.

    Raises:
        UnsupportedError: b is negative.
    """
    b = fmt.held(b)
    if b < 0.0:
        raise UnsupportedError(f"its b is {b}, a negative number")
    growth = fmt.gamma(4)
    # What flushing takes from the square: sqrt(s + t) - sqrt(s) is at most sqrt(t), or t / sqrt(s).
    lost = min(math.sqrt(2.0 * fmt.tiny), 2.0 * fmt.tiny / math.sqrt(b) if b else math.inf)

    def error(low_z: F64, high_z: F64, low: F64, high: F64) -> F64:
        widest = _largest(low_z, high_z)
        square = (widest * widest + b) * (1.0 + growth)
        root = growth * np.sqrt(square) + lost
        found = root + fmt.unit * (_largest(low, high) + root) + 2.0 * fmt.tiny
        return np.where(square < fmt.overflow, found, np.inf)

    return Activation(activation_forms.squareplus(b), error, fmt=fmt)


def threshold(least: float, default: float, fmt: Format = FLOAT32) -> Activation:
    """Return z above ``least`` and ``default`` up to it: nothing is rounded."""
    least, default = fmt.held(least), fmt.held(default)
    return Activation(
        activation_forms.threshold(least, default),
        _chosen(least, abs(least - default), fmt),
        0.0,
        fmt=fmt,
    )


def hard_shrink(least: float, fmt: Format = FLOAT32) -> Activation:
    """Return z where |z| > ``least`` and zero elsewhere: nothing is rounded."""
    least = fmt.held(least)
    return Activation(
        activation_forms.hard_shrink(least), _chosen(least, abs(least), fmt), 0.0, fmt=fmt
    )


def soft_shrink(least: float, fmt: Format = FLOAT32) -> Activation:
    """Return z moved by ``least`` towards zero: one difference.

    Raises:
        UnsupportedError: ``least`` is negative, so that two of its conditions hold at once.
    """
    least = fmt.held(least)
    if least < 0.0:
        raise UnsupportedError(f"its threshold is {least}, a negative number")

    def error(_low_z: F64, _high_z: F64, low: F64, high: F64) -> F64:
        return 0.5 * fmt.ulp(_largest(low, high)) + 2.0 * fmt.tiny

    return Activation(activation_forms.soft_shrink(least), error, fmt=fmt)


def _chosen(least: float, jump: float, fmt: Format) -> KernelError:
    """Return the error of a choice at ``least``, between two values that are ``jump`` apart."""

    def error(low_z: F64, high_z: F64, _low: F64, _high: F64) -> F64:
        near = (low_z < fmt.tiny) & (high_z > -fmt.tiny) & (abs(least) < fmt.tiny)
        return np.where(near, jump, 0.0) + fmt.tiny

    return error


def _kernel(unit: Activation, low_z: F64, high_z: F64) -> F64:
    """Return the error of a measured kernel that never falls, over an interval of arguments."""
    low, high = unit.form(low_z), unit.form(high_z)
    found = np.zeros_like(low)
    for error in (unit.kernel_error, unit.unrounded):
        if error is not None:
            found = np.maximum(found, error(low_z, high_z, low, high))
    return found


def _largest(low: F64, high: F64) -> F64:
    return np.maximum(np.abs(low), np.abs(high))


# Which activation a configuration names, in either Keras and in every notation.

Config = Mapping[str, JsonValue]

#: Names that stand for a kernel as it was measured.
_MEASURED: Final[dict[str, str]] = {
    name: name
    for name in (
        "celu", "elu", "exponential", "gelu", "hard_silu", "hard_tanh", "log_sigmoid", "mish",
        "relu", "relu6", "selu", "sigmoid", "silu", "softplus", "softsign", "sparse_plus",
        "sparse_sigmoid", "tanh", "tanh_shrink",
    )
} | dict(ALIASES)  # fmt: skip

#: Names of functions whose errors are derived, with the constants that Keras gives them.
_DERIVED: Final[dict[str, Callable[[Format], Activation]]] = {
    "leaky_relu": lambda fmt: activations.leaky_relu(0.2, fmt),
    "hard_shrink": lambda fmt: activations.hard_shrink(0.5, fmt),
    "soft_shrink": lambda fmt: activations.soft_shrink(0.5, fmt),
    "squareplus": lambda fmt: activations.squareplus(4.0, fmt),
}


def activation_of(spec: JsonValue, generation: Generation, fmt: Format = FLOAT32) -> Activation:
    """Return the activation that a configuration names, as a layer computes it in ``fmt``.

    Raises:
        UnsupportedError: it has no float64 form, or no error model in that type; the message is a
            sentence that says so.
    """
    if spec is None:
        return LINEAR
    if isinstance(spec, str):
        return named(spec, generation, fmt)
    if isinstance(spec, dict):
        cls, config = spec.get("class_name"), spec.get("config")
        if isinstance(cls, str) and isinstance(config, dict) and _of_keras(spec):
            if cls in LAYERS:
                return _layer(cls, config, generation, fmt)
            return _operation(cls, config, generation, fmt)
    raise UnsupportedError("its activation is a function of the script's own")


def named(name: str, generation: Generation, fmt: Format = FLOAT32) -> Activation:
    """Return an activation by the name that Keras gives it.

    Raises:
        UnsupportedError: it has no float64 form or no error model.
    """
    if name == "linear":
        return LINEAR
    if name in _DERIVED:
        return _DERIVED[name](fmt)
    if name == "hard_sigmoid":
        if generation == 0:
            raise UnsupportedError(
                "hard_sigmoid differs between Keras 2 and 3, and which it was is not recorded"
            )
        return measured(f"hard_sigmoid_{generation}", fmt)
    if name not in _MEASURED:
        raise UnsupportedError(f"its activation {name!r} has no rule")
    return measured(_MEASURED[name], fmt)


def _of_keras(spec: Mapping[str, JsonValue]) -> bool:
    """Say whether an object comes from Keras and not from a class of the same name elsewhere."""
    module, registered = spec.get("module"), spec.get("registered_name")
    if isinstance(registered, str) and ">" in registered:
        return False
    return not isinstance(module, str) or module.partition(".")[0] in ("keras", "tf_keras")


def _layer(cls: str, config: Config, generation: Generation, fmt: Format) -> Activation:
    """Return the activation that a layer inside another layer's configuration is."""
    policy = policy_name(config.get("dtype")).removeprefix("mixed_")
    if policy and policy != fmt.name:
        raise UnsupportedError(
            f"its activation {cls} computes in {policy} and the layer itself in {fmt.name}"
        )
    return LAYERS[cls](config, generation, fmt)


def _operation(cls: str, config: Config, generation: Generation, fmt: Format) -> Activation:
    """Return the activation that an operation of Keras 3 is."""
    if cls in _OPERATIONS:
        return _OPERATIONS[cls](config, generation, fmt)
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls).lower()
    if set(config) <= {"name"} and (name in _MEASURED or name == "hard_sigmoid"):
        return named(name, generation, fmt)
    raise UnsupportedError(f"its activation {cls!r} has no rule")


def _activation_layer(config: Config, generation: Generation, fmt: Format) -> Activation:
    return activation_of(config.get("activation"), generation, fmt)


def _relu_layer(config: Config, _generation: Generation, fmt: Format) -> Activation:
    most = config.get("max_value")
    return activations.relu(
        _number(config, ("negative_slope",), 0.0),
        _number(config, ("threshold",), 0.0),
        None if most is None else _number(config, ("max_value",), 0.0),
        fmt,
    )


def _leaky_layer(config: Config, _generation: Generation, fmt: Format) -> Activation:
    return activations.leaky_relu(_number(config, ("negative_slope", "alpha"), 0.3), fmt)


def _elu(config: Config, _generation: Generation, fmt: Format) -> Activation:
    return activations.elu(_number(config, ("alpha",), 1.0), fmt)


def _thresholded_layer(config: Config, _generation: Generation, fmt: Format) -> Activation:
    return activations.threshold(_number(config, ("theta",), 1.0), 0.0, fmt)


def _leaky(config: Config, _generation: Generation, fmt: Format) -> Activation:
    return activations.leaky_relu(_number(config, ("negative_slope",), 0.2), fmt)


def _celu(config: Config, _generation: Generation, fmt: Format) -> Activation:
    return activations.celu(_number(config, ("alpha",), 1.0), fmt)


def _gelu(config: Config, _generation: Generation, fmt: Format) -> Activation:
    return measured("gelu" if config.get("approximate") is False else "gelu_tanh", fmt)


def _squareplus(config: Config, _generation: Generation, fmt: Format) -> Activation:
    return activations.squareplus(_number(config, ("b",), 4.0), fmt)


def _hard_shrink(config: Config, _generation: Generation, fmt: Format) -> Activation:
    return activations.hard_shrink(_number(config, ("threshold",), 0.5), fmt)


def _soft_shrink(config: Config, _generation: Generation, fmt: Format) -> Activation:
    return activations.soft_shrink(_number(config, ("threshold",), 0.5), fmt)


def _threshold(config: Config, _generation: Generation, fmt: Format) -> Activation:
    least, default = (_number(config, (key,), None) for key in ("threshold", "default_value"))
    return activations.threshold(least, default, fmt)


Build = Callable[[Config, Generation, Format], Activation]

#: Layers that are nothing but an activation; a configuration may also name one as an activation.
LAYERS: Final[dict[str, Build]] = {
    "Activation": _activation_layer,
    "ReLU": _relu_layer,
    "LeakyReLU": _leaky_layer,
    "ELU": _elu,
    "ThresholdedReLU": _thresholded_layer,
}

#: Operations of Keras 3 that have constants.
_OPERATIONS: Final[dict[str, Build]] = {
    "Celu": _celu,
    "Elu": _elu,
    "Gelu": _gelu,
    "HardShrink": _hard_shrink,
    "LeakyRelu": _leaky,
    "SoftShrink": _soft_shrink,
    "Squareplus": _squareplus,
    "Threshold": _threshold,
}


def _number(config: Config, keys: tuple[str, ...], default: float | None) -> float:
    for key in keys:
        if config.get(key) is not None:
            found = as_number(config[key])
            if found is None:
                raise UnsupportedError(f"its {key} is not a number")
            return found
    if default is None:
        raise UnsupportedError(f"its {keys[0]} was not recorded")
    return default


# The activation at the end of a layer, by whatever name its configuration gives it.


def apply_activation(
    spec: JsonValue,
    generation: Generation,
    z: F64,
    error: Callable[[], F64] | None = None,
    fmt: Format = FLOAT32,
) -> Evaluation:
    """Evaluate the activation ``spec`` of a layer at ``z``, its sum before the activation.

    ``error()`` bounds how far the argument that was computed in ``fmt`` may be from ``z`` (None:
    it is known exactly). Softmax and its
    logarithm run over the last axis; everything else is unary.

    Raises:
        UnsupportedError: the activation has no float64 form or no error model in ``fmt``; the
            message is a sentence that says so.
    """
    if spec == "softmax":
        return softmax(z, -1, error, fmt)
    if spec == "log_softmax":
        return log_softmax(z, -1, error, fmt)
    return activation_of(spec, generation, fmt).evaluate(z, error)


def added_by(spec: JsonValue, generation: Generation, fmt: Format = FLOAT32) -> float:
    """Return the constant that an activation adds to its argument first, 0 if there is none.

    Raises:
        UnsupportedError: the activation is not known.
    """
    if spec in ("softmax", "log_softmax"):
        return 0.0
    return activation_of(spec, generation, fmt).form.added


# Layers that apply an activation to each element of their input.


def unary(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate the layer; its input is known exactly."""
    x = single(inputs)
    spec = layer.config.get("activation")
    name = class_name(layer.cls) or ""
    if name == "Activation" and (spec is None or spec == "linear"):
        return (Evaluation(x),)
    fmt = layer.arithmetic()
    if name == "Activation":
        return (apply_activation(spec, layer.generation, x, fmt=fmt),)
    return (LAYERS[name](layer.config, layer.generation, fmt).evaluate(x),)


def parametric(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate a PReLU layer: its weight ``alpha`` has one slope for each element of a sample.

    Raises:
        UnsupportedError: the slopes do not fit the input.
    """
    x = single(inputs)
    slopes = layer.numbers("alpha")["alpha"]
    fits = slopes.ndim == x.ndim - 1 and all(
        own in (1, size) for own, size in zip(slopes.shape, x.shape[1:], strict=True)
    )
    if not fits:
        raise UnsupportedError(
            f"its input of shape {x.shape} does not fit slopes of shape {slopes.shape}"
        )
    return (prelu(slopes, layer.arithmetic()).evaluate(x),)


RULES: Final[Mapping[str, Rule]] = {
    **dict.fromkeys(LAYERS, unary),
    "PReLU": parametric,
    "Softmax": layer,
}
