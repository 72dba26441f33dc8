"""Whole numbers that float arithmetic adds exactly, chosen so that they show a fault.

They are multiples of one power of two, a grid: let every term of a sum be a multiple of q = 2^-k,
and let the magnitudes of all terms add up to at most 2^p q, where p is the number of significant
bits of the type. Every partial sum, in any order and with or without fused multiply-add, is then a
multiple of q of at most that magnitude, so it is a number of the type and nothing is rounded. (p is
24 for float32, 11 for float16, 8 for bfloat16.)

What makes a fault visible: no two units with the same weights, both signs in every unit, a bias
that is nowhere zero, and sums that are positive on some rows and negative on others, so that an
activation that is lost changes something. What keeps sums exact: few weights that are not zero
where there are many to add, and a bias in the middle of what is added, so that magnitudes do not
grow from layer to layer.

Three styles are drawn, because no one shows everything. ``sparse`` keeps all sums small, so that a
weight that is off by a little is not rounded away. ``dense`` uses as many weights at once as can be
added exactly. ``long`` starts from numbers of many bits, which a computation in fewer bits changes;
they are whole numbers of small units, so that an activation with a largest value leaves some.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from pydantic import JsonValue

from bridge._typing import F64, AnyArray
from bridge.capsule import LayerState
from bridge.facts.keras import ACTIVATIONS
from bridge.facts.layers import LAYERS, class_name, doing, facts_of, is_sum_of_products
from bridge.rounding.rules import Layer, UnsupportedError, evaluate
from bridge.rounding.rules.layer import as_number
from bridge.rounding.rules.merging import constants
from bridge.rounding.rules.rounding import FLOAT32, Format

#: No finer grid is looked for.
_FINEST: Final = 2.0**-64
_FEW: Final = 256


class InexactError(UnsupportedError):
    """Exactness cannot be shown here; the message is a sentence that says why, with the number."""


def grid(values: AnyArray) -> float:
    """Return a power of two of at most 1 that divides every value.

    Raises:
        InexactError: there is none that is coarse enough to be of use, or a value is not finite.
    """
    flat = np.asarray(values, np.float64).ravel()
    if not np.isfinite(flat).all():
        raise InexactError("a value is not finite")
    # A few values tell how fine the grid is at least; the others seldom need a finer one.
    return _divides(flat, _divides(flat[:_FEW], 1.0))


def _divides(values: F64, step: float) -> float:
    scaled = values / step
    while (scaled != np.rint(scaled)).any():
        step, scaled = step / 2.0, scaled * 2.0
        if step < _FINEST:
            raise InexactError("its numbers have too many bits to be added exactly")
    return step


def most_units(fmt: Format) -> float:
    """Return 2^p: up to so many units of a grid, every whole number is a number of the type."""
    return 2.0 ** (fmt.digits + 1)


def units(values: AnyArray, step: float) -> float:
    """Return the largest magnitude in units of the grid ``step``."""
    return float(np.abs(np.asarray(values, np.float64)).max(initial=0.0)) / step


def check_sum(size: float, step: float, fmt: Format) -> None:
    """Check that sums of terms of magnitude ``size`` together, on the grid ``step``, are exact.

    Raises:
        InexactError: they need not be.
    """
    if size / step > most_units(fmt):
        raise InexactError(
            f"the magnitudes of its terms add up to {size / step:.0f} units; whole numbers are "
            f"exact in {fmt.name} up to {most_units(fmt):.0f}"
        )


def check_held(values: F64, fmt: Format, what: str) -> None:
    """Check that every value is a number of the type.

    Raises:
        InexactError: one is not.
    """
    odd = np.flatnonzero(fmt.cast(values) != values)
    if odd.size:
        found = float(values.ravel()[odd[0]])
        raise InexactError(f"{what} would be {found!r}, which {fmt.name} does not hold exactly")


#: Rows on which weights are tried before they are kept.
_TRIED: Final = 16
_ROUNDS: Final = 3
#: A unit is tried again if it is active on a smaller or on a larger part than this of what it sees.
_PART: Final = 1 / 8
#: By the growth that a layer may cause at least: the largest weight. 1 is always allowed.
_WEIGHTS: Final = ((6.0, 3), (3.0, 2), (0.0, 1))


@dataclass(frozen=True)
class Style:
    """How numbers are drawn: inputs up to ``largest`` units, at most ``most`` weights in a unit.

    With ``long``, inputs are odd, all of the order of ``largest``, in units that make that small.
    """

    name: str
    largest: int
    most: int
    long: bool = False


class Chooser:
    """Draws the numbers of one model in one style, always the same for a seed."""

    def __init__(self, style: Style, seed: Sequence[int]) -> None:
        self.style = style
        self._rng = np.random.default_rng(list(seed))

    def inputs(self, shape: Sequence[int], dtype: str, below: int | None = None) -> AnyArray:
        """Return inputs, rows first; with ``below`` they are indices from 0 to below it.

        The first row is all zeros, and rows differ in how many zeros they have.
        """
        rng, rows = self._rng, shape[0]
        if below is not None:
            found: AnyArray = rng.integers(0, below, shape)
        elif self.style.long:
            found = self._long(shape)
            found = self._small(found) if np.dtype(dtype).kind not in "biu" else found
        else:
            share = rng.uniform(0.1, 1.0, (rows, *(1,) * (len(shape) - 1)))
            found = self._whole(shape, self.style.largest) * (rng.random(shape) < share)
        if below is None:
            found[:1] = 0
            if np.dtype(dtype).kind == "u":
                found = np.abs(found)
        return found.astype(dtype)

    def weights(
        self, state: LayerState, layer: Layer, inputs: Sequence[F64], growth: float
    ) -> dict[str, AnyArray]:
        """Return the weights of a layer that receives ``inputs``, by name.

        ``layer`` is the layer without weights; ``growth`` says by how much numbers may grow in it.
        """
        name = class_name(state.cls) or ""
        shapes = {weight.name: weight.array.shape for weight in state.weights}
        if not shapes:
            return {}
        few = [x[:_TRIED] for x in inputs]
        if name == "BatchNormalization":
            found = self._normalization(layer, shapes, few[0], growth)
        elif name == "Embedding":
            found = {key: self._table(shape) for key, shape in shapes.items()}
        elif any("kernel" in key for key in shapes):
            found = self._kernels(name, layer, shapes, few, growth)
        else:
            found = {key: self._whole(shape, 2) for key, shape in shapes.items()}
        dtypes = {weight.name: weight.array.dtype for weight in state.weights}
        return {key: value.astype(dtypes[key]) for key, value in found.items()}

    def _whole(self, shape: Sequence[int], largest: int) -> AnyArray:
        """Draw whole numbers from 1 to ``largest`` of either sign."""
        size = self._rng.integers(1, largest + 1, shape)
        return np.asarray(size * self._signs(shape))

    def _signs(self, shape: Sequence[int]) -> AnyArray:
        return np.asarray(self._rng.integers(0, 2, shape) * 2 - 1)

    def _long(self, shape: Sequence[int]) -> AnyArray:
        half = max(self.style.largest // 4, 1)
        return np.asarray((2 * self._rng.integers(half, 2 * half, shape) - 1) * self._signs(shape))

    def _small(self, units: AnyArray) -> AnyArray:
        """Return long numbers in units in which they are at most about 4."""
        return np.ldexp(units.astype(np.float64), 2 - self.style.largest.bit_length())

    def _table(self, shape: Sequence[int]) -> AnyArray:
        if self.style.long:
            return self._small(self._long(shape))
        return self._whole(shape, self.style.largest)

    def _kernels(
        self,
        name: str,
        layer: Layer,
        shapes: Mapping[str, tuple[int, ...]],
        inputs: Sequence[F64],
        growth: float,
    ) -> dict[str, AnyArray]:
        """Draw the kernels, and the units again whose sums have one sign; then the bias."""
        kernels = [key for key in shapes if key != "bias"]
        share = growth ** (1.0 / len(kernels))
        found = {key: self._kernel(name, key, shapes[key], share) for key in kernels}
        if "bias" in shapes:
            found["bias"] = np.zeros(shapes["bias"], np.int64)
        last, axes = kernels[-1], _unit_axes(name, kernels[-1])
        best, bias = self._balance(layer, found, inputs)
        for _ in range(_ROUNDS - 1):
            if best.min(initial=1.0) >= _PART:
                break
            again = self._kernel(name, last, shapes[last], share)
            part, part_bias = self._balance(layer, found | {last: again}, inputs)
            better = part > best
            kept = _by_unit(found[last], axes)
            kept[:, better] = _by_unit(again, axes)[:, better]
            found[last] = _from_unit(kept, shapes[last], axes)
            best, bias = np.maximum(part, best), np.where(better, part_bias, bias)
        if "bias" in shapes:
            found["bias"] = bias.reshape(shapes["bias"])
        return found

    def _balance(
        self, layer: Layer, weights: Mapping[str, AnyArray], inputs: Sequence[F64]
    ) -> tuple[F64, F64]:
        """Return for each unit the smaller part that its sums' signs have, and a bias for it."""
        config = {**layer.config, "activation": "linear"}
        whole = {key: value.astype(np.float32) for key, value in weights.items()}
        (evaluated,) = evaluate(
            replace(layer, weights=whole, config=config), inputs, received=False
        )
        channels = 1 if _first(layer.config, evaluated.value.ndim) else -1
        sums = np.moveaxis(evaluated.value, channels, -1).reshape(
            -1, evaluated.value.shape[channels]
        )
        bias = np.zeros(sums.shape[1])
        if "bias" in weights:
            bias = self._centre(sums)
            if _is_bounded(layer.config):
                bias = np.where(bias == -3.0, 6.0, bias + 3.0)
        active = (sums + bias > 0.0).mean(axis=0)
        return np.minimum(active, 1.0 - active), bias

    def _centre(self, sums: F64) -> F64:
        """Return minus the median of each column, on the grid, and nowhere zero."""
        step = grid(sums)
        middle = np.rint(np.median(sums, axis=0) / step) * step
        nudge = self._signs(middle.shape) * max(step, 1.0)
        return np.where(middle == nudge, -2.0 * nudge, nudge - middle)

    def _kernel(self, name: str, key: str, shape: tuple[int, ...], growth: float) -> AnyArray:
        """Draw a kernel: few weights that are not zero, but every channel is used by some unit."""
        axes = _unit_axes(name, key)
        by_unit = _by_unit(np.zeros(shape, np.int64), axes)
        terms, count = by_unit.shape
        # The axis before the units' is the channels'; a depthwise kernel has one channel each.
        channels = 1 if len(axes) == 2 else shape[-1] if axes == (-2,) else shape[-2]
        largest = next(weight for least, weight in _WEIGHTS if growth >= least)
        square = sum(weight**2 for weight in range(1, largest + 1)) / largest
        most = max(2, min(self.style.most, int(growth**2 / square)))
        if most >= terms:
            return _from_unit(self._unlike((terms, count), largest), shape, axes)
        places = self._rng.integers(0, terms // channels, channels) * channels
        dealt = np.arange(channels) + self._rng.integers(0, count)
        rows = places + self._rng.permutation(channels)
        by_unit[rows, dealt % count] = self._whole((channels,), largest)
        rows = self._rng.integers(0, terms, (most, count))
        by_unit[rows, np.arange(count)] = self._mixed((most, count), largest)
        return _from_unit(by_unit, shape, axes)

    def _unlike(self, shape: tuple[int, int], largest: int) -> AnyArray:
        """Draw weights, as far as can be so that no two columns are the same."""
        found = self._mixed(shape, largest)
        for more in range(1, _ROUNDS + 1):
            _, first = np.unique(found, axis=1, return_index=True)
            again = np.setdiff1d(np.arange(shape[1]), first)
            if not again.size:
                break
            found[:, again] = self._mixed((shape[0], again.size), largest + 2 * more)
        return found

    def _mixed(self, shape: tuple[int, int], largest: int) -> AnyArray:
        """Draw weights of both signs in every column that is longer than one."""
        found = self._whole(shape, largest)
        found[:1] = np.abs(found[:1])
        found[1:2] = -np.abs(found[1:2])
        if shape[0] < 2:
            return np.asarray(found * self._signs(shape))
        return np.asarray(self._rng.permuted(found, axis=0) if shape[0] < 64 else found)

    def _normalization(
        self, layer: Layer, shapes: Mapping[str, tuple[int, ...]], x: F64, growth: float
    ) -> dict[str, AnyArray]:
        """Draw a scale of powers of two, a mean in the middle, and variances with exact roots."""
        axis = layer.config.get("axis", -1)
        axis = axis[0] if isinstance(axis, list) and axis else axis
        channels = axis if isinstance(axis, int) else -1
        columns = np.moveaxis(x, channels, -1).reshape(-1, x.shape[channels])
        largest = 2 if growth >= 4.0 else 1
        found: dict[str, Any] = {key: self._whole(shape, 3) for key, shape in shapes.items()}
        if "gamma" in found:
            found["gamma"] = self._whole(shapes["gamma"], largest)
        if "moving_mean" in found:
            found["moving_mean"] = -self._centre(columns)
        if "moving_variance" in found:
            epsilon = np.float64(np.float32(as_number(layer.config.get("epsilon")) or 1e-3))
            least = 4.0 ** math.ceil(math.log(2.0 * epsilon, 4.0))
            first = max(least, 0.25 if largest > 1 else 1.0)
            powers = np.array([first, 4.0 * first if first < 1.0 else first])
            total = powers[np.arange(columns.shape[1]) % 2]
            found["moving_variance"] = (total - epsilon).reshape(shapes["moving_variance"])
        return found


def _is_bounded(config: Mapping[str, JsonValue]) -> bool:
    """Say whether a layer's activation has a largest value: there, zero is not the middle."""
    return config.get("activation") == "relu6"


def _unit_axes(name: str, key: str) -> tuple[int, ...]:
    """Return the axes of a kernel that number the units; the others are added over."""
    if key == "pointwise_kernel":
        return (-1,)
    if name.endswith("Transpose"):
        return (-2,)
    if name.startswith("DepthwiseConv") or key == "depthwise_kernel":
        return (-2, -1)
    return (-1,)


def _by_unit(kernel: AnyArray, axes: tuple[int, ...]) -> AnyArray:
    """Return a copy of a kernel as a matrix: one column for each unit."""
    last = tuple(range(-len(axes), 0))
    moved = np.moveaxis(kernel, axes, last)
    return moved.reshape(-1, math.prod(moved.shape[axis] for axis in last)).copy()


def _from_unit(matrix: AnyArray, shape: tuple[int, ...], axes: tuple[int, ...]) -> AnyArray:
    last = tuple(range(-len(axes), 0))
    moved = np.moveaxis(np.empty(shape, np.bool_), axes, last).shape
    return np.ascontiguousarray(np.moveaxis(matrix.reshape(moved), last, axes))


def _first(config: Mapping[str, JsonValue], rank: int) -> bool:
    return config.get("data_format") == "channels_first" and rank > 2


# Which layers are exact on small whole numbers, and what they then make.
#
# For each layer that adds or multiplies, the terms of its sums are measured: how large they are
# together, and on which grid. For sums of products the layer's own float64 rule, applied to the
# magnitudes of its inputs and weights, gives the sum of the terms' magnitudes.
# :class:`Exact` says whether every order of summation is then exact. Layers that hand
# on elements are exact on everything that their type holds.

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
    slopes += [np.float64(np.float32(number)).reshape(1) for number in given if number is not None]
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
