"""What a configuration says of axes and sizes, read so that nothing of it is believed unchecked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from bridge._typing import AnyArray
from bridge.rounding.rules.layer import Layer, UnsupportedError

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
