"""Which layers are exact on small whole numbers, and what they then make.

For each layer that adds or multiplies, :mod:`bridge.compare.exact.sizes` measures the terms of its
sums, and :mod:`bridge.compare.exact.grid` says whether every order of summation is then exact.
Layers that hand on elements are exact on everything that their type holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from pydantic import JsonValue

from bridge.compare.exact.grid import InexactError, check_held, check_sum, grid, units
from bridge.compare.exact.sizes import PIECEWISE_LAYERS, SIZES, SUMS_OF_PRODUCTS
from bridge.compare.numbers import AnyArray
from bridge.compare.rules import Layer, class_name, evaluate
from bridge.compare.rules.layer import as_number
from bridge.compare.rules.rounding import FLOAT32

#: Layers whose outputs are elements of their inputs or weights, or zeros.
_MOVES: Final = frozenset(
    {
        "ActivityRegularization",
        "AlphaDropout",
        "Concatenate",
        "Dropout",
        "Embedding",
        "Flatten",
        "GaussianDropout",
        "GaussianNoise",
        "Identity",
        "Maximum",
        "Minimum",
        "Permute",
        "RepeatVector",
        "Reshape",
        *(f"{kind}{n}D" for n in (1, 2, 3) for kind in
          ("Cropping", "GlobalMaxPooling", "MaxPooling", "SpatialDropout", "UpSampling",
           "ZeroPadding")),
    }
)  # fmt: skip

#: Activations that are linear between a few corners.
_PIECEWISE: Final = frozenset(
    {"linear", "relu", "relu6", "hard_tanh", "hard_shrink", "soft_shrink", "threshold"}
)

#: A slope has so many units before the point and parts after it at most: its products stay short.
_SLOPE: Final = 2.0**8

_RECURRENT: Final = frozenset(
    {"RNN", "SimpleRNN", "LSTM", "GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "Bidirectional"}
)


_GROWS: Final = frozenset(
    {*SUMS_OF_PRODUCTS, "Add", "BatchNormalization", "Dot", "Multiply", "PReLU", "Subtract"}
)


@dataclass(frozen=True)
class Exact:
    """What a layer makes of numbers on a grid, in float32 where it is not of integers.

    ``units`` is the largest sum of magnitudes that occurs, in units of the grid. ``depends`` is
    empty, or says on what the exactness rests beyond the exact arithmetic of sums.
    """

    value: AnyArray
    units: float
    depends: str = ""


def rounds(spec: JsonValue) -> str:
    """Return the name of an activation that rounds, or nothing for one that is exact on a grid."""
    if spec is None:
        return ""
    if isinstance(spec, str):
        return "" if spec in _PIECEWISE else spec
    cls, config = (
        (spec.get("class_name"), spec.get("config")) if isinstance(spec, dict) else (None, None)
    )
    if cls in PIECEWISE_LAYERS and isinstance(config, dict):
        return f"{cls} ({why})" if (why := _steep(config)) else ""
    if cls == "Activation" and isinstance(config, dict):
        return rounds(config.get("activation"))
    return str(cls or "a function of the script's own")


def _steep(config: Mapping[str, JsonValue]) -> str:
    """Say why a slope is not exact on whole numbers, or return nothing."""
    for key in ("negative_slope", "alpha"):
        slope = as_number(config.get(key))
        if slope is None:
            continue
        short = FLOAT32.held(slope) * _SLOPE
        if short != round(short) or abs(short) > _SLOPE**2:
            return f"a slope of {slope:g} has too many bits"
    return ""


def why_never(cls: str, config: Mapping[str, JsonValue]) -> str:
    """Say why a layer is exact on no numbers worth trying, or return nothing."""
    name = class_name(cls)
    if name is None:
        return f"{cls} is not a layer of Keras"
    if name in _RECURRENT:
        return f"{name} is recurrent, and its activations round"
    if name == "Embedding" and config.get("mask_zero"):
        return "it makes a mask, which the layers after it follow"
    if name.startswith("UpSampling") and config.get("interpolation", "nearest") != "nearest":
        return f"its interpolation {config.get('interpolation')!r} rounds"
    if name == "Activation":
        found = rounds(config.get("activation"))
        return f"its activation {found!r} rounds" if found else ""
    if name in PIECEWISE_LAYERS and (why := _steep(config)):
        return why
    if name in _MOVES or name in SIZES:
        return ""
    return f"nothing shows that {name} is exact on whole numbers"


def may_be_bare(cls: str) -> bool:
    """Say whether a layer can be probed without its activation."""
    return class_name(cls) in SUMS_OF_PRODUCTS


def grows(cls: str) -> bool:
    """Say whether numbers may be larger after a layer than before it."""
    return class_name(cls) in _GROWS


def exact_output(layer: Layer, inputs: Sequence[AnyArray]) -> Exact:
    """Return what the layer makes of ``inputs``, having checked that nothing can be rounded.

    Raises:
        InexactError: something may be rounded; the message names the number.
        UnsupportedError: the layer has no float64 rule.
    """
    name = class_name(layer.cls) or ""
    why = why_never(layer.cls, layer.config)
    inner = "" if name == "Activation" else rounds(layer.config.get("activation"))
    if why or inner:
        raise InexactError(why or f"its activation {inner!r} rounds")
    fmt = layer.arithmetic()
    for x in inputs:
        if x.dtype.kind == "f":
            check_held(x.astype(np.float64), fmt, "an input")
    ideal, depends = _ideal(layer)
    largest = 0.0
    if name in SIZES:
        size, step = SIZES[name](ideal, [np.asarray(x, np.float64) for x in inputs])
        check_sum(size, step, fmt)
        largest = size / step
    evaluations = evaluate(ideal, inputs, received=False)
    if len(evaluations) != 1:
        raise InexactError(f"it has {len(evaluations)} outputs")
    value = evaluations[0].value
    if value.dtype.kind == "f":
        check_held(value.astype(np.float64), fmt, "an output")
        value = value.astype(np.float32)
    return Exact(value, max(largest, units(value, grid(value))), depends)


def _ideal(layer: Layer) -> tuple[Layer, str]:
    """Return the layer with its constants as exact arithmetic sees them, and what that rests on."""
    name = class_name(layer.cls) or ""
    if name == "BatchNormalization":
        return _ideal_normalization(layer), "that 1 / sqrt(x) is exact for powers of four"
    if name in SUMS_OF_PRODUCTS and name != "Dense" and set(layer.devices) - {"CPU"}:
        return layer, "that the device adds products, and does not transform them first (Winograd)"
    return layer, ""


def _ideal_normalization(layer: Layer) -> Layer:
    """Return the layer with variance + epsilon as the one number that the kernels compute."""
    fmt = layer.arithmetic()
    epsilon = np.float32(layer.number("epsilon", 1e-3))
    variance = layer.weights.get("moving_variance")
    if variance is None:
        raise InexactError("it has no moving variance")
    total = np.asarray(variance, np.float32) + epsilon
    _, exponent = np.frexp(total.astype(np.float64))
    if not ((np.ldexp(0.5, exponent) == total) & (exponent % 2 == 1)).all():
        raise InexactError("its variance + epsilon is not a power of four, so its root rounds")
    check_held(layer.weights["moving_mean"].astype(np.float64), fmt, "its moving mean")
    weights = {**layer.weights, "moving_variance": total}
    return replace(layer, weights=weights, config={**layer.config, "epsilon": 0.0})
