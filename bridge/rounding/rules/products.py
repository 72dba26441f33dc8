"""Bounds of sums of products with a kernel: Dense, and convolutions of every kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.rounding.rules.activations import added_by, apply_activation
from bridge.rounding.rules.arithmetic import Product, dot_error
from bridge.rounding.rules.layer import Evaluation, Layer, Rule, UnsupportedError, single
from bridge.rounding.rules.rounding import FLOAT32, MOST_TERMS
from bridge.rounding.rules.windows import (
    AT_ONCE,
    Axis,
    channels_first,
    check_size,
    convolve,
    is_int,
    sizes,
    spread,
)

#: A bound takes about so many arrays of an output's size at a time.
_ARRAYS: Final = 8


@dataclass(frozen=True)
class Image:
    """An input with its batch axes made one and its channels put last, and the way back."""

    x: F64
    lead: tuple[int, ...]
    channels_first: bool

    @property
    def lengths(self) -> tuple[int, ...]:
        """The lengths of the spatial axes."""
        return tuple(int(length) for length in self.x.shape[1:-1])

    @property
    def channels(self) -> int:
        """The number of channels."""
        return int(self.x.shape[-1])

    def turned(self, y: F64) -> F64:
        """Return an output with its channels where the input had them."""
        return np.moveaxis(y, -1, 1) if self.channels_first else y

    def restored(self, y: F64) -> F64:
        """Return a turned output with the batch axes that the input had."""
        return y.reshape(*self.lead, *y.shape[1:])

    def blocks(self, y: AnyArray) -> Iterator[slice]:
        """Cut the batch of an output into blocks, so that what is made of one stays in a cache."""
        step = max(AT_ONCE // _ARRAYS // max(math.prod(y.shape[1:]), 1), 1)
        for start in range(0, len(y), step):
            yield slice(start, start + step)

    def check(self, lengths: Sequence[int], channels: int) -> None:
        """Refuse an array with these axes for each element of the batch if it is too large.

        Raises:
            UnsupportedError: it does not fit into memory.
        """
        check_size((len(self.x), *lengths, channels))


def image_of(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> Image:
    """Return the one input of a layer with ``rank`` spatial axes; more axes in front are batch.

    Raises:
        UnsupportedError: there is another number of inputs, or too few axes, or the layout is not
            known.
    """
    x, first = single(inputs), channels_first(layer)
    if x.ndim < rank + 2:
        raise UnsupportedError(f"its input of shape {x.shape} does not have {rank + 2} axes")
    lead = x.shape[: -rank - 1]
    x = np.moveaxis(x, -rank - 1, -1) if first else x
    return Image(x.reshape(math.prod(lead), *x.shape[-rank - 1 :]), lead, first)


def kernel_of(layer: Layer, kernel: F64, rank: int) -> F64:
    """Return a kernel whose first axes are as long as ``kernel_size`` says.

    Raises:
        UnsupportedError: they are not, or its rank is another, or it is empty.
    """
    if kernel.ndim != rank + 2 or 0 in kernel.shape:
        raise UnsupportedError(f"its kernel has shape {kernel.shape}")
    if sizes(layer, "kernel_size", rank, list(kernel.shape[:rank])) != kernel.shape[:rank]:
        raise UnsupportedError(f"its kernel of shape {kernel.shape} is not of its kernel_size")
    return kernel


def check_terms(count: int) -> int:
    """Return a number of products for which there is a bound.

    Raises:
        UnsupportedError: they are too many.
    """
    if count + 2 > MOST_TERMS:
        raise UnsupportedError(f"{count} products are too many for a bound")
    return count


def narrowing(layer: Layer, image: Image, size: tuple[int, ...], filters: int) -> tuple[Axis, ...]:
    """Return the axes of a convolution: its input is wide, its output narrow.

    With padding "same" the output is ceil(n / stride) long and the zeros that this takes are
    shared, the odd one behind (TensorFlow's GetWindowedOutputSize); with "causal" they all stand in
    front.

    Raises:
        UnsupportedError: the configuration cannot be read or does not fit the input.
    """
    padding = _padding(layer, ("valid", "same", "causal") if len(size) == 1 else ("valid", "same"))
    strides = sizes(layer, "strides", len(size), 1)
    dilations = sizes(layer, "dilation_rate", len(size), 1)
    axes: list[Axis] = []
    for n, k, stride, dilation in zip(image.lengths, size, strides, dilations, strict=True):
        reach = (k - 1) * dilation + 1
        if padding == "same":
            places = -(-n // stride)
            before = max((places - 1) * stride + reach - n, 0) // 2
        else:
            before = reach - 1 if padding == "causal" else 0
            places = (before + n - reach) // stride + 1
        if n < 1 or places < 1:
            raise UnsupportedError(f"its window spans {reach} elements, its input has {n}")
        axes.append(Axis(n, places, k, stride, dilation, before))
    image.check([axis.padded for axis in axes], image.channels)
    image.check([axis.narrow for axis in axes], filters)
    return tuple(axes)


def widening(layer: Layer, image: Image, size: tuple[int, ...], filters: int) -> tuple[Axis, ...]:
    """Return the axes of a transposed convolution: its input is narrow, its output wide.

    Its output is as long as an input of which a convolution with the same padding makes as many
    elements as its input has; of the lengths that do, ``output_padding`` chooses one.

    Raises:
        UnsupportedError: the configuration cannot be read or does not fit the input.
    """
    padding = _padding(layer, ("valid", "same"))
    strides = sizes(layer, "strides", len(size), 1)
    dilations = sizes(layer, "dilation_rate", len(size), 1)
    extra = _output_padding(layer, len(size))
    axes: list[Axis] = []
    for n, k, s, dilation, more in zip(image.lengths, size, strides, dilations, extra, strict=True):
        reach = (k - 1) * dilation + 1
        if padding == "same":
            length = n * s if more is None else (n - 1) * s + reach % 2 + more
            places = -(-length // s)
            before = max((n - 1) * s + reach - length, 0) // 2
        else:
            length = (n - 1) * s + (max(reach, s) if more is None else reach + more)
            places = (length - reach) // s + 1
            before = 0
        if n < 1 or length < 1 or places != n:
            raise UnsupportedError(f"no convolution makes {n} elements of {length} as it does")
        axes.append(Axis(length, n, k, s, dilation, before))
    image.check([axis.wide for axis in axes], filters)
    return tuple(axes)


def _padding(layer: Layer, known: Sequence[str]) -> str:
    found = layer.config.get("padding", "valid")
    if not isinstance(found, str) or found not in known:
        raise UnsupportedError(f"its padding {found!r} is not one of {', '.join(known)}")
    return found


def _output_padding(layer: Layer, rank: int) -> tuple[int | None, ...]:
    found = layer.config.get("output_padding")
    if found is None:
        return (None,) * rank
    parts = found if isinstance(found, list) else [found] * rank
    good = tuple(part for part in parts if isinstance(part, int) and is_int(part) and part >= 0)
    if len(good) != len(parts) or len(good) != rank:
        raise UnsupportedError(f"its output_padding {found!r} is not made of {rank} integers")
    return good


# Convolutions: y = f(b + sum x w), summed over the taps of a window and the channels of a
# group.


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
    offset = layer.offset + added_by(spec, layer.generation, fmt)

    def activated(block: slice, error: F64 | None) -> Evaluation:
        sums = image.turned(z[block])
        known = None if error is None else lambda: error
        return apply_activation(spec, layer.generation, sums, known, fmt)

    def derive() -> F64:
        bound = np.empty(image.turned(z).shape)
        for block in image.blocks(z):
            error = image.turned(dot_error([part(block)], bias, z[block], fmt, offset))
            bound[block] = activated(block, error).bound
        return image.restored(bound)

    whole = activated(slice(None), None)
    return (replace(whole, value=image.restored(whole.value), derive=derive),)


# Dense: y = f(x W + b), where each result adds as many products as W has rows.

#: TensorFloat-32 keeps 10 digits of each factor, so a product is off by 2^-10 of itself and a
#: little; the bound is never less than about 2^-25 of the sum of the products' magnitudes.
#: TensorFlow lets GPUs use it (``tf.config.experimental.enable_tensor_float_32_execution``).
_TENSOR_FLOAT: Final = 2.0**16
_DOUBT: Final = "a device that is not a CPU may multiply in TensorFloat-32"


def dense(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate a Dense layer on its input, whose last axis has as many elements as W rows."""
    fmt = layer.arithmetic()
    weights = layer.numbers("kernel", optional=("bias",))
    kernel, bias = weights["kernel"], weights.get("bias")
    if kernel.ndim != 2 or (bias is not None and bias.shape != kernel.shape[1:]):
        shapes = " and ".join(str(weight.shape) for weight in weights.values())
        raise UnsupportedError(f"its weights have shapes {shapes}")
    x = single(inputs)
    if x.ndim == 0 or x.shape[-1] != kernel.shape[0]:
        raise UnsupportedError(f"its input of shape {x.shape} does not fit {kernel.shape[0]} rows")
    if kernel.shape[0] + 2 > MOST_TERMS:
        raise UnsupportedError(f"{kernel.shape[0]} products are too many for a bound")
    product = Product(x, kernel, np.matmul, kernel.shape[0])
    with np.errstate(all="ignore"):
        z = product.value() if bias is None else product.value() + bias

    spec = layer.config.get("activation")
    offset = layer.offset + added_by(spec, layer.generation, fmt)

    def error() -> F64:
        return dot_error([product], bias, z, fmt, offset)

    found = apply_activation(spec, layer.generation, z, error, fmt)
    if fmt.name == FLOAT32.name and set(layer.devices) != {"CPU"}:
        found = replace(found, missed=found.missed * _TENSOR_FLOAT, doubt=_DOUBT)
    return (found,)


RULES: Final[Mapping[str, Rule]] = {
    "Dense": dense,
    **{f"Conv{rank}D": partial(convolution, rank=rank) for rank in (1, 2, 3)},
    **{f"DepthwiseConv{rank}D": partial(depthwise, rank=rank) for rank in (1, 2)},
    **{f"SeparableConv{rank}D": partial(separable, rank=rank) for rank in (1, 2)},
    **{f"Conv{rank}DTranspose": partial(transposed, rank=rank) for rank in (1, 2, 3)},
}
