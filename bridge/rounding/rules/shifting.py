"""Layers that shift elements about: permuting, padding, cropping, repeating and masking.

None of them computes, but for an interpolation: every element keeps its type and its bits, and what
they put in is zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.rounding.rules.geometry import check_size, is_int, pairs, sizes, spatial_axes
from bridge.rounding.rules.layer import Evaluation, Layer, Rule, UnsupportedError, single
from bridge.rounding.rules.resizing import bilinear
from bridge.rounding.rules.rounding import FORMATS, TINY, float32

#: ``tf.image.resize`` finds elements of an image with float32 numbers. Below this many places on an
#: axis, the middle of a place is at least four roundings away from the next element.
_EXACT: Final = 2**20


def permute(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Return the input with its axes in the order of ``dims``, which counts from 1."""
    x = single(inputs)
    dims = layer.integers("dims")
    if sorted(dims) != list(range(1, x.ndim)):
        raise UnsupportedError(f"its dims {dims} do not fit an input of shape {x.shape}")
    return (Evaluation(x.transpose(0, *dims)),)


def pad(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> tuple[Evaluation, ...]:
    """Return the input with zeros before and after its spatial axes."""
    x = single(inputs)
    around = [(0, 0)] * x.ndim
    for axis, part in zip(spatial_axes(layer, x, rank), pairs(layer, "padding", rank), strict=True):
        around[axis] = part
    check_size([length + sum(part) for length, part in zip(x.shape, around, strict=True)])
    return (Evaluation(np.pad(x, around)),)


def crop(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> tuple[Evaluation, ...]:
    """Return the input without the first and the last elements of its spatial axes."""
    x = single(inputs)
    kept = [slice(None)] * x.ndim
    cropping = pairs(layer, "cropping", rank)
    for axis, (before, after) in zip(spatial_axes(layer, x, rank), cropping, strict=True):
        if before + after >= x.shape[axis]:
            raise UnsupportedError(f"its cropping leaves nothing of an input of shape {x.shape}")
        kept[axis] = slice(before, x.shape[axis] - after)
    return (Evaluation(x[tuple(kept)]),)


def repeat(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> tuple[Evaluation, ...]:
    """Return the input with every element of its spatial axes repeated ``size`` times."""
    x = single(inputs)
    places = spatial_axes(layer, x, rank)
    times = sizes(layer, "size", rank)
    shape = list(x.shape)
    for axis, size in zip(places, times, strict=True):
        shape[axis] *= size
    check_size(shape)
    way = layer.config.get("interpolation", "nearest")
    if rank == 2 and max(shape[axis] for axis in places) > _EXACT:
        raise UnsupportedError("its output is so long that the nearest elements are uncertain")
    if rank == 2 and way == "bilinear":
        return (bilinear(layer, x, places, times),)
    if rank == 2 and way != "nearest":
        raise UnsupportedError(f"there is no rule for the interpolation {way!r}")
    for axis, size in zip(places, times, strict=True):
        x = np.repeat(x, size, axis)
    return (Evaluation(x),)


def repeat_vector(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Return each row of the input ``n`` times."""
    x = single(inputs)
    n = layer.config.get("n")
    if x.ndim != 2 or not isinstance(n, int) or not is_int(n) or n <= 0:
        raise UnsupportedError(f"its n {n!r} does not fit an input of shape {x.shape}")
    shape = (x.shape[0], n, x.shape[1])
    check_size(shape)
    return (Evaluation(np.broadcast_to(x[:, None, :], shape)),)


def mask(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate Masking: steps of which every element is ``mask_value`` become zero.

    ``tf_keras`` multiplies with one or zero, which flushes subnormal numbers, and makes NaN of a
    ``mask_value`` that is infinite.
    """
    x = single(inputs)
    named = layer.number("mask_value", 0.0)
    if x.ndim == 0:
        raise UnsupportedError("its input has no axes")
    held = _held(layer, named)
    number = x.astype(np.float64)
    gone = (number == held).all(axis=-1, keepdims=True)
    value = np.where(gone, np.zeros((), x.dtype), x)
    if x.dtype.kind in "biu":
        return (Evaluation(value),)

    def derive() -> F64:
        size = np.abs(number)
        lost = np.where(size < TINY, size, 0.0)
        return np.where(gone & ~np.isfinite(number), np.inf, lost)

    return (Evaluation(value, derive),)


def _held(layer: Layer, named: float) -> float:
    """Return the number with which elements are compared.

    ``tf_keras`` casts it to the type of the elements, Keras 3 both to float32 at least.
    """
    fmt = FORMATS.get(layer.compute_dtype)
    wide, narrow = float32(named), named if fmt is None else fmt.held(named)
    if layer.generation != 0 and fmt is not None:
        return narrow if layer.generation == 2 else wide
    if wide != narrow:
        raise UnsupportedError("how its mask_value is rounded is not known")
    return wide


RULES: Final[Mapping[str, Rule]] = {
    "Masking": mask,
    "Permute": permute,
    "RepeatVector": repeat_vector,
    **{f"ZeroPadding{rank}D": partial(pad, rank=rank) for rank in (1, 2, 3)},
    **{f"Cropping{rank}D": partial(crop, rank=rank) for rank in (1, 2, 3)},
    **{f"UpSampling{rank}D": partial(repeat, rank=rank) for rank in (1, 2, 3)},
}
