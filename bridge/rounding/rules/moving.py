"""Layers that move elements about: no rounding, but for resizing between pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from bridge._typing import F64, AnyArray, Mask
from bridge.rounding.rules.layer import Evaluation, Layer, Rule, UnsupportedError, single
from bridge.rounding.rules.rounding import FLOAT32, FORMATS, TINY, UNIT, float32
from bridge.rounding.rules.windows import check_size, is_int, pairs, sizes, spatial_axes


def identity(_layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Return every input as it is."""
    return tuple(Evaluation(x) for x in inputs)


def noise(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Return the input of a layer that changes it at random, but only in training."""
    if layer.training:
        raise UnsupportedError("it is random in training")
    return (Evaluation(single(inputs)),)


def augment(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Return the images of a layer that changes them at random, but only in training."""
    return noise(layer, [_uncast(single(inputs))])


def _uncast(x: AnyArray) -> AnyArray:
    """Return what a layer of images was given, unless it may be cast from integers.

    Some of these layers cast integers and some do not, which is not the same in both generations.
    """
    if x.dtype.kind in "biu":
        raise UnsupportedError(f"it was given {x.dtype.name}, which it may have cast")
    return x


def flatten(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Return the input with all axes but the first made one; channels are put last before."""
    x = single(inputs)
    if x.ndim == 0:
        raise UnsupportedError("its input has no batch axis")
    if layer.config.get("data_format") == "channels_first" and x.ndim > 2:
        x = np.moveaxis(x, 1, -1)
    return (Evaluation(x.reshape(x.shape[0], math.prod(x.shape[1:]))),)


def reshape(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Return the input with all axes but the first replaced by ``target_shape``."""
    x = single(inputs)
    target = layer.integers("target_shape")
    size = math.prod(x.shape[1:])
    known = math.prod(part for part in target if part != -1)
    if x.ndim == 0 or target.count(-1) > 1 or any(part < -1 for part in target):
        raise UnsupportedError(f"its target_shape {target} cannot be read")
    if -1 in target and known > 0:
        target = tuple(size // known if part == -1 else part for part in target)
    if math.prod(target) != size:
        raise UnsupportedError(f"its input of shape {x.shape} does not fit target_shape {target}")
    return (Evaluation(x.reshape((x.shape[0], *target))),)


# Bilinear resizing by whole factors, as ``tf.image.resize`` does it with half-pixel centres.


def bilinear(
    layer: Layer, x: AnyArray, places: Sequence[int], factors: Sequence[int]
) -> Evaluation:
    """Evaluate bilinear resizing of ``x`` along the axes ``places`` by ``factors``.

    Raises:
        UnsupportedError: the layer does not compute in float32.
    """
    if layer.arithmetic().name != FLOAT32.name or x.dtype.kind not in "fV":
        raise UnsupportedError("bilinear interpolation has a rule for float32 alone")
    value = given = x.astype(np.float64)
    with np.errstate(all="ignore"):
        for axis, factor in zip(places, factors, strict=True):
            value = _along(value, axis, factor)

    def derive() -> F64:
        with np.errstate(all="ignore"):
            largest = np.abs(given)
            for axis, factor in zip(places, factors, strict=True):
                largest = _largest_near(largest, axis, factor)
            far = np.zeros(())
            for axis, factor in zip(places, factors, strict=True):
                far = far + _off(value, axis, factor)
            bound = UNIT * (8.0 * far + 12.0) * largest + 12.0 * TINY
            # Some kernels multiply every element of the image with a weight that may be zero.
            finite = np.isfinite(given).all(axis=tuple(places), keepdims=True)
            known = finite & (8.0 * largest < FLOAT32.overflow)
            return np.where(known, bound, np.inf)

    return Evaluation(value, derive)


def _along(x: F64, axis: int, factor: int) -> F64:
    length = x.shape[axis]
    centre = (np.arange(length * factor) + 0.5) / factor - 0.5
    low = np.floor(centre)
    shape = [1] * x.ndim
    shape[axis] = -1
    t = (centre - low).reshape(shape)
    first, second = (np.clip(low + step, 0, length - 1).astype(np.intp) for step in (0.0, 1.0))
    return np.asarray(np.take(x, first, axis) * (1.0 - t) + np.take(x, second, axis) * t)


def _off(value: F64, axis: int, factor: int) -> F64:
    """Return c + 1 for each place of an axis, and zero where c is exact."""
    shape = [1] * value.ndim
    shape[axis] = -1
    length = value.shape[axis]
    if factor & (factor - 1) == 0:
        return np.zeros(length).reshape(shape)
    return (np.arange(length) / factor + 1.0).reshape(shape)


def _largest_near(size: F64, axis: int, factor: int) -> F64:
    """Return the largest element within two of each new place."""
    length = size.shape[axis]
    near = np.arange(length * factor) // factor
    steps = (np.clip(near + step, 0, length - 1) for step in (-2, -1, 0, 1, 2))
    return np.asarray(np.maximum.reduce([np.take(size, step, axis) for step in steps]))


# Layers that shift elements about: permuting, padding, cropping, repeating and masking.

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


def crop_to_centre(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Return the middle of each image, ``height`` by ``width``; what is odd is left at the end.

    An image that is smaller is resized, for which there is no rule.
    """
    x = _uncast(single(inputs))
    kept = [slice(None)] * x.ndim
    for axis, key in zip(spatial_axes(layer, x, 2), ("height", "width"), strict=True):
        (size,) = sizes(layer, key, 1)
        left = x.shape[axis] - size
        if left < 0:
            raise UnsupportedError(f"it resizes an input of shape {x.shape}, which is too small")
        kept[axis] = slice(left // 2, left // 2 + size)
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


# Embedding: each index is replaced by its row of a table.

_INT32: Final = 2**31


def embedding(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Look up the rows.

    An index that is no integer is cast to int32, which cuts off its fraction. In Keras 3, negative
    indices count from the end. Nothing is claimed for an index outside the table: TensorFlow
    raises on a CPU and returns zeros or another row elsewhere.
    """
    fmt = layer.arithmetic()
    if set(layer.weights) != {"embeddings"}:
        raise UnsupportedError(f"its weights are {sorted(layer.weights)}; its rule knows one")
    table = layer.weights["embeddings"]
    if table.ndim != 2 or table.shape[0] == 0 or table.dtype.name not in FORMATS:
        raise UnsupportedError(f"its table is of type {table.dtype.name}, shape {table.shape}")
    x = single(inputs)
    check_size((*x.shape, table.shape[1]))
    index, known = _index(x)
    rows = table.shape[0]
    if layer.generation == 3:
        index = np.where(index < 0, index + rows, index)
    known = known & (index >= 0) & (index < rows)
    with np.errstate(over="ignore"):
        cast = table.astype(fmt.dtype)
    value = cast[np.where(known, index, 0)]

    def derive() -> F64:
        # A cast flushes what it makes subnormal; a row that is only copied keeps its bits.
        size = np.abs(value.astype(np.float64))
        lost = np.where(size < TINY, size, 0.0) if cast.dtype != table.dtype else 0.0 * size
        return np.where(known[..., None] & ~np.isnan(size), lost, np.inf)

    if known.all() and cast.dtype == table.dtype:
        return (Evaluation(value),)
    return (Evaluation(value, derive),)


def _index(x: AnyArray) -> tuple[AnyArray, Mask]:
    """Return the indices as int64, and where they are known.

    A double that a layer may have been given as the float32 next to it must mean the same either
    way.
    """
    if x.dtype.kind in "biu":
        inside = x <= np.iinfo(np.int64).max if x.dtype.kind == "u" else np.ones(x.shape, np.bool_)
        return np.where(inside, x, 0).astype(np.int64), np.asarray(inside)
    if x.dtype.name not in (*FORMATS, "float64"):
        raise UnsupportedError(f"its indices are of type {x.dtype.name}")
    with np.errstate(all="ignore"):
        number = np.trunc(x.astype(np.float64))
        narrow = np.trunc(x.astype(np.float32).astype(np.float64))
    known = (np.abs(number) < _INT32) & (number == narrow)
    return np.where(known, number, 0.0).astype(np.int64), known


# Operations of Keras 3 that round nothing: comparisons, logic, integers.
#
# What they return is exact, so that every correct implementation returns the same. Integers wrap
# around at the ends of their type, as TensorFlow's do when nothing is optimised. A comparison with
# NaN is false, but for "not equal" (IEEE 754-2019, 5.11). Of subnormal numbers nothing is claimed:
# the processor may read them as zero.

_Function = Callable[..., Any]


def _compare(
    function: _Function, _layer: Layer, inputs: Sequence[AnyArray]
) -> tuple[Evaluation, ...]:
    a, b = _two(inputs)
    return (Evaluation(np.asarray(function(_known(a), _known(b)))),)


def _decide(
    function: _Function, count: int, _layer: Layer, inputs: Sequence[AnyArray]
) -> tuple[Evaluation, ...]:
    if len(inputs) != count or any(x.dtype != np.bool_ for x in inputs):
        raise UnsupportedError("it was given something else than truth values")
    return (Evaluation(np.asarray(function(*inputs))),)


def _count(
    function: _Function, count: int, _layer: Layer, inputs: Sequence[AnyArray]
) -> tuple[Evaluation, ...]:
    if len(inputs) != count or any(x.dtype.kind not in "iu" for x in inputs):
        raise UnsupportedError("it has a rule for integers alone")
    if count == 2 and inputs[0].dtype != inputs[1].dtype:
        raise UnsupportedError("it was given two types of integers")
    with np.errstate(over="ignore"):
        value = np.asarray(function(*inputs))
    return (Evaluation(value.astype(inputs[0].dtype)),)


def _two(inputs: Sequence[AnyArray]) -> tuple[AnyArray, AnyArray]:
    if len(inputs) != 2 or inputs[0].dtype != inputs[1].dtype:
        raise UnsupportedError("it was not given two inputs of one type")
    return inputs[0], inputs[1]


def _known(x: AnyArray) -> AnyArray:
    """Return numbers that are read as they are."""
    if x.dtype.name not in FORMATS:
        if x.dtype.kind not in "biu":
            raise UnsupportedError(f"it was given {x.dtype.name}")
        return x
    wide: AnyArray = x.astype(np.float64)
    size = np.abs(wide)
    if bool(((size > 0.0) & (size < TINY)).any()):
        raise UnsupportedError("it was given subnormal numbers, which may be read as zero")
    return wide


RULES: Final[Mapping[str, Rule]] = {
    "InputLayer": identity,
    "Identity": identity,
    "ActivityRegularization": identity,
    "Dropout": noise,
    "SpatialDropout1D": noise,
    "SpatialDropout2D": noise,
    "SpatialDropout3D": noise,
    "AlphaDropout": noise,
    "GaussianDropout": noise,
    "GaussianNoise": noise,
    "RandomBrightness": augment,
    "RandomContrast": augment,
    "RandomFlip": augment,
    "RandomHeight": augment,
    "RandomRotation": augment,
    "RandomTranslation": augment,
    "RandomWidth": augment,
    "RandomZoom": augment,
    "Embedding": embedding,
    "Flatten": flatten,
    "Reshape": reshape,
    "Masking": mask,
    "Permute": permute,
    "RepeatVector": repeat_vector,
    **{f"ZeroPadding{rank}D": partial(pad, rank=rank) for rank in (1, 2, 3)},
    **{f"Cropping{rank}D": partial(crop, rank=rank) for rank in (1, 2, 3)},
    "CenterCrop": crop_to_centre,
    **{f"UpSampling{rank}D": partial(repeat, rank=rank) for rank in (1, 2, 3)},
    "Equal": partial(_compare, np.equal),
    "Greater": partial(_compare, np.greater),
    "GreaterEqual": partial(_compare, np.greater_equal),
    "Less": partial(_compare, np.less),
    "LessEqual": partial(_compare, np.less_equal),
    "NotEqual": partial(_compare, np.not_equal),
    "LogicalAnd": partial(_decide, np.logical_and, 2),
    "LogicalNot": partial(_decide, np.logical_not, 1),
    "LogicalOr": partial(_decide, np.logical_or, 2),
    "LogicalXor": partial(_decide, np.logical_xor, 2),
    "Absolute": partial(_count, np.abs, 1),
    "Negative": partial(_count, np.negative, 1),
    "Square": partial(_count, np.square, 1),
}
