"""What the configuration of a convolution says of its input and its axes.

A capsule comes from strangers, so nothing here is believed: what does not fit together, or would
take more memory than a machine has, ends in a sentence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.rounding.rules.geometry import channels_first, check_size, is_int, sizes
from bridge.rounding.rules.layer import Layer, UnsupportedError, single
from bridge.rounding.rules.rounding import MOST_TERMS
from bridge.rounding.rules.windows import AT_ONCE, Axis

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
