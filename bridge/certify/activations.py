"""The activation of a layer, with the errors that its kernels may make.

A kernel is given some argument v within e of the exact z, and returns y with
|y - f(z)| <= |f(v) - f(z)| + |y - f(v)|. The first part is largest at an end of the interval or
where f turns inside it; the second is what was measured, for values between the least and the
largest that f takes there, or follows from the operations where a constant makes f one of many.

In a type shorter than float32 a fused kernel may be given the float32 sum instead, which was not
among the measured inputs of the short type: then it makes the error of the float32 kernel, and
rounds its result to the short type.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from pydantic import JsonValue

from bridge.certify import functions
from bridge.certify.exact import F64, UPWARDS
from bridge.certify.functions import PLAIN, Function
from bridge.certify.given import computes_in, number
from bridge.certify.kinds import FLOAT32, Kind, MisfitError, UncheckedError
from bridge.certify.table import errors_of, flushing


@dataclass(frozen=True)
class Reach:
    """The arguments that a kernel may have been given, and the values that f takes there."""

    low_z: F64
    high_z: F64
    low: F64
    high: F64

    @property
    def largest(self) -> F64:
        """The largest magnitude of a value."""
        return UPWARDS * np.maximum(np.abs(self.low), np.abs(self.high))


#: What returns its argument or a constant: all that it can lose, anywhere, is what it flushes.
_COMPARING: Final = ("relu", "relu6", "hard_tanh")

#: What a kernel's result may be off by, given its reach.
KernelError = Callable[[Reach], F64]


@dataclass(frozen=True)
class Activation:
    """A function and the error of its kernels; ``unrounded`` for arguments of more digits."""

    function: Function
    error: KernelError
    unrounded: KernelError | None = None


def activation_of(spec: JsonValue, generation: int, kind: Kind) -> Activation | None:
    """Return the activation that a configuration names; None for the identity.

    Raises:
        UncheckedError: there is no formula for it here.
    """
    if spec is None or spec == "linear":
        return None
    if isinstance(spec, str):
        return _named(spec, generation, kind)
    if isinstance(spec, dict) and _of_keras(spec):
        cls, config = spec.get("class_name"), spec.get("config")
        if isinstance(cls, str) and isinstance(config, dict):
            if cls in LAYERS and "dtype" in config and computes_in(config) != kind.name:
                raise UncheckedError(f"its activation {cls} computes in another type")
            return of_class(cls, config, generation, kind)
    raise UncheckedError("its activation is not one of Keras")


def _of_keras(spec: Mapping[str, JsonValue]) -> bool:
    """Say whether an object comes from Keras, as far as its configuration tells."""
    module, registered = spec.get("module"), spec.get("registered_name")
    if isinstance(registered, str) and ">" in registered:
        return False
    return not isinstance(module, str) or module.split(".")[0] in ("keras", "tf_keras")


def of_class(
    cls: str, config: Mapping[str, JsonValue], generation: int, kind: Kind
) -> Activation | None:
    """Return the activation that a layer, or an operation of Keras 3, is.

    Raises:
        UncheckedError: there is no formula for it here.
    """
    if cls == "Activation":
        return activation_of(config.get("activation"), generation, kind)
    constants = {**LAYERS, **_OPERATIONS}.get(cls)
    if constants is not None:
        return constants(_Constants(config), kind)
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls).lower()
    if set(config) <= {"name"}:
        return _named(words, generation, kind)
    raise UncheckedError(f"there is no formula for {cls} here")


class _Constants:
    """The constants of a configuration."""

    def __init__(self, config: Mapping[str, JsonValue]) -> None:
        self._config = config

    def __call__(self, default: float | None, *keys: str) -> float:
        for key in keys:
            if self._config.get(key) is not None:
                found = number(self._config[key])
                if found is None or not math.isfinite(found):
                    raise UncheckedError(f"its {key} is not a number")
                return found
        if default is None:
            raise UncheckedError(f"its {keys[0]} was not recorded")
        return default

    def flag(self, key: str) -> JsonValue:
        return self._config.get(key)


def _named(name: str, generation: int, kind: Kind) -> Activation:
    name = {"swish": "silu", "hard_swish": "hard_silu"}.get(name, name)
    if name in _CONSTANTS:
        return _CONSTANTS[name](kind)
    if name == "hard_sigmoid":
        if generation not in (2, 3):
            raise UncheckedError("hard_sigmoid is not the same in Keras 2 and 3")
        name = f"hard_sigmoid_{generation}"
    if name not in PLAIN or name == "gelu_tanh":
        raise UncheckedError(f"there is no formula for the activation {name!r} here")
    return measured(name, kind)


def measured(name: str, kind: Kind) -> Activation:
    """Return an activation whose kernels were measured in a type.

    Raises:
        UncheckedError: they were not.
    """
    whole = replace(FLOAT32, kernels=kind.kernels)
    own, single = errors_of(name, kind), errors_of(name, whole)
    if own is None or single is None:
        raise UncheckedError(f"the kernels of {name} were not measured in {kind.name}")
    if name in _COMPARING:
        own, single = flushing(own, kind), flushing(single, whole)

    def unrounded(reach: Reach) -> F64:
        error = single.between(reach.low, reach.high)
        cut = 2.0 if kind.cut else 1.0
        return error + cut * kind.half_steps(reach.largest + error) + kind.tiny

    return Activation(
        PLAIN[name],
        lambda reach: own.between(reach.low, reach.high),
        None if kind.name == FLOAT32.name else unrounded,
    )


def leaky(slope: float, kind: Kind) -> Activation:
    """One product below zero, by a slope of float32 or of the type itself."""
    whole = FLOAT32.constant(slope)
    gap = abs(whole - kind.constant(slope))

    def error(reach: Reach) -> F64:
        off = gap * np.maximum(-reach.low_z, 0.0)
        product = off + kind.half_steps(reach.largest + off)
        return np.where(reach.low_z < 0.0, product, 0.0) + max(1.0, abs(whole)) * kind.tiny

    return Activation(functions.leaky(whole), error)


def slopes(values: F64, kind: Kind) -> KernelError:
    """The same for PReLU, whose slopes are numbers of the type, one for each element."""

    def error(reach: Reach) -> F64:
        product = np.where(reach.low_z < 0.0, kind.half_steps(reach.largest), 0.0)
        return np.asarray(product + np.maximum(1.0, np.abs(values)) * kind.tiny)

    return error


def _elu(alpha: float, kind: Kind) -> Activation:
    unit, alpha = measured("elu", kind), kind.constant(alpha)
    if alpha == 1.0:
        return unit

    def error(reach: Reach) -> F64:
        kernel = _inner(unit, np.expm1(np.minimum(reach.low_z, 0.0)) + np.maximum(reach.low_z, 0.0),
                        np.expm1(np.minimum(reach.high_z, 0.0)) + np.maximum(reach.high_z, 0.0),
                        reach)  # fmt: skip
        product = kind.half_steps(reach.largest + abs(alpha) * kernel)
        return np.maximum(kernel, abs(alpha) * kernel + product + kind.tiny)

    return Activation(functions.elu(alpha), error)


def _celu(alpha: float, kind: Kind) -> Activation:
    unit, alpha = measured("celu", kind), kind.constant(alpha)
    if alpha == 1.0:
        return unit
    if not alpha > 0.0:
        raise UncheckedError(f"its alpha is {alpha}")
    grown = gamma(4, kind)

    def error(reach: Reach) -> F64:
        # |q exp(q)| <= |expm1(q)|: an error of q = z / alpha changes expm1 by no larger a factor.
        size = reach.largest / alpha
        first = np.expm1(np.minimum(reach.low_z, 0.0) * (1.0 + grown) / alpha)
        last = np.expm1(np.minimum(reach.high_z, 0.0) * (1.0 - grown) / alpha)
        inner = _inner(unit, first, last, reach) + grown * size + kind.tiny
        product = alpha * inner + kind.half_steps(alpha * (size + inner))
        return np.where(reach.low_z < 0.0, product, 0.0) + kind.tiny

    return Activation(functions.celu(alpha), error)


def _rectifier(slope: float, edge: float, most: float | None, kind: Kind) -> Activation:
    if edge == 0.0 and most is None:
        return measured("relu", kind) if slope == 0.0 else leaky(slope, kind)
    if most is not None and most < 0.0:
        raise UncheckedError(f"its max_value is {most}")
    slope, edge = kind.constant(slope), kind.constant(edge)

    def error(reach: Reach) -> F64:
        # A difference and a product.
        below = np.where(reach.low_z <= edge, gamma(2, kind) * reach.largest, 0.0)
        return np.asarray(below + (2.0 + abs(slope)) * kind.tiny)

    top = None if most is None else kind.constant(most)
    return Activation(functions.rectifier(slope, edge, top), error)


def _squareplus(b: float, kind: Kind) -> Activation:
    b = kind.constant(b)
    if b < 0.0:
        raise UncheckedError(f"its b is {b}")
    flushed = min(math.sqrt(2.0 * kind.tiny), 2.0 * kind.tiny / math.sqrt(b) if b else math.inf)

    def error(reach: Reach) -> F64:
        widest = np.maximum(np.abs(reach.low_z), np.abs(reach.high_z))
        square = (widest * widest + b) * (1.0 + gamma(4, kind))
        root = gamma(4, kind) * np.sqrt(square) + flushed
        found = root + kind.u * (reach.largest + root) + 2.0 * kind.tiny
        return np.where(square < kind.limit * UPWARDS, found, np.inf)

    return Activation(functions.squareplus(b), error)


def _threshold(edge: float, default: float, kind: Kind) -> Activation:
    edge, default = kind.constant(edge), kind.constant(default)
    return Activation(
        functions.threshold(edge, default), _choice(edge, abs(edge - default), kind)
    )  # fmt: skip


def _hard_shrink(edge: float, kind: Kind) -> Activation:
    edge = kind.constant(edge)
    return Activation(functions.hard_shrink(edge), _choice(edge, abs(edge), kind))


def _soft_shrink(edge: float, kind: Kind) -> Activation:
    edge = kind.constant(edge)
    if edge < 0.0:
        raise UncheckedError(f"its threshold is {edge}")
    return Activation(
        functions.soft_shrink(edge),
        lambda reach: kind.half_steps(reach.largest) + 2.0 * kind.tiny,
    )


def _choice(edge: float, jump: float, kind: Kind) -> KernelError:
    """Nothing is rounded; an argument that is taken for zero may land on the other side."""

    def error(reach: Reach) -> F64:
        zero = (reach.low_z < kind.tiny) & (reach.high_z > -kind.tiny) & (abs(edge) < kind.tiny)
        return np.where(zero, jump, 0.0) + kind.tiny

    return error


def _inner(unit: Activation, low: F64, high: F64, reach: Reach) -> F64:
    """Return the error of a kernel that never falls, for values between two."""
    inside = Reach(reach.low_z, reach.high_z, low, np.maximum(low, high))
    found = unit.error(inside)
    return found if unit.unrounded is None else np.maximum(found, unit.unrounded(inside))


def gamma(n: int, kind: Kind) -> float:
    """Return n u / (1 - n u), what n roundings may amount to.

    Raises:
        MisfitError: they may amount to more than the number itself.
    """
    grown = n * kind.u
    if grown > 0.5:
        raise MisfitError(f"{n} roundings in {kind.name} leave no bound")
    return UPWARDS * grown / (1.0 - grown)


def _relu(c: _Constants, kind: Kind) -> Activation:
    most = None if c.flag("max_value") is None else c(None, "max_value")
    return _rectifier(c(0.0, "negative_slope"), c(0.0, "threshold"), most, kind)


def _gelu(c: _Constants, kind: Kind) -> Activation:
    return measured("gelu" if c.flag("approximate") is False else "gelu_tanh", kind)


Build = Callable[[_Constants, Kind], Activation]

#: Layers that are an activation with constants.
LAYERS: Final[dict[str, Build]] = {
    "ReLU": _relu,
    "LeakyReLU": lambda c, kind: leaky(c(0.3, "negative_slope", "alpha"), kind),
    "ELU": lambda c, kind: _elu(c(1.0, "alpha"), kind),
    "ThresholdedReLU": lambda c, kind: _threshold(c(1.0, "theta"), 0.0, kind),
}

#: Names that stand for an activation with the constants that Keras gives it.
_CONSTANTS: Final[dict[str, Callable[[Kind], Activation]]] = {
    "leaky_relu": lambda kind: leaky(0.2, kind),
    "hard_shrink": lambda kind: _hard_shrink(0.5, kind),
    "soft_shrink": lambda kind: _soft_shrink(0.5, kind),
    "squareplus": lambda kind: _squareplus(4.0, kind),
}

#: Operations of Keras 3 with constants.
_OPERATIONS: Final[dict[str, Build]] = {
    "Celu": lambda c, kind: _celu(c(1.0, "alpha"), kind),
    "Elu": lambda c, kind: _elu(c(1.0, "alpha"), kind),
    "Gelu": _gelu,
    "HardShrink": lambda c, kind: _hard_shrink(c(0.5, "threshold"), kind),
    "LeakyRelu": lambda c, kind: leaky(c(0.2, "negative_slope"), kind),
    "SoftShrink": lambda c, kind: _soft_shrink(c(0.5, "threshold"), kind),
    "Squareplus": lambda c, kind: _squareplus(c(4.0, "b"), kind),
    "Threshold": lambda c, kind: _threshold(c(None, "threshold"), c(None, "default_value"), kind),
}
