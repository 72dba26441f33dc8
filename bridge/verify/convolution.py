"""Convolutions as sums of products, exactly: which element meets which weight."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.rounding.rules.layer import Layer
from bridge.rounding.rules.products import Image, image_of, narrowing, widening
from bridge.verify.exact_arithmetic import Ints
from bridge.verify.exact_values import ExactLayer, Make, Placed
from bridge.verify.products import Elements, Product, Results
from bridge.verify.windows import taps_of, under_windows


@dataclass(frozen=True)
class _Sums:
    """Sums of products at positions of an output: its rows are numbered by batch and position."""

    product: Product
    lengths: tuple[int, ...]


def convolution(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> ExactLayer:
    """Conv1D, 2D, 3D: the kernel is (size..., channels of a group, filters)."""
    image, weights = image_of(layer, inputs, rank), weights_of(layer)
    kernel = weights["kernel"]
    groups = image.channels // kernel.shape[-2]
    return _whole(image, _narrow(layer, image, kernel, groups), weights)


def depthwise(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> ExactLayer:
    """DepthwiseConv1D, 2D: the kernel is (size..., channels, filters of each channel)."""
    image, weights = image_of(layer, inputs, rank), weights_of(layer)
    kernel = weights.get("depthwise_kernel", weights.get("kernel"))
    assert kernel is not None
    return _whole(image, _of_each_channel(layer, image, kernel), weights)


def separable(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> ExactLayer:
    """SeparableConv1D, 2D: a depthwise convolution without a bias, and one of a single tap."""
    image, weights = image_of(layer, inputs, rank), weights_of(layer)
    between = _of_each_channel(layer, image, weights["depthwise_kernel"])
    width = between.product.columns

    def rows(row: Ints, _group: Ints) -> Ints:
        return np.asarray(row[:, None] * width + np.arange(width)[None, :])

    pointwise = weights["pointwise_kernel"].reshape(width, -1)
    second = Product(Results(between.product), rows, pointwise)
    return _whole(image, replace(between, product=second), weights)


def transposed(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> ExactLayer:
    """Conv1DTranspose, 2D, 3D: the kernel is (size..., filters, channels)."""
    image, weights = image_of(layer, inputs, rank), weights_of(layer)
    kernel = np.moveaxis(weights["kernel"], -1, -2)
    axes = widening(layer, image, kernel.shape[:rank], kernel.shape[-1])
    taps = [taps_of(axis, transposed=True) for axis in axes]
    return _whole(image, _gathered(image, taps, kernel, 1), weights)


def weights_of(layer: Layer) -> dict[str, F64]:
    """Return all weights as the layer computes with them."""
    return layer.numbers(*layer.weights)


def _of_each_channel(layer: Layer, image: Image, kernel: F64) -> _Sums:
    """A depthwise convolution: one group for each channel, whose filters are next to each other."""
    *size, channels, filters = kernel.shape
    return _narrow(layer, image, kernel.reshape(*size, 1, channels * filters), channels)


def _narrow(layer: Layer, image: Image, kernel: F64, groups: int) -> _Sums:
    axes = narrowing(layer, image, kernel.shape[:-2], kernel.shape[-1])
    return _gathered(image, [taps_of(axis) for axis in axes], kernel, groups)


def _gathered(image: Image, taps: Sequence[Ints], kernel: F64, groups: int) -> _Sums:
    depth, columns = kernel.shape[-2:]
    space, channels = image.x.shape[:-1], image.channels
    lengths = tuple(len(table) for table in taps)
    tables = dict(enumerate(taps, start=1))

    def rows(row: Ints, group: Ints) -> Ints:
        at = under_windows(space, tables, np.unravel_index(row, (len(image.x), *lengths)))
        channel = group[:, None, None] * depth + np.arange(depth)
        found = at[:, :, None] * channels + channel
        return np.where(at[:, :, None] >= 0, found, -1).reshape(row.size, -1)

    return _Sums(Product(Elements(image.x), rows, kernel.reshape(-1, columns), groups), lengths)


def _whole(image: Image, sums: _Sums, weights: Mapping[str, F64]) -> ExactLayer:
    """Add the bias, and put the channels where the input has them."""
    product = replace(sums.product, bias=weights.get("bias"))
    if not image.channels_first:
        return product
    shape = (len(image.x), *sums.lengths, product.columns)
    order = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    return Placed(product, np.moveaxis(order, -1, 1).reshape(-1))


CONVOLUTIONS: Final[Mapping[str, Make]] = {
    **{f"Conv{rank}D": partial(convolution, rank=rank) for rank in (1, 2, 3)},
    **{f"Conv{rank}DTranspose": partial(transposed, rank=rank) for rank in (1, 2, 3)},
    **{f"DepthwiseConv{rank}D": partial(depthwise, rank=rank) for rank in (1, 2)},
    **{f"SeparableConv{rank}D": partial(separable, rank=rank) for rank in (1, 2)},
}
