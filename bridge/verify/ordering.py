"""Where layers that only order elements anew take each of them from.

Each function is given the numbers 0, 1, 2, ... in the places of the input's elements and returns
them in the places of the output; -1 stands for a zero that is put in.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from bridge.verify.exact import Ints
from bridge.verify.given import Given
from bridge.verify.kinds import MisfitError, UncheckedError


def _flatten(given: Given, places: Ints) -> Ints:
    if given.channels_first() and places.ndim > 2:
        places = np.moveaxis(places, 1, -1)
    return np.asarray(places.reshape((*places.shape[:1], math.prod(places.shape[1:]))))


def _reshape(given: Given, places: Ints) -> Ints:
    target: Any = given.config.get("target_shape")
    same = isinstance(target, list) and len(target) == len(given.shape) - 1
    same = same and all(t in (-1, n) for t, n in zip(target, given.shape[1:], strict=True))
    if not same or places.shape[:1] != given.shape[:1] or places.size != math.prod(given.shape):
        raise MisfitError(f"its output has shape {given.shape}")
    return places.reshape(given.shape)


def _permute(given: Given, places: Ints) -> Ints:
    dims = given.config.get("dims")
    if not isinstance(dims, list) or sorted(map(str, dims)) != sorted(
        str(n) for n in range(1, places.ndim)
    ):
        raise MisfitError(f"its dims {dims!r} do not fit {places.ndim} axes")
    return places.transpose(0, *(int(str(each)) for each in dims))


def _pad(given: Given, places: Ints) -> Ints:
    around = [(0, 0)] * places.ndim
    for axis, ends in _around(given, "padding", places.ndim):
        around[axis] = ends
    shape = [length + sum(ends) for length, ends in zip(places.shape, around, strict=True)]
    if tuple(shape) != given.shape:
        raise MisfitError(f"its output has shape {given.shape}; it makes {tuple(shape)}")
    return np.pad(places, around, constant_values=-1)


def _crop(given: Given, places: Ints) -> Ints:
    kept = [slice(None)] * places.ndim
    for axis, (before, after) in _around(given, "cropping", places.ndim):
        kept[axis] = slice(before, max(places.shape[axis] - after, before))
    return places[tuple(kept)]


def _repeat(given: Given, places: Ints) -> Ints:
    rank = int(given.name[-2])
    if given.config.get("interpolation", "nearest") != "nearest":
        raise UncheckedError("there is no formula for its interpolation here")
    if places.ndim != rank + 2 or len(given.shape) != places.ndim:
        raise MisfitError(f"its output has shape {given.shape}")
    first = 2 if given.channels_first() else 1
    for axis, times in enumerate(given.integers("size", rank, 2), start=first):
        if places.shape[axis] * times != given.shape[axis]:
            raise MisfitError(f"its output has shape {given.shape}")
        places = np.repeat(places, times, axis)
    return places


def _repeat_vector(given: Given, places: Ints) -> Ints:
    if places.ndim != 2 or given.shape != (len(places), *given.shape[1:2], places.shape[1]):
        raise MisfitError(f"its output has shape {given.shape}")
    if given.config.get("n") != given.shape[1]:
        raise MisfitError(f"its n is {given.config.get('n')!r}, its output has {given.shape}")
    return np.broadcast_to(places[:, None, :], given.shape)


def _around(given: Given, key: str, ndim: int) -> list[tuple[int, tuple[int, int]]]:
    """Return how much a configuration puts, or cuts, before and behind each axis of space."""
    rank = int(given.name[-2])
    found: Any = given.config.get(key)
    if ndim != rank + 2:
        raise MisfitError(f"its input has {ndim} axes")
    if rank == 1 and isinstance(found, list) and not any(isinstance(e, list) for e in found):
        found = [found]
    parts: list[Any] = found if isinstance(found, list) else [found] * rank
    ends = [part if isinstance(part, list) else [part, part] for part in parts]
    if len(ends) != rank or any(
        len(part) != 2 or any(type(each) is not int or each < 0 for each in part) for part in ends
    ):
        raise UncheckedError(f"its {key} {found!r} cannot be read")
    first = 2 if given.channels_first() else 1
    return [(first + n, (int(a), int(b))) for n, (a, b) in enumerate(ends)]


#: By the name of the class.
ORDERINGS: Final[dict[str, Callable[[Given, Ints], Ints]]] = {
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "RepeatVector": _repeat_vector,
    **{f"ZeroPadding{rank}D": _pad for rank in (1, 2, 3)},
    **{f"Cropping{rank}D": _crop for rank in (1, 2, 3)},
    **{f"UpSampling{rank}D": _repeat for rank in (1, 2, 3)},
}
