"""Sums and products of elements, without weights: merging layers and average pooling."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge.verify.activations import gamma
from bridge.verify.exact import (
    F64,
    UPWARDS,
    Ints,
    balls,
    dots,
    dyadic,
    every,
    largest,
    points,
    row_sums,
    sum_of,
    taken,
)
from bridge.verify.given import Given, number
from bridge.verify.kinds import MOST_TERMS, Kind, MisfitError, UncheckedError
from bridge.verify.moving import aligned, everywhere, together
from bridge.verify.stages import CHUNK, Known, Stage
from bridge.verify.sums import U64, any_order, float64_error, mean_error
from bridge.verify.windows import image_of

#: More factors than that are not multiplied here.
_MOST_FACTORS: Final = 64


@dataclass(frozen=True)
class Terms:
    """Elements at places, row by row; -1 stands for no term."""

    values: F64
    rows: Callable[[Ints], Ints]

    def take(self, places: Ints) -> tuple[F64, Ints]:
        """Return the terms of each result, zero where there is none, and their places."""
        rows = self.rows(places)
        if not self.values.size:
            raise MisfitError("its inputs have no elements")
        return np.where(rows >= 0, self.values[rows], 0.0), rows


@dataclass(frozen=True)
class Addition:
    """Sums of ``most`` terms or fewer, or means of them."""

    terms: Terms
    kind: Kind
    most: int
    mean: bool = False
    second: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is beyond any bound."""
        if not 0 < self.most < MOST_TERMS - 8:
            raise UncheckedError(f"{self.most} terms are too many, or none")

    @property
    def chunk(self) -> int:
        """For how many elements in a row to ask at once."""
        return max(1, min(CHUNK, 2**21 // self.most))

    def at(self, places: Ints) -> Known:
        """Return what is known of the elements at flat places."""
        found, rows = self.terms.take(places)
        defined = every(np.isfinite(found))
        found = np.where(defined[:, None], found, 0.0)
        if self.second != 1.0:
            found[:, 1:] *= self.second
        kind, size = self.kind, np.abs(found)
        numbers = dyadic(found)
        value = balls(row_sums(numbers))
        total = largest(balls(row_sums(numbers.magnitudes)))
        if self.most == 1 and not self.mean:
            nothing = np.zeros(places.size)
            return Known(value, nothing, nothing, defined)
        small = sum_of(np.where(size < kind.tiny, size, 0.0))
        additions = self.most - 1
        lost = small + additions * kind.tiny
        error = any_order(total, largest(value), additions, kind, rounded=False, lost=lost)
        evaluated = float64_error(total, additions)
        if self.mean:
            count = (rows >= 0).sum(axis=1).astype(np.float64)
            error = mean_error(error, total, count, self.most, kind)
            with np.errstate(all="ignore"):
                evaluated = UPWARDS * (evaluated + 2.0 * U64 * total) / count
            value = [s / int(n) for s, n in zip(value, count.tolist(), strict=True)]
            error = error + evaluated
        return Known(value, error, UPWARDS * evaluated, defined)


@dataclass(frozen=True)
class Multiplication:
    """Products of several factors.

    Each product is rounded once; one that is taken for zero, or a factor that is, loses at most the
    smallest normal number times the other factors, of which those below 1 are left out.
    """

    terms: Terms
    kind: Kind
    count: int

    def __post_init__(self) -> None:
        """Refuse more factors than float64 multiplies well."""
        if self.count > _MOST_FACTORS:
            raise UncheckedError(f"it has {self.count} factors")

    @property
    def chunk(self) -> int:
        """For how many elements in a row to ask at once."""
        return CHUNK

    def at(self, places: Ints) -> Known:
        """Return what is known of the elements at flat places."""
        found, _ = self.terms.take(places)
        defined = every(np.isfinite(found))
        factors = [points(column) for column in found.T]
        value = factors[0]
        for factor in factors[1:]:
            value = [a * b for a, b in zip(value, factor, strict=True)]
        kind, n = self.kind, self.count
        if n == 1:
            nothing = np.zeros(places.size)
            return Known(value, nothing, nothing, defined)
        grown = gamma(n, kind) + n * 2.0 * U64
        with np.errstate(all="ignore"):
            reach = np.maximum(np.abs(found), 1.0).prod(axis=1)
            evaluated = UPWARDS * n * U64 * largest(value)
            error = grown * largest(value) + 2.0 * n * kind.tiny * reach + evaluated
            fits = reach * (1.0 + grown) < kind.limit * UPWARDS
            return Known(value, np.where(fits, UPWARDS * error, np.inf), evaluated, defined)


@dataclass(frozen=True)
class Contraction:
    """Sums of products of elements of two inputs."""

    first: Terms
    other: Terms
    kind: Kind
    length: int

    @property
    def chunk(self) -> int:
        """For how many elements in a row to ask at once."""
        return max(1, min(CHUNK, 2**20 // self.length))

    def at(self, places: Ints) -> Known:
        """Return what is known of the elements at flat places."""
        (a, _), (b, _) = self.first.take(places), self.other.take(places)
        defined = every(np.isfinite(a) & np.isfinite(b))
        a, b = (np.where(defined[:, None], each, 0.0) for each in (a, b))
        x, y = dyadic(a), dyadic(b)
        value, size = balls(dots(x, y)), largest(balls(dots(x.magnitudes, y.magnitudes)))
        kind, k = self.kind, self.length
        lost = np.full(places.size, (2 * k - 1) * kind.tiny)
        for one, other in ((a, y), (b, x)):
            small = np.where(np.abs(one) < kind.tiny, np.abs(one), 0.0)
            if small.any():
                lost = lost + largest(balls(dots(dyadic(small), other.magnitudes)))
        error = any_order(size, largest(value), k - 1, kind, lost=lost)
        return Known(value, error, UPWARDS * float64_error(size, k - 1), defined)


def merged(given: Given) -> Stage:
    """Add, Subtract, Average, Multiply."""
    values, starts, _ = together(given)
    places = aligned(given, starts)
    count = len(places)
    terms = Terms(values, lambda at: places.reshape(count, -1)[:, at].T)
    if given.name == "Multiply":
        return Multiplication(terms, given.kind, count)
    if given.name == "Subtract":
        if count != 2:
            raise MisfitError(f"it has {count} inputs")
        return Addition(terms, given.kind, 2, second=-1.0)
    return Addition(terms, given.kind, count, mean=given.name == "Average")


def dot(given: Given) -> Stage:
    """Dot: for each sample, products of two inputs summed along an axis of each."""
    if given.config.get("normalize", False) is not False:
        raise UncheckedError("there is no formula for normalised dot products here")
    inputs = given.all_inputs()
    if len(inputs) != 2 or any(x.ndim < 2 for x in inputs):
        raise MisfitError("it has not two inputs with a batch axis and others")
    found = given.config.get("axes")
    axes = [
        axis % x.ndim if type(axis) is int and -x.ndim <= axis < x.ndim else 0
        for axis, x in zip(found if isinstance(found, list) else [found] * 2, inputs, strict=False)
    ]
    lengths = {x.shape[axis] for axis, x in zip(axes, inputs, strict=False)}
    if len(axes) != 2 or 0 in axes or len(lengths) != 1 or len(inputs[0]) != len(inputs[1]):
        raise MisfitError(f"its axes {found!r} do not fit its inputs")
    (length,) = lengths
    if not 0 < length < MOST_TERMS - 2:
        raise UncheckedError(f"{length} products are too many, or none")
    # Of each sample: everything but the summed axis, the first input's axes before the second's.
    moved = [np.moveaxis(_places(x), axis, -1) for axis, x in zip(axes, inputs, strict=True)]
    rows = [each.reshape(len(each), -1, length) for each in moved]
    left, right = (each.shape[1] for each in rows)
    batch = inputs[0].shape[:1]
    shape = (*batch, *moved[0].shape[1:-1], *moved[1].shape[1:-1])
    if given.shape != (shape if len(shape) > 1 else (*shape, 1)):
        raise MisfitError(f"its output has shape {given.shape}")

    def gathered(at: Ints, which: int) -> Ints:
        sample, rest = np.divmod(at, left * right)
        found: Ints = rows[which][sample, np.divmod(rest, right)[which]]
        return found

    first, other = (x.reshape(-1) for x in inputs)
    return Contraction(
        Terms(first, lambda at: gathered(at, 0)), Terms(other, lambda at: gathered(at, 1)),
        given.kind, length,
    )  # fmt: skip


def mean_in_windows(given: Given, rank: int) -> Stage:
    """AveragePooling1D, 2D, 3D: what a window reaches beyond the edge does not count."""
    x = given.the_input()
    size = given.integers("pool_size", rank, 2)
    image = image_of(given, x.shape, size, strides=size)
    rows = image.pooled(given.shape)
    met = math.prod(int((axis.taps >= 0).sum(axis=1).max(initial=0)) for axis in image.axes)
    return Addition(Terms(x.reshape(-1), rows), given.kind, met, mean=True)


def mean_of_all(given: Given, rank: int) -> Stage:
    """GlobalAveragePooling1D, 2D, 3D."""
    x = given.the_input()
    rows = everywhere(given, x.shape, rank)
    first = given.channels_first()
    count = math.prod(x.shape[2:] if first else x.shape[1:-1])
    return Addition(Terms(x.reshape(-1), rows), given.kind, count, mean=True)


def rescaled(given: Given) -> Stage:
    """Rescaling: one product and one sum with constants, which may be one for each channel."""
    x = given.the_input()
    if x.shape != given.shape:
        raise MisfitError(f"its output has shape {given.shape}")
    scale, offset = _constants(given, "scale", 1.0), _constants(given, "offset", 0.0)
    return _Rescaled(x, scale, offset, given.kind)


@dataclass(frozen=True)
class _Rescaled:
    x: F64
    scale: F64
    offset: F64
    kind: Kind

    @property
    def chunk(self) -> int:
        return CHUNK

    def at(self, places: Ints) -> Known:
        parts = (self.x, self.scale, self.offset)
        x, s, t = (taken(np.broadcast_to(part, self.x.shape), places) for part in parts)
        value = [a * b + c for a, b, c in zip(*map(points, (x, s, t)), strict=True)]
        kind = self.kind
        with np.errstate(all="ignore"):
            size = np.abs(x) * np.abs(s) + np.abs(t)
            grown = gamma(3, kind)
            small = np.where(np.abs(x) < kind.tiny, np.abs(x), 0.0)
            lost = 2.0 * kind.tiny + small * np.abs(s)
            evaluated = UPWARDS * 4.0 * U64 * size
            error = UPWARDS * (grown * size + (1.0 + grown) * lost + evaluated)
            error = np.where(size + error < kind.limit * UPWARDS, error, np.inf)
        return Known(value, error, evaluated, np.isfinite(x) & np.isfinite(s) & np.isfinite(t))


def _constants(given: Given, key: str, default: float) -> F64:
    found = given.config.get(key, default)
    items = found if isinstance(found, list) else [found]
    numbers = [number(each) for each in items]
    values = given.kind.near(np.array([np.nan if n is None else n for n in numbers], np.float64))
    if np.isnan(values).any():
        raise UncheckedError(f"its {key} is not made of numbers")
    shape = given.inputs[0].shape
    if isinstance(found, list) and (not shape or len(items) not in (1, shape[-1])):
        raise MisfitError(f"its {key} has {len(items)} numbers")
    return values if isinstance(found, list) else values[0]


def _places(x: F64) -> Ints:
    return np.arange(x.size, dtype=np.int64).reshape(x.shape)
