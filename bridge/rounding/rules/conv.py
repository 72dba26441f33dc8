"""Convolutions: y = f(b + sum x w), summed over the taps of a window and the channels of a group.

Every result is a sum of products, so the any-order bound of a dot product holds for direct loops,
for im2col with a matrix product, with or without FMA, and for XLA's. It does not hold for
algorithms that transform the operands before they multiply, Winograd's and Fourier's: what cancels
in their transforms may be as large as products that the sum does not contain. Nor does it hold
where float32 operands are shortened to TensorFloat-32. cuDNN does all three, so on anything but a
CPU nothing is claimed.

On CPUs TensorFlow asks oneDNN for ``convolution_direct``; oneDNN takes Winograd only if asked for
it or for ``convolution_auto`` (uxlfoundation/oneDNN#1716), and the oneDNN 3.7 inside TensorFlow
2.21 has none for x86. TensorFlow's own kernels and XLA's are Eigen's, which sum products. One way
to Winograd exists, off by default: where oneDNN is off and the environment variable
TF_USE_DEEP_CONV2D is set, Conv2D with 3x3 windows and stride 1. It was found 13 times beyond the
bound on a kernel of mixed scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.rounding.rules.activate import added_by, apply_activation
from bridge.rounding.rules.conv_shapes import (
    Image,
    check_terms,
    image_of,
    kernel_of,
    narrowing,
    widening,
)
from bridge.rounding.rules.layer import Evaluation, Layer, Rule, UnsupportedError
from bridge.rounding.rules.sums import Product, dot_error
from bridge.rounding.rules.windows import convolve, spread


def convolution(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> tuple[Evaluation, ...]:
    """Evaluate Conv1D, Conv2D or Conv3D; the kernel is (size..., channels / groups, filters)."""
    _sums_products(layer)
    image, weights = image_of(layer, inputs, rank), layer.numbers("kernel", optional=("bias",))
    kernel = kernel_of(layer, weights["kernel"], rank)
    depth, filters = kernel.shape[-2:]
    groups = layer.config.get("groups", 1)
    if (
        type(groups) is not int
        or groups < 1
        or filters % groups
        or image.channels != groups * depth
    ):
        raise UnsupportedError(
            f"its kernel of shape {kernel.shape} does not fit {image.channels} channels in "
            f"{groups!r} groups"
        )
    return _whole(layer, image, weights, _under_windows(layer, image, kernel, groups))


def depthwise(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> tuple[Evaluation, ...]:
    """Evaluate DepthwiseConv1D or 2D; the kernel is (size..., channels, depth_multiplier)."""
    _sums_products(layer)
    name = "depthwise_kernel" if "depthwise_kernel" in layer.weights else "kernel"
    image, weights = image_of(layer, inputs, rank), layer.numbers(name, optional=("bias",))
    return _whole(layer, image, weights, _of_each_channel(layer, image, weights[name], rank))


def separable(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> tuple[Evaluation, ...]:
    """Evaluate SeparableConv1D or 2D: a depthwise convolution, then a matrix product.

    What the first makes is rounded, or kept in more digits where both are fused: its bound says how
    far the input of the second may be from the float64 value, whichever it was.
    """
    _sums_products(layer)
    names = ("depthwise_kernel", "pointwise_kernel")
    image, weights = image_of(layer, inputs, rank), layer.numbers(*names, optional=("bias",))
    first = _of_each_channel(layer, image, weights["depthwise_kernel"], rank)
    pointwise = weights["pointwise_kernel"]
    width, filters = first.w.shape[-1], pointwise.shape[-1] if pointwise.ndim else 0
    if pointwise.shape != (*(1,) * rank, width, filters):
        raise UnsupportedError(
            f"its pointwise_kernel of shape {pointwise.shape} does not fit {width} channels"
        )
    between = first.value()
    image.check(between.shape[1:-1], filters)
    matrix, terms = pointwise.reshape(width, filters), check_terms(width)

    def part(block: slice) -> Product:
        x = between[block]
        error = dot_error([replace(first, x=first.x[block])], None, x, layer.arithmetic())
        return Product(x, matrix, _matmul, terms, error)

    z = Product(between, matrix, _matmul, terms).value()
    return _finish(layer, image, weights, z, part)


def transposed(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> tuple[Evaluation, ...]:
    """Evaluate Conv1DTranspose, 2D or 3D; the kernel is (size..., filters, channels)."""
    _sums_products(layer)
    image, weights = image_of(layer, inputs, rank), layer.numbers("kernel", optional=("bias",))
    kernel = kernel_of(layer, weights["kernel"], rank)
    filters, channels = kernel.shape[-2:]
    if image.channels != channels:
        raise UnsupportedError(
            f"its kernel of shape {kernel.shape} does not fit {image.channels} channels"
        )
    if not np.isfinite(kernel).all():
        # Where the input is spread first, the zeros between its elements make NaN of infinity.
        raise UnsupportedError("its weights are not all finite")
    axes = widening(layer, image, kernel.shape[:rank], filters)
    terms = check_terms(channels * math.prod(axis.overlap for axis in axes))
    product = Product(image.x, kernel, partial(spread, axes=axes), terms)
    return _whole(layer, image, weights, product)


def _sums_products(layer: Layer) -> None:
    """Raise where the layer may have run on something that does more than add products."""
    if set(layer.devices) == {"CPU"}:
        return
    where = " or ".join(layer.devices) or "a device that was not recorded"
    raise UnsupportedError(
        f"it ran on {where}, which may convolve by Winograd, by FFT or in TensorFloat-32, for "
        "which no componentwise bound holds"
    )


def _of_each_channel(layer: Layer, image: Image, kernel: F64, rank: int) -> Product:
    """Return a depthwise convolution: as many groups as channels, each of so many filters."""
    kernel = kernel_of(layer, kernel, rank)
    *size, channels, depth = kernel.shape
    if channels != image.channels or depth != layer.config.get("depth_multiplier", depth):
        raise UnsupportedError(
            f"its kernel of shape {kernel.shape} does not fit {image.channels} channels"
        )
    return _under_windows(layer, image, kernel.reshape(*size, 1, channels * depth), channels)


def _under_windows(layer: Layer, image: Image, kernel: F64, groups: int) -> Product:
    *size, depth, filters = kernel.shape
    axes = narrowing(layer, image, tuple(size), filters)
    terms = check_terms(math.prod(size) * depth)
    return Product(image.x, kernel, partial(convolve, axes=axes, groups=groups), terms)


def _matmul(x: F64, kernel: F64) -> F64:
    # One matrix product instead of one for each row of an image.
    return (x.reshape(-1, len(kernel)) @ kernel).reshape(*x.shape[:-1], kernel.shape[-1])


def _whole(
    layer: Layer, image: Image, weights: Mapping[str, F64], product: Product
) -> tuple[Evaluation, ...]:
    """Finish a layer that adds the products of its input and nothing else."""
    return _finish(
        layer, image, weights, product.value(), lambda block: replace(product, x=product.x[block])
    )


def _finish(
    layer: Layer,
    image: Image,
    weights: Mapping[str, F64],
    z: F64,
    part: Callable[[slice], Product],
) -> tuple[Evaluation, ...]:
    """Add the bias to the sums ``z`` and apply the activation.

    ``part`` gives the products that ``z`` is made of, of a block of the batch.
    """
    fmt, bias = layer.arithmetic(), weights.get("bias")
    if layer.config.get("use_bias", bias is not None) is not (bias is not None):
        raise UnsupportedError("its use_bias is not what its weights say")
    if bias is not None:
        if bias.shape != z.shape[-1:]:
            raise UnsupportedError(f"its bias of shape {bias.shape} does not fit {z.shape[-1]}")
        with np.errstate(all="ignore"):
            z += bias

    spec = layer.config.get("activation")
    moved = layer.moved + added_by(spec, layer.generation, fmt)

    def activated(block: slice, error: F64 | None) -> Evaluation:
        sums = image.turned(z[block])
        known = None if error is None else lambda: error
        return apply_activation(spec, layer.generation, sums, known, fmt)

    def derive() -> F64:
        bound = np.empty(image.turned(z).shape)
        for block in image.blocks(z):
            error = image.turned(dot_error([part(block)], bias, z[block], fmt, moved))
            bound[block] = activated(block, error).bound
        return image.restored(bound)

    whole = activated(slice(None), None)
    return (replace(whole, value=image.restored(whole.value), derive=derive),)


RULES: Final[Mapping[str, Rule]] = {
    **{f"Conv{rank}D": partial(convolution, rank=rank) for rank in (1, 2, 3)},
    **{f"DepthwiseConv{rank}D": partial(depthwise, rank=rank) for rank in (1, 2)},
    **{f"SeparableConv{rank}D": partial(separable, rank=rank) for rank in (1, 2)},
    **{f"Conv{rank}DTranspose": partial(transposed, rank=rank) for rank in (1, 2, 3)},
}
