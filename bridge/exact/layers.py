"""Which layers are exact on small whole numbers, and what they then make.

For each layer that adds or multiplies, the terms of its sums are measured: how large they are
together, and on which grid. For sums of products the layer's own float64 rule, applied to the
magnitudes of its inputs and weights, gives the sum of the terms' magnitudes.
:mod:`bridge.exact.integers` says whether every order of summation is then exact. Layers that hand
on elements are exact on everything that their type holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from pydantic import JsonValue

from bridge._typing import F64, AnyArray
from bridge.exact.integers import InexactError, check_held, check_sum, grid, units
from bridge.facts.activations import ACTIVATIONS
from bridge.facts.layers import LAYERS, class_name, doing, facts_of, is_sum_of_products
from bridge.rounding.rules import Layer, evaluate
from bridge.rounding.rules.layer import as_number
from bridge.rounding.rules.merging import constants
from bridge.rounding.rules.rounding import FLOAT32

#: The sum of the magnitudes of a layer's terms, and the grid that they are on.
Size = Callable[[Layer, Sequence[F64]], tuple[float, float]]


def _products(layer: Layer, inputs: Sequence[F64]) -> tuple[float, float]:
    """Measure sums of products of inputs and kernels, and a bias."""
    step = grid(inputs[0])
    weights: dict[str, AnyArray] = {}
    for name, weight in layer.weights.items():
        size = np.abs(weight)
        # A first sum whose result is multiplied by less than one would not show in the whole.
        weights[name] = np.maximum(size, 1) if name == "pointwise_kernel" else size
        if name != "bias":
            step *= grid(weight.astype(np.float64))
    if "bias" in weights:
        step = min(step, grid(layer.weights["bias"].astype(np.float64)))
    config = {**layer.config, "activation": "linear"}
    whole = evaluate(replace(layer, weights=weights, config=config), [np.abs(inputs[0])],
                     received=False)  # fmt: skip
    return units(whole[0].value, 1.0), step


def _sums(_layer: Layer, inputs: Sequence[F64]) -> tuple[float, float]:
    return units(np.sum([np.abs(x) for x in inputs], axis=0), 1.0), min(grid(x) for x in inputs)


def _average(layer: Layer, inputs: Sequence[F64]) -> tuple[float, float]:
    _power_of_two(len(inputs), "inputs")
    return _sums(layer, inputs)


def _multiply(_layer: Layer, inputs: Sequence[F64]) -> tuple[float, float]:
    steps = [grid(x) for x in inputs]
    sizes = [np.maximum(np.abs(x) / step, 1.0) for x, step in zip(inputs, steps, strict=True)]
    return units(math.prod(sizes[1:], start=sizes[0]), 1.0), 1.0


def _dot(layer: Layer, inputs: Sequence[F64]) -> tuple[float, float]:
    if layer.config.get("normalize"):
        raise InexactError("it divides by a norm, which rounds")
    whole = evaluate(layer, [np.abs(x) for x in inputs], received=False)
    return units(whole[0].value, 1.0), math.prod(grid(x) for x in inputs)


def _pooled(layer: Layer, inputs: Sequence[F64]) -> tuple[float, float]:
    (x,) = inputs
    axes = _spatial(layer, x)
    sizes = _each(layer.config.get("pool_size", 2), len(axes), "pool_size")
    strides = _each(layer.config.get("strides") or list(sizes), len(axes), "strides")
    if layer.config.get("padding", "valid") != "valid":
        for axis, size, stride in zip(axes, sizes, strides, strict=True):
            if (-(-x.shape[axis] // stride) - 1) * stride + size > x.shape[axis]:
                raise InexactError("its windows at the edge have fewer elements than the others")
    count = math.prod(sizes)
    _power_of_two(count, "elements in a window")
    return _mean(x, count)


def _global(layer: Layer, inputs: Sequence[F64]) -> tuple[float, float]:
    (x,) = inputs
    count = math.prod(x.shape[axis] for axis in _spatial(layer, x))
    _power_of_two(count, "elements in a window")
    return _mean(x, count)


def _mean(x: F64, count: int) -> tuple[float, float]:
    # Divided first or last: the terms are multiples of step / count, and of count times less.
    return units(x, 1.0), grid(x) / count


def _normalized(layer: Layer, inputs: Sequence[F64]) -> tuple[float, float]:
    """Measure (x - mean) gamma / sqrt(variance) + beta, in whatever order it is computed."""
    weights = {name: np.asarray(value, np.float64) for name, value in layer.weights.items()}
    scale = 1.0 / np.sqrt(weights["moving_variance"])
    gamma, beta = weights.get("gamma", np.ones(1)), weights.get("beta", np.zeros(1))
    mean = weights["moving_mean"]
    grown = np.maximum(scale, 1.0).max(initial=1.0) * max(1.0, units(gamma, 1.0))
    shrunk = np.minimum(scale, 1.0).min(initial=1.0) * grid(gamma)
    size = (units(inputs[0], 1.0) + units(mean, 1.0)) * float(grown) + units(beta, 1.0)
    step = min(min(grid(inputs[0]), grid(mean)) * float(shrunk), grid(beta))
    return size, step


def _rectified(layer: Layer, inputs: Sequence[F64]) -> tuple[float, float]:
    """Measure slope (x - threshold), of a layer or with one slope for each channel."""
    given = [as_number(layer.config.get(key)) for key in ("alpha", "negative_slope")]
    slopes = [np.asarray(layer.weights["alpha"], np.float64)] if "alpha" in layer.weights else []
    slopes += [np.float64(np.float32(each)).reshape(1) for each in given if each is not None]
    threshold = np.full(1, as_number(layer.config.get("threshold")) or 0.0)
    step = min(grid(inputs[0]), grid(threshold))
    size = units(inputs[0], 1.0) + units(threshold, 1.0)
    return (
        size * max(1.0, *(units(slope, 1.0) for slope in slopes), 1.0),
        step * min((grid(slope) for slope in slopes), default=1.0),
    )


def _rescaled(layer: Layer, inputs: Sequence[F64]) -> tuple[float, float]:
    fmt = layer.arithmetic()
    scale, offset = (constants(layer, key, start, fmt)
                     for key, start in (("scale", 1.0), ("offset", 0.0)))  # fmt: skip
    size = units(inputs[0], 1.0) * units(scale, 1.0) + units(offset, 1.0)
    return size, min(grid(inputs[0]) * grid(scale), grid(offset))


def _spatial(layer: Layer, x: F64) -> tuple[int, ...]:
    first = layer.config.get("data_format") == "channels_first"
    return tuple(range(2, x.ndim)) if first else tuple(range(1, x.ndim - 1))


def _each(value: JsonValue, count: int, key: str) -> tuple[int, ...]:
    items = value if isinstance(value, list) else [value] * count
    if len(items) != count or not all(isinstance(item, int) and item > 0 for item in items):
        raise InexactError(f"its {key} cannot be read")
    return tuple(item for item in items if isinstance(item, int))


def _power_of_two(count: int, what: str) -> None:
    if count < 1 or count & (count - 1):
        raise InexactError(f"it averages {count} {what}, and dividing by {count} rounds")


#: Activations that are linear between a few corners, as layers.
PIECEWISE_LAYERS: Final = frozenset({"ReLU", "LeakyReLU", "PReLU"})

#: By the class of a layer: how the terms of its sums are measured.
SIZES: Final[Mapping[str, Size]] = {
    **dict.fromkeys(doing("products"), _products),
    **dict.fromkeys(doing("adds", "subtracts"), _sums),
    **{f"AveragePooling{n}D": _pooled for n in (1, 2, 3)},
    **{f"GlobalAveragePooling{n}D": _global for n in (1, 2, 3)},
    **dict.fromkeys(("Activation", *PIECEWISE_LAYERS), _rectified),
    "Average": _average,
    "BatchNormalization": _normalized,
    "Dot": _dot,
    "Multiply": _multiply,
    "Rescaling": _rescaled,
}


#: A slope has so many units before the point and parts after it at most: its products stay short.
_SLOPE: Final = 2.0**8


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
        return "" if spec in ACTIVATIONS and ACTIVATIONS[spec].piecewise else spec
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
    facts = LAYERS.get(name)
    if facts is not None and facts.does == "recurs":
        return f"{name} is recurrent, and its activations round"
    if (facts is not None and facts.does == "masks") or config.get("mask_zero"):
        return "it makes a mask, which the layers after it follow"
    if name == "Concatenate" and config.get("axis") == 0:
        return "it joins rows, so that what it makes depends on how many it is given at a time"
    if name.startswith("UpSampling") and config.get("interpolation", "nearest") != "nearest":
        return f"its interpolation {config.get('interpolation')!r} rounds"
    if name == "Activation":
        found = rounds(config.get("activation"))
        return f"its activation {found!r} rounds" if found else ""
    if name in PIECEWISE_LAYERS and (why := _steep(config)):
        return why
    if name in SIZES or (facts is not None and facts.moves):
        return ""
    return f"nothing shows that {name} is exact on whole numbers"


def may_be_bare(cls: str) -> bool:
    """Say whether a layer can be probed without its activation."""
    return is_sum_of_products(cls)


def grows(cls: str) -> bool:
    """Say whether numbers may be larger after a layer than before it."""
    facts = facts_of(cls)
    return facts is not None and facts.grows


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
    if name != "Dense" and may_be_bare(layer.cls) and set(layer.devices) - {"CPU"}:
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
