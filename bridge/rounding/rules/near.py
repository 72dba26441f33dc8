"""Numbers that a computation knows only nearly: a float64 value and how far it may be from it.

A recurrent layer feeds its results back, so the error of one step is the argument's error of the
next. It is carried in two ways at once, and the smaller one holds: element by element, and as the
Euclidean length of the error of all units together. A matrix U makes an error e at most |U| e,
element by element, and at most ||U|| times as long; for the orthogonal matrices with which Keras
initialises recurrent layers the first grows by the root of the number of units in each step, the
second does not grow at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Final

import numpy as np

from bridge._typing import F64

#: The error of a number that is known.
ZERO: Final = np.zeros(())

#: More than a length errs, relative to itself, that is computed in float64.
_UPWARD: Final = 1.0 + 2.0**-40


def _known() -> F64:
    return ZERO


@dataclass(frozen=True)
class Near:
    """Numbers along the last axis, each known up to ``error``.

    ``length`` bounds the Euclidean length of the errors along the last axis, which it keeps with
    one element.
    """

    value: F64
    error: F64 = field(default_factory=_known)
    length: F64 = field(default_factory=_known)

    @property
    def unknown(self) -> Near:
        """The same values, of which nothing is known."""
        shape = self.value.shape
        return Near(self.value, np.full(shape, np.inf), np.full((*shape[:-1], 1), np.inf))

    def gate(self, which: int | list[int]) -> Near:
        """Return one gate, or several, of the axis before the last."""
        return Near(*(_gate(part, which) for part in (self.value, self.error, self.length)))

    def at(self, time: int) -> Near:
        """Return one step of the first axis."""
        parts = (self.value, self.error, self.length)
        return Near(*(_at(part, time, self.value.ndim) for part in parts))


@dataclass(frozen=True)
class Part:
    """Part of a sum: its value, and what the bound of the whole sum needs of it.

    ``size`` is the sum of the magnitudes of its terms, ``lost`` what flushing to zero can lose of
    them, ``carried`` how far the terms that were really added may be off, ``length`` the Euclidean
    length of that; ``terms`` counts products, ``singles`` the terms that are none.
    """

    value: F64
    size: F64 = field(default_factory=_known)
    lost: F64 = field(default_factory=_known)
    carried: F64 = field(default_factory=_known)
    length: F64 = field(default_factory=_known)
    terms: int = 0
    singles: int = 0

    def __add__(self, other: Part) -> Part:
        with np.errstate(all="ignore"):
            return Part(
                self.value + other.value,
                self.size + other.size,
                self.lost + other.lost,
                self.carried + other.carried,
                self.length + other.length,
                self.terms + other.terms,
                self.singles + other.singles,
            )

    def gate(self, which: int | list[int]) -> Part:
        """Return one gate, or several, of the axis before the last."""
        value, size, lost, carried, length = (_gate(each, which) for each in self._arrays)
        return Part(value, size, lost, carried, length, self.terms, self.singles)

    def at(self, time: int) -> Part:
        """Return one step of the first axis."""
        parts = (_at(each, time, self.value.ndim) for each in self._arrays)
        value, size, lost, carried, length = parts
        return Part(value, size, lost, carried, length, self.terms, self.singles)

    @property
    def _arrays(self) -> tuple[F64, ...]:
        return self.value, self.size, self.lost, self.carried, self.length


@dataclass(frozen=True)
class Matrix:
    """A matrix whose columns are several gates of as many units each, side by side."""

    w: F64
    gates: int

    @property
    def units(self) -> int:
        """The number of columns of one gate."""
        return int(self.w.shape[1]) // self.gates

    def times(self, x: F64) -> F64:
        """Return x W, as (..., gates, units)."""
        with np.errstate(all="ignore"):
            product = x.reshape(-1, self.w.shape[0]) @ self.w
        return product.reshape(*x.shape[:-1], self.gates, self.units)

    @cached_property
    def size(self) -> Matrix:
        """The magnitudes of the elements."""
        return Matrix(np.abs(self.w), self.gates)

    @cached_property
    def sums(self) -> F64:
        """The sum of the magnitudes in each column."""
        sums: F64 = self.size.w.sum(axis=0)
        return sums.reshape(self.gates, self.units)

    @cached_property
    def lengths(self) -> F64:
        """The Euclidean length of each column."""
        squares: F64 = (self.w * self.w).sum(axis=0)
        return np.sqrt(squares).reshape(self.gates, self.units)

    @cached_property
    def norms(self) -> F64:
        """The spectral norm of each gate, as (gates, 1); infinite where it cannot be had."""
        return np.array([[_norm(gate)] for gate in np.split(self.w, self.gates, axis=1)])


def stack(steps: Sequence[Near]) -> Near:
    """Return steps as one, along a new first axis."""
    return _merge(steps, np.stack)


def join(parts: Sequence[Near], axis: int) -> Near:
    """Return parts one after the other along an axis that all their arrays have."""
    return _merge(parts, partial(np.concatenate, axis=axis))


def _merge(parts: Sequence[Near], merge: Callable[[list[F64]], F64]) -> Near:
    value = merge([part.value for part in parts])
    error, length = ([each.error for each in parts], [each.length for each in parts])
    shapes = [part.value.shape for part in parts]
    short = [(*shape[:-1], 1) for shape in shapes]
    return Near(value, _merged(error, shapes, merge), _merged(length, short, merge))


def _merged(
    parts: list[F64], shapes: list[tuple[int, ...]], merge: Callable[[list[F64]], F64]
) -> F64:
    if all(part.ndim == 0 for part in parts):
        return ZERO
    return merge([np.broadcast_to(*pair) for pair in zip(parts, shapes, strict=True)])


def _gate(part: F64, which: int | list[int]) -> F64:
    return part if part.ndim == 0 else np.asarray(part[..., which, :])


def _at(part: F64, time: int, ndim: int) -> F64:
    return part if part.ndim < ndim else np.asarray(part[time])


def length_of(error: F64) -> F64:
    """Return the Euclidean length along the last axis, which keeps one element."""
    with np.errstate(all="ignore"):
        return np.asarray(np.sqrt((error * error).sum(axis=-1, keepdims=True)) * _UPWARD)


def _norm(w: F64) -> float:
    """Bound the spectral norm from above: the root of the largest eigenvalue of W'W."""
    with np.errstate(all="ignore"):
        gram = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
        trace = float(np.trace(gram))
        if not np.isfinite(trace):
            return np.inf
        # An eigenvalue, and the product before it, err by less than the number of terms times
        # 2^-52 of the trace.
        slack = 2.0 * (sum(w.shape) + 10) * 2.0**-52 * trace
        return float(np.sqrt(max(float(np.linalg.eigvalsh(gram)[-1]), 0.0) + slack))
