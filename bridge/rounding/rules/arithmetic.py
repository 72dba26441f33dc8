"""Arithmetic with numbers that are known nearly: each result with all that may be wrong with it.

Roundings follow :mod:`bridge.rounding.rules.rounding`; sums of products follow
:mod:`bridge.rounding.rules.sums`, in any order. The float64 arithmetic itself errs by less than
2^-50 of what it computes, which is added to each rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydantic import JsonValue

from bridge._typing import F64
from bridge.rounding.rules.activate import apply_activation
from bridge.rounding.rules.activations import activation_of
from bridge.rounding.rules.forms import FORMS, Form
from bridge.rounding.rules.layer import Generation, UnsupportedError
from bridge.rounding.rules.near import ZERO, Matrix, Near, Part, length_of
from bridge.rounding.rules.rounding import Format
from bridge.rounding.rules.sums import sum_error

_FLOAT64: Final = 2.0**-50
#: More than a slope errs, relative to itself, that is computed in float64.
_UPWARD: Final = 1.0 + 2.0**-40

#: The steepest slope of a form at arguments of at least the given magnitude.
SLOPES: Final[Mapping[str, Callable[[F64], F64]]] = {
    "linear": np.ones_like,
    "relu": np.ones_like,
    "relu6": np.ones_like,
    "hard_sigmoid_2": lambda size: np.full_like(size, 0.2),
    "hard_sigmoid_3": lambda size: np.full_like(size, 1.0 / 6.0),
    "softsign": lambda size: (1.0 + size) ** -2.0,
    "tanh": lambda size: 4.0 * np.exp(-2.0 * size) * (1.0 + np.exp(-2.0 * size)) ** -2.0,
    "sigmoid": lambda size: np.exp(-size) * (1.0 + np.exp(-size)) ** -2.0,
}

#: The constants by which forms are multiplied last. A graph optimiser may multiply the other factor
#: of a product by them instead (seen: o (relu6(c + 3) / 6) computed as (o / 6) relu6(c + 3), which
#: underflows where o does not).
CONSTANTS: Final[Mapping[str, float]] = {
    "hard_sigmoid_3": 1.0 / 6.0,
    "hard_silu": 1.0 / 6.0,
    "gelu": 0.5,
    "gelu_tanh": 0.5,
    "squareplus": 0.5,
}


@dataclass(frozen=True)
class Arithmetic:
    """Arithmetic in ``fmt``, of values alone or of values and errors (``bounded``).

    ``lengths`` says that lengths are carried along as well; they serve where results are fed back.
    ``constant`` is the product of all constants that may be moved from one factor to another.
    """

    fmt: Format
    generation: Generation
    bounded: bool
    lengths: bool = False
    constant: float = 1.0

    def product(self, a: Near, matrix: Matrix) -> Part:
        """Return a W as part of a sum."""
        terms = int(matrix.w.shape[0])
        value = matrix.times(a.value)
        if not self.bounded:
            return Part(value, terms=terms)
        with np.errstate(all="ignore"):
            size = np.abs(a.value) + a.error
            lost = self.fmt.tiny * matrix.sums
            small = self.fmt.subnormal(matrix.w)
            if small is not None:
                lost = lost + Matrix(small, matrix.gates).times(size)
            carried = length = ZERO
            if a.error is not ZERO:
                carried = matrix.size.times(a.error)
            if a.error is not ZERO and self.lengths:
                reach = a.length[..., np.newaxis, :]
                carried = np.fmin(carried, reach * matrix.lengths)
                length = reach * matrix.norms
            return Part(value, matrix.size.times(size), lost, carried, length, terms)

    def single(self, a: Near) -> Part:
        """Return numbers as part of a sum."""
        if not self.bounded:
            return Part(a.value, singles=1)
        with np.errstate(all="ignore"):
            size = np.abs(a.value) + a.error
            lost = np.where(size > 0.0, self.fmt.tiny, 0.0)
        return Part(a.value, size, lost, a.error, a.length, singles=1)

    def settle(self, part: Part) -> Near:
        """Return the sum of all its terms, added in any order."""
        if not self.bounded:
            return Near(part.value)
        adds = part.terms + part.singles - 1
        lost = part.lost + (part.terms + adds) * self.fmt.tiny
        own = sum_error(part.size, part.value, adds, lost=lost, carried=part.carried, fmt=self.fmt)
        return self._near(part.value, part.carried, part.length, own)

    def times(self, a: Near, b: Near) -> Near:
        """Return a b, element by element."""
        with np.errstate(all="ignore"):
            value = a.value * b.value
            if not self.bounded:
                return Near(value)
            size_a, size_b = np.abs(a.value), np.abs(b.value) + b.error
            carried = size_a * b.error + size_b * a.error
            own = self._rounding(size_a + a.error, size_b)
            length = ZERO
            if self.lengths:
                length = _most(size_a) * b.length + _most(size_b) * a.length
        return self._near(value, carried, length, own)

    def plus(self, a: Near, b: Near) -> Near:
        """Return a + b."""
        with np.errstate(all="ignore"):
            value = a.value + b.value
            if not self.bounded:
                return Near(value)
            carried = a.error + b.error
            own = self._unit * (np.abs(value) + carried) + 3.0 * self.fmt.tiny
            own = own + _FLOAT64 * (np.abs(a.value) + np.abs(b.value))
            return self._near(value, carried, a.length + b.length, own)

    def blend(self, z: Near, a: Near, b: Near) -> Near:
        """Return z a + (1 - z) b, computed as it stands here.

        If z' is z as it was computed, the error is z' (a' - a) + (1 - z') (b' - b) + (z' - z)
        (a - b), and its first two parts are linear in z'.
        """
        with np.errstate(all="ignore"):
            rest = 1.0 - z.value
            value = z.value * a.value + rest * b.value
            if not self.bounded:
                return Near(value)
            ends = ((z.value - z.error, rest + z.error), (z.value + z.error, rest - z.error))
            mixed = [np.abs(p) * a.error + np.abs(q) * b.error for p, q in ends]
            gap = np.abs(a.value - b.value)
            carried = np.maximum(*mixed) + gap * z.error
            size_z, size_rest = (
                np.maximum(np.abs(p), np.abs(q)) for p, q in zip(*ends, strict=True)
            )
            size_a, size_b = np.abs(a.value) + a.error, np.abs(b.value) + b.error
            # The difference 1 - z is rounded, and so is its product.
            own = (2.0 + self._unit) * self._rounding(size_rest, size_b)
            own = own + self._rounding(size_z, size_a)
            own = own + self._unit * (np.abs(value) + carried + own) + 3.0 * self.fmt.tiny
            length = ZERO
            if self.lengths:
                length = _most(size_z) * a.length + _most(size_rest) * b.length
                length = length + _most(gap) * z.length
        return self._near(value, carried, length, own)

    def activate(self, spec: JsonValue, a: Near) -> Near:
        """Return an activation, as a configuration names it, along the last axis."""
        error = np.broadcast_to(a.error, a.value.shape)
        found = apply_activation(spec, self.generation, a.value, lambda: error, self.fmt)
        value = np.asarray(found.value, np.float64)
        if not self.bounded:
            return Near(value)
        bound = found.bound
        length = self._moved(spec, a, error, value, bound) if self.lengths else ZERO
        return self._near(value, bound, length, ZERO)

    def _moved(self, spec: JsonValue, a: Near, error: F64, value: F64, bound: F64) -> F64:
        """Bound the length of an activation's error by its steepest slope."""
        form = self._form(spec)
        if form is None or form.name not in SLOPES:
            return length_of(bound)
        with np.errstate(all="ignore"):
            steepest = SLOPES[form.name](np.maximum(np.abs(a.value) - error, 0.0))
            # What is left of the bound without the argument's error is the kernel's own.
            moved = np.maximum(form(a.value + error) - value, value - form(a.value - error))
            kernel = np.maximum(bound - moved, 0.0) + _FLOAT64 * bound
            return _most(steepest) * _UPWARD * a.length + length_of(kernel)

    def _form(self, spec: JsonValue) -> Form | None:
        """Return the form of a unary activation without constants of its own."""
        try:
            form = activation_of(spec, self.generation, self.fmt).form
        except UnsupportedError:
            return None
        return form if FORMS.get(form.name) is form else None

    @property
    def _unit(self) -> float:
        return self.fmt.unit + _FLOAT64

    def _rounding(self, size_a: F64, size_b: F64) -> F64:
        """Bound what rounding and flushing to zero do to one product.

        A constant that was moved is a number rounded, and one more product.
        """
        unit = self._unit if self.constant == 1.0 else self.fmt.gamma(3) + _FLOAT64
        lost = self.fmt.tiny * (1.0 + (size_a + size_b) / self.constant)
        return unit * (size_a * size_b) + lost

    def _near(self, value: F64, carried: F64, length: F64, own: F64) -> Near:
        """Return a result with the error that it carries and one of its ``own``."""
        with np.errstate(all="ignore"):
            error = carried + own
            if self.lengths:
                if own is not ZERO:
                    length = length + length_of(own)
                length = np.fmin(length, length_of(error))
                error = np.fmin(error, length)
            error = np.where(np.abs(value) + error < self.fmt.overflow, error, np.inf)
            if self.lengths:
                known = np.isfinite(error).all(axis=-1, keepdims=True)
                length = np.where(known, length, np.inf)
        return Near(value, error, length)


def constant_of(spec: JsonValue, generation: Generation, fmt: Format) -> float:
    """Return the constant by which an activation is multiplied last, 1 if there is none."""
    try:
        return CONSTANTS.get(activation_of(spec, generation, fmt).form.name, 1.0)
    except UnsupportedError:
        return 1.0


def _most(size: F64) -> F64:
    return np.asarray(size.max(axis=-1, keepdims=True, initial=0.0))
