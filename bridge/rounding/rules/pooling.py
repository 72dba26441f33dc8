"""Pooling: the largest or the average element under each window, or of all places.

A window that reaches beyond the input, with padding "same", has fewer elements: an average divides
by how many there really are, in TensorFlow as in XLA and oneDNN. The first window begins
max((places - 1) stride + size - length, 0) // 2 before the input (tf.nn, "Notes on padding").
TensorFlow 2.21 has it otherwise for volumes on CPUs: it leaves out the maximum with zero, so that
with padding "same" and strides larger than the windows these may be moved, while XLA and the
kernels for images do as documented. That is a difference, and is called one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.rounding.rules.layer import Evaluation, Layer, Rule, UnsupportedError, single
from bridge.rounding.rules.reductions import check_terms, mean_error, selected
from bridge.rounding.rules.windows import Axis, sizes, spatial_axes


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
