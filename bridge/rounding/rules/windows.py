"""Windows of convolution and pooling: their geometry, what lies in each, and bounds of pooling."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.lib.stride_tricks import as_strided
from pydantic import JsonValue

from bridge._typing import F64, AnyArray
from bridge.rounding.rules.arithmetic import check_terms, mean_error, selected
from bridge.rounding.rules.layer import Evaluation, Layer, Rule, UnsupportedError, single

#: Larger outputs are not evaluated: a bound takes half a dozen float64 arrays of that size.
MOST_ELEMENTS: Final = 2**28


def check_size(shape: Sequence[int]) -> None:
    """Refuse an output that does not fit into memory.

    Raises:
        UnsupportedError: it has more than :data:`MOST_ELEMENTS` elements.
    """
    if math.prod(shape) > MOST_ELEMENTS:
        raise UnsupportedError(f"its output of shape {tuple(shape)} is too large to be evaluated")


def channels_first(layer: Layer) -> bool:
    """Say whether the channels are the first axis after the batch.

    Raises:
        UnsupportedError: ``data_format`` is none of Keras's.
    """
    found = layer.config.get("data_format", "channels_last")
    if found not in ("channels_first", "channels_last"):
        raise UnsupportedError(f"its data_format {found!r} cannot be read")
    return found == "channels_first"


def spatial_axes(layer: Layer, x: AnyArray, rank: int) -> tuple[int, ...]:
    """Return the ``rank`` spatial axes of an input: all but the batch and the channels.

    Raises:
        UnsupportedError: the input has another rank.
    """
    if x.ndim != rank + 2:
        raise UnsupportedError(f"its input of shape {x.shape} does not have {rank + 2} axes")
    first = 2 if channels_first(layer) else 1
    return tuple(range(first, first + rank))


def is_int(item: object) -> bool:
    """Say whether something is an integer; True and False are not."""
    return type(item) is int


def sizes(layer: Layer, key: str, rank: int, default: JsonValue = None) -> tuple[int, ...]:
    """Return ``rank`` positive integers, which the configuration may give as one for all.

    Raises:
        UnsupportedError: it gives something else.
    """
    found = layer.config.get(key, default)
    parts = found if isinstance(found, list) else [found] * rank
    good = tuple(part for part in parts if isinstance(part, int) and is_int(part) and part > 0)
    if len(good) != len(parts) or len(good) != rank:
        raise UnsupportedError(f"its {key} {found!r} is not made of {rank} positive integers")
    return good


def pairs(layer: Layer, key: str, rank: int) -> tuple[tuple[int, int], ...]:
    """Return how much belongs before and after each of ``rank`` axes: padding or cropping.

    Keras writes one integer for all, one for each axis, or a pair for each axis; of one axis
    always a pair.

    Raises:
        UnsupportedError: the configuration gives something else.
    """
    found = layer.config.get(key)
    parts: list[JsonValue] = [found] * rank if is_int(found) else []
    if isinstance(found, list):
        plain = not any(isinstance(part, list) for part in found)
        parts = [found] if rank == 1 and plain else found
    result: list[tuple[int, int]] = []
    for part in parts:
        both = part if isinstance(part, list) else [part, part]
        ends = [end for end in both if isinstance(end, int) and is_int(end) and end >= 0]
        if len(both) == len(ends) == 2:
            result.append((ends[0], ends[1]))
    if len(result) != rank or len(parts) != rank:
        raise UnsupportedError(f"its {key} {found!r} cannot be read")
    return tuple(result)


def axes(layer: Layer, ndim: int, default: JsonValue = -1, key: str = "axis") -> tuple[int, ...]:
    """Return one axis or several of an array of ``ndim`` axes, counted from the first.

    Raises:
        UnsupportedError: the configuration gives something else, or the same axis twice.
    """
    found = layer.config.get(key, default)
    parts = found if isinstance(found, list) else [found]
    good = [part for part in parts if isinstance(part, int) and is_int(part)]
    inside = tuple(part % ndim for part in good if -ndim <= part < ndim)
    if not inside or len(inside) != len(parts) or len(set(inside)) != len(inside):
        raise UnsupportedError(f"its {key} {found!r} does not fit an input of {ndim} axes")
    return inside


# Windows: how a kernel lies over the axes of an input, and the sums of products under it.

#: Elements of an intermediate that are made at a time: 8 MiB of float64 stay in a cache, and their
#: memory is used again (that of far larger arrays goes back to the system and is cleared anew).
AT_ONCE: Final = 2**20


@dataclass(frozen=True)
class Axis:
    """One spatial axis: ``size`` taps, ``dilation`` apart, at ``narrow`` places, ``stride`` apart.

    ``before`` zeros stand in front of the ``wide`` elements.
    """

    wide: int
    narrow: int
    size: int
    stride: int = 1
    dilation: int = 1
    before: int = 0

    @property
    def reach(self) -> int:
        """How many elements the kernel spans."""
        return (self.size - 1) * self.dilation + 1

    @property
    def after(self) -> int:
        """The zeros behind the elements that the last place needs."""
        return max((self.narrow - 1) * self.stride + self.reach - self.before - self.wide, 0)

    @property
    def padded(self) -> int:
        """The elements of the wide side with the zeros around them."""
        return self.before + self.wide + self.after

    @property
    def overlap(self) -> int:
        """How many places can meet the same element, at most."""
        apart = self.stride // math.gcd(self.stride, self.dilation)
        return min(-(-self.size // apart), self.narrow)

    def met(self, tap: int) -> tuple[slice, slice]:
        """Return the places whose ``tap`` meets an element, and those elements."""
        shift = self.before - tap * self.dilation
        first = max(-(-shift // self.stride), 0)
        last = min((self.wide - 1 + shift) // self.stride, self.narrow - 1)
        count = max(last - first + 1, 0)
        start = first * self.stride - shift
        stop = start + (count - 1) * self.stride + 1 if count else start
        return slice(first, first + count), slice(start, stop, self.stride)


def convolve(x: F64, kernel: F64, axes: Sequence[Axis], groups: int = 1) -> F64:
    """Sum the products under every window.

    ``x`` is (n, wide..., channels), ``kernel`` (size..., channels / groups, filters); filters are
    sorted by group. Returns (n, narrow..., filters). Zeros around ``x`` are multiplied like
    everything else, so an infinite weight makes NaN there, as it may in TensorFlow.
    """
    depth, filters = kernel.shape[-2:]
    taps = math.prod(axis.size for axis in axes)
    if any(axis.padded > axis.wide for axis in axes):
        x = np.pad(x, [(0, 0), *((axis.before, axis.after) for axis in axes), (0, 0)])
    first, *steps, last = x.strides
    windows = as_strided(
        x,
        (groups, len(x), *(a.narrow for a in axes), *(a.size for a in axes), depth),
        (
            depth * last,
            first,
            *(
                _step(step, axis.stride, axis.narrow)
                for step, axis in zip(steps, axes, strict=True)
            ),
            *(
                _step(step, axis.dilation, axis.size)
                for step, axis in zip(steps, axes, strict=True)
            ),
            last,
        ),
        writeable=False,
    )
    weights = np.moveaxis(kernel.reshape(taps * depth, groups, filters // groups), 1, 0)
    places = (len(x), *(axis.narrow for axis in axes))
    result = np.empty((*places, filters))
    for block in _blocks(places, max(taps * depth * groups, filters)):
        part = windows[:, *block]
        shape = part.shape[1 : len(places) + 1]
        products = np.matmul(part.reshape(groups, math.prod(shape), taps * depth), weights)
        result[block] = np.moveaxis(products, 0, 1).reshape(*shape, filters)
    return result


def spread(x: F64, kernel: F64, axes: Sequence[Axis]) -> F64:
    """Add what every place spreads over the elements under its window.

    ``x`` is (n, narrow..., channels), ``kernel`` (size..., filters, channels). Returns
    (n, wide..., filters).
    """
    filters, channels = kernel.shape[-2:]
    result = np.zeros((len(x), *(axis.wide for axis in axes), filters))
    per_place = max(math.prod(axis.narrow for axis in axes) * max(filters, channels), 1)
    step = max(AT_ONCE // per_place, 1)
    for start in range(0, len(x), step):
        part, into = x[start : start + step], result[start : start + step]
        for tap in itertools.product(*(range(axis.size) for axis in axes)):
            met = [axis.met(number) for axis, number in zip(axes, tap, strict=True)]
            rows = part[:, *(places for places, _ in met)]
            products = rows.reshape(-1, channels) @ kernel[tap].T
            into[:, *(elements for _, elements in met)] += products.reshape(
                *rows.shape[:-1], filters
            )
    return result


def _step(step: int, times: int, count: int) -> int:
    """Return how far apart elements are; a single one may have been given any stride."""
    return step * times if count > 1 else 0


def _blocks(shape: Sequence[int], per_element: int) -> Iterator[tuple[slice, ...]]:
    """Cut an array, each element of which needs ``per_element`` of an intermediate, into blocks."""
    steps: list[int] = []
    for length in reversed(shape):
        steps.append(max(min(AT_ONCE // per_element, length), 1))
        per_element *= steps[-1]
    ranges = (range(0, length, step) for length, step in zip(shape, reversed(steps), strict=True))
    for starts in itertools.product(*ranges):
        yield tuple(
            slice(start, start + step) for start, step in zip(starts, reversed(steps), strict=True)
        )


# Pooling: the largest or the average element under each window, or of all places.
#
# A window that reaches beyond the input, with padding "same", has fewer elements: an average
# divides by how many there really are, in TensorFlow as in XLA and oneDNN. The first window begins
# max((places - 1) stride + size - length, 0) // 2 before the input (tf.nn, "Notes on padding").
# TensorFlow 2.21 has it otherwise for volumes on CPUs: it leaves out the maximum with zero, so that
# with padding "same" and strides larger than the windows these may be moved, while XLA and the
# kernels for images do as documented. That is a difference, and is called one.


@dataclass(frozen=True)
class Windows:
    """The windows along one axis of an input: ``over`` says where they stand."""

    axis: int
    over: Axis

    def reduce(self, x: AnyArray, function: np.ufunc, first: object) -> AnyArray:
        """Combine the elements under each window, beginning with ``first``."""
        shape = list(x.shape)
        shape[self.axis] = self.over.narrow
        result = np.full(shape, first, x.dtype)
        into, out_of = np.moveaxis(result, self.axis, 0), np.moveaxis(x, self.axis, 0)
        if self.over.size <= self.over.narrow:
            for tap in range(self.over.size):
                places, elements = self.over.met(tap)
                into[places] = function(into[places], out_of[elements])
        else:
            for place, (start, stop) in enumerate(zip(*self._ends(), strict=True)):
                into[place] = function.reduce(out_of[start:stop], axis=0)
        return result

    def counts(self, ndim: int) -> F64:
        """Return how many elements each window has, with ``ndim`` axes."""
        starts, stops = self._ends()
        shape = [1] * ndim
        shape[self.axis] = -1
        return np.array([b - a for a, b in zip(starts, stops, strict=True)], float).reshape(shape)

    def _ends(self) -> tuple[list[int], list[int]]:
        over = self.over
        starts = [place * over.stride - over.before for place in range(over.narrow)]
        stops = [min(start + over.size, over.wide) for start in starts]
        return [max(start, 0) for start in starts], stops


def largest(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> tuple[Evaluation, ...]:
    """Evaluate MaxPooling1D, 2D or 3D."""
    x = single(inputs)
    if x.dtype.kind == "b":
        raise UnsupportedError("its input is made of truth values")
    first = np.iinfo(x.dtype).min if x.dtype.kind in "iu" else x.dtype.type(-np.inf)
    for windows in windows_of(layer, x, rank):
        x = windows.reduce(x, np.maximum, first)
    return (selected(x, -np.inf),)


def average(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> tuple[Evaluation, ...]:
    """Evaluate AveragePooling1D, 2D or 3D."""
    x = single(inputs)
    every = windows_of(layer, x, rank)
    count = math.prod((windows.counts(x.ndim) for windows in every), start=np.ones(()))

    def total(terms: F64) -> F64:
        for windows in every:
            terms = windows.reduce(terms, np.add, 0.0)
        return terms

    return (_averaged(layer, x, total, count),)


def largest_of_all(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> tuple[Evaluation, ...]:
    """Evaluate GlobalMaxPooling1D, 2D or 3D."""
    x = single(inputs)
    axes, keep = all_places(layer, x, rank)
    return (selected(x.max(axis=axes, keepdims=keep), -np.inf),)


def average_of_all(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> tuple[Evaluation, ...]:
    """Evaluate GlobalAveragePooling1D, 2D or 3D."""
    x = single(inputs)
    axes, keep = all_places(layer, x, rank)
    count = np.array(float(math.prod(x.shape[axis] for axis in axes)))

    def total(terms: F64) -> F64:
        return np.asarray(terms.sum(axis=axes, keepdims=keep))

    return (_averaged(layer, x, total, count),)


def _averaged(layer: Layer, x: F64, total: Any, count: F64) -> Evaluation:
    fmt = layer.arithmetic()
    most = int(count.max(initial=0.0))
    check_terms(most)
    with np.errstate(all="ignore"):
        whole = total(x)
        value = whole / count

    def derive() -> F64:
        with np.errstate(all="ignore"):
            small = fmt.subnormal(x)
            lost = np.zeros_like(whole) if small is None else total(small)
            return mean_error(total(np.abs(x)), lost, whole, count, most, fmt)

    return Evaluation(value, derive)


def windows_of(layer: Layer, x: AnyArray, rank: int) -> list[Windows]:
    """Return the windows along each spatial axis of an input, as the configuration says.

    Raises:
        UnsupportedError: it cannot be read, or does not fit the input.
    """
    places = spatial_axes(layer, x, rank)
    pool = sizes(layer, "pool_size", rank)
    strides = pool
    if layer.config.get("strides") is not None:
        strides = sizes(layer, "strides", rank)
    padding = layer.config.get("padding", "valid")
    if not isinstance(padding, str) or padding.lower() not in ("valid", "same"):
        raise UnsupportedError(f"its padding {padding!r} cannot be read")
    found = []
    for axis, size, stride in zip(places, pool, strides, strict=True):
        length = x.shape[axis]
        if length < (size if padding.lower() == "valid" else 1):
            raise UnsupportedError(f"its window does not fit an input of shape {x.shape}")
        if padding.lower() == "valid":
            over = Axis(length, (length - size) // stride + 1, size, stride)
        else:
            count = -(-length // stride)
            before = max((count - 1) * stride + size - length, 0) // 2
            over = Axis(length, count, size, stride, before=before)
        found.append(Windows(axis, over))
    return found


def all_places(layer: Layer, x: AnyArray, rank: int) -> tuple[tuple[int, ...], bool]:
    """Return the axes over which all places are pooled, and whether they are kept.

    Raises:
        UnsupportedError: the configuration cannot be read, or there is nothing to pool.
    """
    axes = spatial_axes(layer, x, rank)
    keep = layer.config.get("keepdims", False)
    if not isinstance(keep, bool):
        raise UnsupportedError(f"its keepdims {keep!r} is neither true nor false")
    if not math.prod(x.shape[axis] for axis in axes):
        raise UnsupportedError("it pools over nothing")
    return axes, keep


RULES: Final[Mapping[str, Rule]] = {
    **{f"MaxPooling{rank}D": partial(largest, rank=rank) for rank in (1, 2, 3)},
    **{f"GlobalMaxPooling{rank}D": partial(largest_of_all, rank=rank) for rank in (1, 2, 3)},
    **{f"AveragePooling{rank}D": partial(average, rank=rank) for rank in (1, 2, 3)},
    **{f"GlobalAveragePooling{rank}D": partial(average_of_all, rank=rank) for rank in (1, 2, 3)},
}
