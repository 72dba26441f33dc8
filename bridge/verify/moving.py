"""Layers that hand elements on: moved about, looked up, or the largest of some.

Where each element comes from is found by moving the numbers 0, 1, 2, ... in its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge.verify.exact import F64, AnyArray, Ints, points
from bridge.verify.given import Given
from bridge.verify.kinds import KINDS, MisfitError, UncheckedError
from bridge.verify.ordering import ORDERINGS
from bridge.verify.stages import CHUNK, Known, Stage
from bridge.verify.windows import image_of

#: What a processor may read as zero, or make of a cast, whatever the layer's type is.
SMALLEST: Final = 2.0**-126
_LARGEST_OUTPUT: Final = 2**28


@dataclass(frozen=True)
class Moved:
    """Elements that come from places in an array; -1 stands for a zero that is put in.

    ``flushed`` says that they were cast or multiplied with one on the way, which may take what is
    below the normal numbers for zero.
    """

    values: F64
    places: Ints | None = None
    flushed: bool = False

    @property
    def chunk(self) -> int:
        """For how many elements in a row to ask at once."""
        return CHUNK

    def at(self, places: Ints) -> Known:
        """Return what is known of the elements at flat places."""
        places = places if self.places is None else self.places.reshape(-1)[places]
        found = np.where(places >= 0, self.values.reshape(-1)[places], 0.0)
        size = np.abs(found)
        error = np.where(size < SMALLEST, size, 0.0) if self.flushed else np.zeros(places.size)
        return Known(points(found), error, np.zeros(places.size), np.isfinite(found))


@dataclass(frozen=True)
class Extremum:
    """The largest (or smallest) of elements at places; where one is NaN, nothing is claimed.

    Those below the normal numbers compare as equal, so that any of them may be returned.
    """

    values: F64
    rows: Callable[[Ints], Ints]
    width: int
    function: np.ufunc
    first: float

    @property
    def chunk(self) -> int:
        """For how many elements in a row to ask at once."""
        return max(1, min(CHUNK, 2**21 // max(self.width, 1)))

    def at(self, places: Ints) -> Known:
        """Return what is known of the elements at flat places."""
        rows = self.rows(places)
        some = np.where(rows >= 0, self.values.reshape(-1)[rows], self.first)
        found: F64 = self.function.reduce(some, axis=1)
        error = np.where(np.abs(found) < SMALLEST, 2.0 * SMALLEST, 0.0)
        return Known(points(found), error, np.zeros(places.size), np.isfinite(found))


def elements(x: AnyArray, given: Given) -> tuple[F64, bool]:
    """Return what a layer hands on of an input, and whether it was cast to another type first.

    Raises:
        UncheckedError: float64 may not hold its elements.
    """
    if x.dtype.kind in "iu" and x.dtype.itemsize == 8:
        raise UncheckedError("it hands on integers that float64 may not hold")
    if x.dtype.kind in "biu":
        return x.astype(np.float64), False
    kind = KINDS.get(_type_of(given))
    if kind is None or x.dtype.name not in (*KINDS, "float64"):
        return x.astype(np.float64), False
    return kind.near(x), x.dtype != kind.dtype


def handed_on(given: Given) -> Stage:
    """The input as it is, or with other axes: InputLayer, Dropout, Flatten, Permute, padding..."""
    random = given.name not in ORDERINGS and given.name not in _NEVER_RANDOM
    if random and given.training:
        raise UncheckedError("it ran in training, where it may be random")
    if given.number >= len(given.inputs) or (given.name in ORDERINGS and len(given.inputs) != 1):
        raise MisfitError(f"it has {len(given.inputs)} inputs")
    values, cast = elements(given.inputs[given.number], given)
    places = np.arange(values.size, dtype=np.int64).reshape(values.shape)
    if given.name in ORDERINGS:
        if math.prod(given.shape) > _LARGEST_OUTPUT:
            raise UncheckedError("its output is too large")
        places = ORDERINGS[given.name](given, places)
    return Moved(values, _fitting(places, given), cast)


def concatenated(given: Given) -> Stage:
    """Concatenate: inputs one after the other along an axis."""
    axis = given.config.get("axis", -1)
    if type(axis) is not int:
        raise UncheckedError("its axis is not one integer")
    values, starts, cast = together(given, elements_too=True)
    try:
        places = np.concatenate(
            [start + np.arange(x.size).reshape(x.shape) for start, x in zip(
                starts, given.inputs, strict=True)], axis)  # fmt: skip
    except (ValueError, np.exceptions.AxisError):
        raise MisfitError("its inputs cannot be joined") from None
    return Moved(values, _fitting(places, given), cast)


def looked_up(given: Given) -> Stage:
    """Embedding: rows of a table. An index outside of it is left out."""
    given.only("embeddings")
    if "embeddings" not in given.weights or len(given.inputs) != 1:
        raise MisfitError("it has no table, or not one input")
    table, (x,) = given.weights["embeddings"], given.inputs
    if table.ndim != 2 or given.shape != (*x.shape, table.shape[1]) or not table.size:
        raise MisfitError(f"its table has shape {table.shape}, its output {given.shape}")
    with np.errstate(all="ignore"):
        index, other = np.trunc(x.astype(np.float64)), np.trunc(x.astype(np.float32))
    if given.generation == 3:
        index = np.where(index < 0, index + len(table), index)
    there = (index >= 0) & (index < len(table)) & ((x.dtype.kind in "biu") | (index == other))
    rows = np.where(there, index, len(table)).astype(np.int64)
    kind = given.kind
    values = np.concatenate([kind.near(table), np.full((1, table.shape[1]), np.nan)])
    places = rows[..., None] * table.shape[1] + np.arange(table.shape[1])
    return Moved(values, places, table.dtype != kind.dtype)


def masked(given: Given) -> Stage:
    """Masking: steps of nothing but one value become zero."""
    if len(given.inputs) != 1 or given.inputs[0].shape != given.shape or not given.shape:
        raise MisfitError(f"its output has shape {given.shape}")
    values, _cast = elements(given.inputs[0], given)
    kind = KINDS.get(_type_of(given))
    value = given.number_of("mask_value", 0.0)
    if not math.isfinite(value):
        raise UncheckedError("its mask_value is not finite")
    gone = (values == (value if kind is None else kind.constant(value))).all(-1, keepdims=True)
    return Moved(np.where(gone, 0.0, values), flushed=given.inputs[0].dtype.kind not in "biu")


def largest_in_windows(given: Given, rank: int) -> Stage:
    """MaxPooling1D, 2D, 3D."""
    x = _one(given)
    values, _cast = elements(x, given)
    size = given.integers("pool_size", rank, 2)
    image = image_of(given, x.shape, size, strides=size)
    return Extremum(values, image.pooled(given.shape), math.prod(size), np.maximum, -np.inf)


def largest_of_all(given: Given, rank: int) -> Stage:
    """GlobalMaxPooling1D, 2D, 3D."""
    x = _one(given)
    values, _cast = elements(x, given)
    rows = everywhere(given, x.shape, rank)
    return Extremum(values, rows, x.size // (len(x) or 1), np.maximum, -np.inf)


def extremum(given: Given) -> Stage:
    """Maximum and Minimum of several inputs."""
    values, starts, cast = together(given, elements_too=True)
    places = aligned(given, starts)
    if places.shape[0] == 1:
        return Moved(values, _fitting(places[0], given), cast)
    if not values.size:
        raise MisfitError("its inputs have no elements")
    highest = given.name == "Maximum"
    return Extremum(
        values,
        lambda at: places.reshape(len(places), -1)[:, at].T,
        len(places),
        np.maximum if highest else np.minimum,
        -np.inf if highest else np.inf,
    )


def together(given: Given, *, elements_too: bool = False) -> tuple[F64, list[int], bool]:
    """Return all inputs in one flat array, where each begins, and whether any was cast.

    ``elements_too`` says that they are handed on, and may be integers.
    """
    if not given.inputs:
        raise MisfitError("it has no inputs")
    if elements_too:
        found = [elements(x, given) for x in given.inputs]
        if len({x.dtype.kind in "biu" for x in given.inputs}) != 1:
            raise UncheckedError("its inputs are of several types")
    else:
        found = [(x, False) for x in given.all_inputs()]
    flat = [values.reshape(-1) for values, _ in found]
    starts = [0, *np.cumsum([each.size for each in flat]).tolist()][:-1]
    return np.concatenate(flat), starts, any(cast for _, cast in found)


def aligned(given: Given, starts: Sequence[int]) -> Ints:
    """Return the places of each input's elements, an entry for each, of the output's shape.

    Keras gives inputs of fewer axes further ones after that of the batch.
    """
    most = max(x.ndim for x in given.inputs)
    found = []
    for start, x in zip(starts, given.inputs, strict=True):
        if x.ndim == 0 and most > 0:
            raise MisfitError("one of its inputs has no axis for the batch")
        shape = x.shape[:1] + (1,) * (most - x.ndim) + x.shape[1:]
        places = start + np.arange(x.size, dtype=np.int64).reshape(shape)
        try:
            found.append(np.broadcast_to(places, given.shape))
        except ValueError:
            raise MisfitError(f"an input of shape {x.shape} does not fit {given.shape}") from None
    return np.stack(found)


def everywhere(given: Given, shape: tuple[int, ...], rank: int) -> Callable[[Ints], Ints]:
    """Return the places of all elements of a sample and channel, of an input of some shape."""
    if len(shape) != rank + 2 or 0 in shape:
        raise MisfitError(f"its input has shape {shape}")
    first = given.channels_first()
    space = shape[2:] if first else shape[1:-1]
    channels = shape[1] if first else shape[-1]
    inside, ones = math.prod(space), (1,) * rank
    kept = (shape[0], channels, *ones) if first else (shape[0], *ones, channels)
    if given.shape not in ((shape[0], channels), kept):
        raise MisfitError(f"its output has shape {given.shape}")
    every = np.arange(inside, dtype=np.int64)[None, :]

    def rows(places: Ints) -> Ints:
        if first:
            return places[:, None] * inside + every
        sample, channel = np.divmod(places, channels)
        found: Ints = (sample[:, None] * inside + every) * channels + channel[:, None]
        return found

    return rows


def _one(given: Given) -> AnyArray:
    if len(given.inputs) != 1:
        raise MisfitError(f"it has {len(given.inputs)} inputs")
    return given.inputs[0]


def _type_of(given: Given) -> str:
    try:
        return given.kind.name
    except UncheckedError:
        return ""


def _fitting(places: Ints, given: Given) -> Ints:
    if places.shape != given.shape:
        raise MisfitError(f"its output has shape {given.shape}; it makes {places.shape}")
    return places


#: Layers that never change elements at random.
_NEVER_RANDOM: Final = frozenset({"Activation", "InputLayer", "Identity", "ActivityRegularization"})

#: Layers that do nothing but hand on their input, at least when a model is not trained.
SILENT: Final = (_NEVER_RANDOM - {"Activation"}) | {
    "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout",
    "GaussianDropout", "GaussianNoise",
}  # fmt: skip

#: Layers whose every output element is an element of the input, or zero.
HANDING_ON: Final = SILENT | frozenset(ORDERINGS)
