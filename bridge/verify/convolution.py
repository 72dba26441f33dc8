"""Convolutions as sums of products: which element meets which weight."""

from __future__ import annotations

import math

import numpy as np

from bridge.verify.exact import F64, Ints, exactly, largest
from bridge.verify.factors import Elements, Factors, Product
from bridge.verify.given import Given
from bridge.verify.kinds import MisfitError, UncheckedError
from bridge.verify.stages import Placed, Stage
from bridge.verify.sums import Affine
from bridge.verify.windows import Image, image_of


def convolution(given: Given, rank: int) -> Stage:
    """Conv1D, 2D, 3D: the kernel is (size..., channels of a group, filters)."""
    given.only("kernel", "bias")
    x, kernel = given.the_input(), given.weight("kernel")
    image = _image(given, x.shape, kernel, rank)
    depth, filters = kernel.shape[-2:]
    groups = image.channels // depth
    fits = groups * depth == image.channels and filters % groups == 0
    if not fits or groups != given.config.get("groups", 1):
        raise MisfitError(
            f"its kernel of shape {kernel.shape} is not for {image.channels} channels"
        )
    return _layer(given, image, _grouped(x, image, kernel, groups))


def depthwise(given: Given, rank: int) -> Stage:
    """DepthwiseConv1D, 2D: the kernel is (size..., channels, filters of each channel)."""
    name = "depthwise_kernel" if "depthwise_kernel" in given.weights else "kernel"
    given.only(name, "bias")
    x, kernel = given.the_input(), given.weight(name)
    image = _image(given, x.shape, kernel, rank)
    return _layer(given, image, _depthwise(x, image, kernel))


def separable(given: Given, rank: int) -> Stage:
    """SeparableConv1D, 2D: a depthwise convolution without a bias, and one of a single tap."""
    given.only("depthwise_kernel", "pointwise_kernel", "bias")
    x, kernel = given.the_input(), given.weight("depthwise_kernel")
    pointwise = given.weight("pointwise_kernel")
    image = _image(given, x.shape, kernel, rank)
    between = _depthwise(x, image, kernel)
    if pointwise.shape[:-1] != (*(1,) * rank, between.columns):
        raise MisfitError(f"its pointwise_kernel has shape {pointwise.shape}")
    w = pointwise.reshape(between.columns, -1)

    def rows(row: Ints, _group: Ints) -> Ints:
        return row[:, None] * between.columns + np.arange(between.columns)[None, :]

    first = Affine([between], None, given.kind)
    return _layer(given, image, Product(Made(first), rows, w))


def transposed(given: Given, rank: int) -> Stage:
    """Conv1DTranspose, 2D, 3D: the kernel is (size..., filters, channels)."""
    given.only("kernel", "bias")
    x, kernel = given.the_input(), given.weight("kernel")
    image = _image(given, x.shape, kernel, rank, transposed=True)
    channels = kernel.shape[-1]
    if channels != image.channels:
        raise MisfitError(
            f"its kernel of shape {kernel.shape} is not for {image.channels} channels"
        )
    met = math.prod(axis.overlap for axis in image.axes) * channels
    return _layer(given, image, _grouped(x, image, np.moveaxis(kernel, -1, -2), 1, met))


class Made:
    """First factors that were themselves computed from what was recorded."""

    def __init__(self, stage: Affine) -> None:
        self._stage = stage

    def take(self, places: Ints) -> Factors:
        """Return the results of the stage before at flat places."""
        some, which = np.unique(places, return_inverse=True)
        known = self._stage.at(some)
        which = which.reshape(places.shape)
        numbers = exactly(known.value, (some.size,))
        claimed = np.isfinite(known.error) & known.defined
        error = np.where(claimed, known.error, 0.0)
        size = np.where(known.defined, largest(known.value), 0.0) + error
        return Factors(
            numbers=numbers.pick(which),
            size=size[which],
            error=error[which],
            evaluated=np.where(known.defined, known.evaluated, 0.0)[which],
            finite=None if known.defined.all() else known.defined[which],
            claimed=None if claimed.all() else claimed[which],
        )


def _image(
    given: Given, shape: tuple[int, ...], kernel: F64, rank: int, *, transposed: bool = False
) -> Image:
    size = kernel.shape[:rank]
    if not given.on_cpu:
        raise UncheckedError("it did not run on a CPU alone, and may have been transformed")
    if kernel.ndim != rank + 2 or 0 in kernel.shape:
        raise MisfitError(f"its kernel has shape {kernel.shape}")
    if given.integers("kernel_size", rank, default=size) != size:
        raise MisfitError(f"its kernel of shape {kernel.shape} is not of its kernel_size")
    return image_of(given, shape, size, transposed=transposed)


def _misfit(kernel: F64, image: Image) -> MisfitError:
    return MisfitError(f"its kernel of shape {kernel.shape} is not for {image.channels} channels")


def _depthwise(x: F64, image: Image, kernel: F64) -> Product:
    channels, filters = kernel.shape[-2:]
    if channels != image.channels:
        raise MisfitError(
            f"its kernel of shape {kernel.shape} is not for {image.channels} channels"
        )
    # One group for each channel, whose filters are next to each other.
    return _grouped(x, image, kernel.reshape(*kernel.shape[:-2], 1, channels * filters), channels)


def _grouped(
    x: F64, image: Image, kernel: F64, groups: int, most: int | None = None
) -> Product:  # fmt: skip
    depth = kernel.shape[-2]

    def rows(row: Ints, group: Ints) -> Ints:
        channels = group[:, None] * depth + np.arange(depth)[None, :]
        return image.channel(image.look(row), channels)

    return Product(Elements(x), rows, kernel.reshape(-1, kernel.shape[-1]), groups, most)


def _layer(given: Given, image: Image, product: Product) -> Stage:
    bias = given.weight("bias") if "bias" in given.weights else None
    if bias is not None and bias.shape != (product.columns,):
        raise MisfitError(f"its bias has shape {bias.shape}")
    if image.positions * product.columns != math.prod(given.shape):
        raise MisfitError(f"its output has shape {given.shape}")
    sums = Affine([product], bias, given.kind)
    columns = product.columns
    return Placed(sums, lambda places: image.by_row(places, columns)) if image.first else sums
