"""Which activation a configuration names, in either Keras and in every notation.

A configuration holds a name ("relu"), a layer that is nothing but an activation, or, in Keras 3,
an operation such as ``Celu(alpha=2)``. What a script wrote itself has no rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from pydantic import JsonValue

from bridge.rounding.rules import families
from bridge.rounding.rules.activation import FORM_ERROR, LINEAR, Activation, measured
from bridge.rounding.rules.layer import Generation, UnsupportedError, as_number, policy_name
from bridge.rounding.rules.rounding import FLOAT32, Format

__all__ = ["FORM_ERROR", "LAYERS", "LINEAR", "Activation", "activation_of", "measured", "named"]

Config = Mapping[str, JsonValue]

#: Names that stand for a kernel as it was measured.
_MEASURED: Final[dict[str, str]] = {
    name: name
    for name in (
        "celu", "elu", "exponential", "gelu", "hard_silu", "hard_tanh", "log_sigmoid", "mish",
        "relu", "relu6", "selu", "sigmoid", "silu", "softplus", "softsign", "sparse_plus",
        "sparse_sigmoid", "tanh", "tanh_shrink",
    )
} | {"swish": "silu", "hard_swish": "hard_silu"}  # fmt: skip

#: Names of functions whose errors are derived, with the constants that Keras gives them.
_DERIVED: Final[dict[str, Callable[[Format], Activation]]] = {
    "leaky_relu": lambda fmt: families.leaky_relu(0.2, fmt),
    "hard_shrink": lambda fmt: families.hard_shrink(0.5, fmt),
    "soft_shrink": lambda fmt: families.soft_shrink(0.5, fmt),
    "squareplus": lambda fmt: families.squareplus(4.0, fmt),
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
    return families.relu(
        _number(config, ("negative_slope",), 0.0),
        _number(config, ("threshold",), 0.0),
        None if most is None else _number(config, ("max_value",), 0.0),
        fmt,
    )


def _leaky_layer(config: Config, _generation: Generation, fmt: Format) -> Activation:
    return families.leaky_relu(_number(config, ("negative_slope", "alpha"), 0.3), fmt)


def _elu(config: Config, _generation: Generation, fmt: Format) -> Activation:
    return families.elu(_number(config, ("alpha",), 1.0), fmt)


def _thresholded_layer(config: Config, _generation: Generation, fmt: Format) -> Activation:
    return families.threshold(_number(config, ("theta",), 1.0), 0.0, fmt)


def _leaky(config: Config, _generation: Generation, fmt: Format) -> Activation:
    return families.leaky_relu(_number(config, ("negative_slope",), 0.2), fmt)


def _celu(config: Config, _generation: Generation, fmt: Format) -> Activation:
    return families.celu(_number(config, ("alpha",), 1.0), fmt)


def _gelu(config: Config, _generation: Generation, fmt: Format) -> Activation:
    return measured("gelu" if config.get("approximate") is False else "gelu_tanh", fmt)


def _squareplus(config: Config, _generation: Generation, fmt: Format) -> Activation:
    return families.squareplus(_number(config, ("b",), 4.0), fmt)


def _hard_shrink(config: Config, _generation: Generation, fmt: Format) -> Activation:
    return families.hard_shrink(_number(config, ("threshold",), 0.5), fmt)


def _soft_shrink(config: Config, _generation: Generation, fmt: Format) -> Activation:
    return families.soft_shrink(_number(config, ("threshold",), 0.5), fmt)


def _threshold(config: Config, _generation: Generation, fmt: Format) -> Activation:
    least, default = (_number(config, (key,), None) for key in ("threshold", "default_value"))
    return families.threshold(least, default, fmt)


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
