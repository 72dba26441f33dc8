"""Where the windows of a convolution or a pooling stand in their input.

A position of the output is seen through taps, one for each element of the window. Along one axis,
tap t of output position o looks at input position o stride + t dilation - before; a transposed
convolution looks the other way, at the i for which i stride + t dilation - before is o. Taps that
look beyond the edge, or between two elements, see a zero: place -1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from bridge.verify.exact import Ints
from bridge.verify.given import Given
from bridge.verify.kinds import MOST_TERMS, MisfitError, UncheckedError

#: Taps of all windows along one axis are held in a table of at most so many entries.
_LARGEST_TABLE: Final = 2**24


@dataclass(frozen=True)
class Axis:
    """One axis of space: the lengths of input and output, and where the window's taps stand."""

    given: int
    made: int
    size: int
    stride: int
    dilation: int
    before: int
    transposed: bool = False

    @cached_property
    def taps(self) -> Ints:
        """The input position of every tap of every output position, (made, size), or -1."""
        out = np.arange(self.made, dtype=np.int64)[:, None]
        tap = np.arange(self.size, dtype=np.int64)[None, :] * self.dilation
        if self.transposed:
            seen, rest = np.divmod(out + self.before - tap, self.stride)
            there = (rest == 0) & (seen >= 0) & (seen < self.given)
        else:
            seen = out * self.stride + tap - self.before
            there = (seen >= 0) & (seen < self.given)
        return np.where(there, seen, -1)

    @property
    def overlap(self) -> int:
        """How many taps meet an element at one output position, at most, edges left aside."""
        if not self.transposed:
            return self.size
        phases = [0] * self.stride
        for tap in range(self.size):
            phases[tap * self.dilation % self.stride] += 1
        return min(max(phases), self.given)


@dataclass(frozen=True)
class Image:
    """An input with axes of space between those of the batch and the channels, or behind both.

    ``lead`` is the number of elements of the batch axes.
    """

    lead: int
    channels: int
    axes: tuple[Axis, ...]
    first: bool

    @property
    def positions(self) -> int:
        """How many output positions there are, over the whole batch."""
        return self.lead * math.prod(axis.made for axis in self.axes)

    def look(self, rows: Ints) -> Ints:
        """Return the flat place of each tap in an input of one channel, (rows, taps)."""
        coordinates: list[Ints] = []
        for axis in reversed(self.axes):
            rows, at = np.divmod(rows, axis.made)
            coordinates.insert(0, at)
        flat, there = rows[:, None], np.ones((rows.size, 1), np.bool_)
        for axis, at in zip(self.axes, coordinates, strict=True):
            taps = axis.taps[at]
            flat = (flat[:, :, None] * axis.given + taps[:, None, :]).reshape(rows.size, -1)
            there = (there[:, :, None] & (taps >= 0)[:, None, :]).reshape(rows.size, -1)
        return np.where(there, flat, -1)

    def channel(self, places: Ints, channels: Ints) -> Ints:
        """Return the flat places of some channels, where ``places`` are those of one channel.

        Both have as many rows; the result has a column for each pair of columns, the channel's
        last.
        """
        inside = math.prod(axis.given for axis in self.axes)
        if self.first:
            batch, at = np.divmod(places, max(inside, 1))
            found = (batch[:, :, None] * self.channels + channels[:, None, :]) * inside
            found = found + at[:, :, None]
        else:
            found = places[:, :, None] * self.channels + channels[:, None, :]
        there = np.broadcast_to((places >= 0)[:, :, None], found.shape)
        return np.where(there, found, -1).reshape(len(places), -1)

    def pooled(self, shape: tuple[int, ...]) -> Callable[[Ints], Ints]:
        """Return the places that each element of a pooled output of some shape looks at.

        Raises:
            MisfitError: pooling does not make that shape.
        """
        if math.prod(shape) != self.positions * self.channels:
            raise MisfitError(f"its output has shape {shape}, its input {self.channels} channels")

        def rows(places: Ints) -> Ints:
            row, channel = np.divmod(self.by_row(places, self.channels), max(self.channels, 1))
            return self.channel(self.look(row), channel[:, None])

        return rows

    def by_row(self, places: Ints, columns: int) -> Ints:
        """Return places in the output as if its channels were its last axis."""
        if not self.first:
            return places
        inside = math.prod(axis.made for axis in self.axes)
        rest, at = np.divmod(places, max(inside, 1))
        batch, column = np.divmod(rest, max(columns, 1))
        found: Ints = (batch * inside + at) * columns + column
        return found


def image_of(
    given: Given,
    shape: Sequence[int],
    size: Sequence[int],
    *,
    strides: int | tuple[int, ...] = 1,
    transposed: bool = False,
) -> Image:
    """Read where windows of the given size stand, from the configuration and both shapes.

    ``strides`` are those where the configuration names none.

    The length of the output is taken from what was recorded; that the layer could have made it is
    checked.

    Raises:
        UncheckedError: the configuration cannot be read.
        MisfitError: the layer does not make such an output of such an input.
    """
    rank, first = len(size), given.channels_first()
    if len(shape) < rank + 2 or len(given.shape) != len(shape):
        raise MisfitError(f"its input has shape {tuple(shape)}, its output {given.shape}")
    space = slice(-rank, None) if first else slice(-rank - 1, -1)
    channels = shape[-rank - 1] if first else shape[-1]
    batch = tuple(shape[: -rank - 1])
    if tuple(given.shape[: -rank - 1]) != batch:
        raise MisfitError(f"its input has shape {tuple(shape)}, its output {given.shape}")
    padding = given.config.get("padding", "valid")
    padding = padding.lower() if isinstance(padding, str) else padding
    stride = given.integers("strides", rank, default=strides)
    dilation = given.integers("dilation_rate", rank)
    table = max(size) * max(given.shape[space], default=1)
    if table > _LARGEST_TABLE or math.prod(size) > MOST_TERMS:
        raise UncheckedError("its windows are too large")
    axes = tuple(
        _axis(padding, *each, transposed)
        for each in zip(shape[space], given.shape[space], size, stride, dilation, strict=True)
    )
    return Image(math.prod(batch), channels, axes, first)


def _axis(
    padding: object, given: int, made: int, size: int, stride: int, dilation: int, transposed: bool
) -> Axis:
    reach = (size - 1) * dilation + 1
    # The one of the two that a window slides over, and how often it then stands on it.
    long, often = (made, given) if transposed else (given, made)
    if padding == "valid":
        before, fits = 0, (long - reach) // stride + 1
    elif padding == "same":
        fits = (long + stride - 1) // stride
        before = max((fits - 1) * stride + reach - long, 0) // 2
    elif padding == "causal" and not transposed:
        before = reach - 1
        fits = (long + before - reach) // stride + 1
    else:
        raise UncheckedError(f"its padding {padding!r} is not known")
    if fits != often:
        raise MisfitError(
            f"with padding {padding!r} a window of {size} by steps of {stride} stands {fits} times "
            f"on {long} elements, not {often} times"
        )
    return Axis(given, made, size, stride, dilation, before, transposed)
