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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from pydantic import JsonValue

from bridge._typing import F64, AnyArray
from bridge.capsule import LayerState
from bridge.facts.layers import class_name
from bridge.rounding.rules import Layer, UnsupportedError, evaluate
from bridge.rounding.rules.layer import as_number
from bridge.rounding.rules.rounding import Format

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
            part, other = self._balance(layer, found | {last: again}, inputs)
            better = part > best
            kept = _by_unit(found[last], axes)
            kept[:, better] = _by_unit(again, axes)[:, better]
            found[last] = _from_unit(kept, shapes[last], axes)
            best, bias = np.maximum(part, best), np.where(better, other, bias)
        if "bias" in shapes:
            found["bias"] = bias.reshape(shapes["bias"])
        return found

    def _balance(
        self, layer: Layer, weights: Mapping[str, AnyArray], inputs: Sequence[F64]
    ) -> tuple[F64, F64]:
        """Return for each unit the smaller part that its sums' signs have, and a bias for it."""
        config = {**layer.config, "activation": "linear"}
        whole = {key: value.astype(np.float32) for key, value in weights.items()}
        (made,) = evaluate(replace(layer, weights=whole, config=config), inputs, received=False)
        channels = 1 if _first(layer.config, made.value.ndim) else -1
        sums = np.moveaxis(made.value, channels, -1).reshape(-1, made.value.shape[channels])
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
    return moved.reshape(-1, math.prod(moved.shape[each] for each in last)).copy()


def _from_unit(matrix: AnyArray, shape: tuple[int, ...], axes: tuple[int, ...]) -> AnyArray:
    last = tuple(range(-len(axes), 0))
    moved = np.moveaxis(np.empty(shape, np.bool_), axes, last).shape
    return np.ascontiguousarray(np.moveaxis(matrix.reshape(moved), last, axes))


def _first(config: Mapping[str, JsonValue], rank: int) -> bool:
    return config.get("data_format") == "channels_first" and rank > 2
