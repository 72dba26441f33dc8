"""Numbers with an error bound, and what each operation does to both."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from importlib.resources import files
from typing import Final

import numpy as np
from pydantic import JsonValue

from bridge._typing import F64, AnyArray
from bridge.facts.keras import Generation
from bridge.rounding.rules.activation_forms import FORMS, Form
from bridge.rounding.rules.activations import activation_of, apply_activation
from bridge.rounding.rules.layer import Evaluation, Layer, UnsupportedError
from bridge.rounding.rules.rounding import FLOAT32, MOST_TERMS, TINY, UNIT, Format

#: A map that is linear in each of two arrays and adds only products of their elements: a matrix
#: product or a convolution.
Bilinear = Callable[[F64, F64], F64]


@dataclass(frozen=True)
class Product:
    """One bilinear part of a sum: ``apply(x, w)``, of which each result adds ``terms`` products.

    ``error`` bounds how far the x that was computed with may be from ``x`` (None: it is known).
    """

    x: F64
    w: F64
    apply: Bilinear
    terms: int
    error: F64 | None = None

    def value(self) -> F64:
        """Return the sum of the products in float64."""
        with np.errstate(all="ignore"):
            return self.apply(self.x, self.w)


def dot_error(
    products: Sequence[Product],
    bias: F64 | None,
    value: F64,
    fmt: Format = FLOAT32,
    offset: float = 0.0,
) -> F64:
    """Bound the error of a sum of products and a bias, each result an element of ``value``.

    ``value`` is the float64 sum of all parts and the bias. ``offset`` is a constant that is added
    to the sum next, and may be added to any part of it first. The bound is infinite where a partial
    sum may overflow in some order.
    """
    terms = sum(product.terms for product in products)
    size = np.zeros(value.shape) if bias is None else np.broadcast_to(np.abs(bias), value.shape)
    lost = np.zeros(value.shape)
    carried = np.zeros(value.shape)
    with np.errstate(all="ignore"):
        for product in products:
            size_x, size_w = np.abs(product.x), np.abs(product.w)
            if product.error is not None:
                carried = carried + product.apply(product.error, size_w)
                size_x = size_x + product.error
            size = size + product.apply(size_x, size_w)
            small_x, small_w = fmt.subnormal(size_x), fmt.subnormal(size_w)
            if small_x is not None:
                lost = lost + product.apply(small_x, size_w)
            if small_w is not None:
                lost = lost + product.apply(size_x, small_w)
        small_b = None if bias is None else fmt.subnormal(bias)
        if small_b is not None:
            lost = lost + small_b
        adds = terms - 1 if bias is None else terms
        # An offset is one more term, and partial sums are larger by as much.
        adds, more = (adds + 1, abs(offset)) if offset else (adds, 0.0)
        lost = lost + (terms + adds) * fmt.tiny
        return carried + sum_error(
            size + more, value, adds, lost=lost, carried=carried + more, fmt=fmt
        )


def sum_error(
    size: F64,
    value: F64,
    adds: int,
    *,
    rounded: bool = True,
    lost: F64 | float = 0.0,
    carried: F64 | float = 0.0,
    fmt: Format = FLOAT32,
) -> F64:
    """Bound the error of a sum of terms in any order.

    ``size`` is the sum of the terms' magnitudes, ``value`` their sum; ``adds`` additions make it;
    ``rounded`` says that each term is a product, rounded once. ``lost`` bounds what flushing to
    zero loses along the way; ``carried`` how far the terms that were really added may be from
    those of ``value``, which counts towards the size of the partial sums but is not added to the
    result. Infinite where a partial sum may overflow.
    """
    u, first = fmt.unit, 1 if rounded else 0
    with np.errstate(all="ignore"):
        whole = fmt.growth(adds + first) * size
        most = 0.5 * (size + np.minimum(np.abs(value) + carried, size))
        sharp = first * u * size + adds * u * (most + whole)
        evaluated = (adds + 4) * 2.0**-52 * size
        error = np.minimum(whole, sharp) + evaluated + (1.0 + adds * u) * lost
        return np.where(size + error < fmt.overflow, error, np.inf)


# Averages: sums divided by how many there are, or sums of terms that were divided before.


def check_terms(terms: int) -> None:
    """Refuse an average of nothing, or of more terms than a bound can be given for.

    Raises:
        UnsupportedError: there are none, or too many.
    """
    if terms < 1:
        raise UnsupportedError("it averages over nothing")
    if terms + 8 > MOST_TERMS:
        raise UnsupportedError(f"{terms} terms are too many for a bound")


def mean_error(size: F64, small: F64, total: F64, count: F64, most: int, fmt: Format) -> F64:
    """Bound the error of ``total / count`` for a sum in any order.

    ``size`` is the sum of the magnitudes, ``small`` that of the subnormal ones among them;
    ``most`` is the largest of ``count``. The sum may be divided, or multiplied by a rounded
    reciprocal of a rounded count, or each term before they are added: that is three roundings of
    every term, none if the count is a power of two, and ``tiny`` for each. Infinite where a partial
    sum may overflow.
    """
    with np.errstate(all="ignore"):
        added = sum_error(
            size, total, most - 1, rounded=False, lost=small + (most - 1) * fmt.tiny, fmt=fmt
        )
        exact = np.frexp(count)[0] == 0.5
        divided = np.where(exact, 0.0, fmt.gamma(4) * (size + added))
        bound = (added + divided) / count + (most + 2) * fmt.tiny
        return np.where(np.isfinite(bound) & (count < fmt.overflow), bound, np.inf)


# Maxima and minima: what they return is one of their arguments, but for NaN and tiny numbers.


def selected(value: AnyArray, lowest: float = np.nan) -> Evaluation:
    """Return the evaluation of an extremum ``value``, NaN where any argument is.

    Nothing is claimed of NaN, nor where the result is ``lowest``: a kernel may begin with the
    lowest finite number and never see anything above it.
    """
    if value.dtype.kind in "biu":
        return Evaluation(value)

    def derive() -> F64:
        number = value.astype(np.float64)
        with np.errstate(all="ignore"):
            # Arguments below TINY compare as equal, so that any of them may be returned.
            bound = np.where(np.abs(number) < TINY, 2.0 * TINY, 0.0)
            return np.where(np.isnan(number) | (number == lowest), np.inf, bound)

    return Evaluation(value, derive)


# Reciprocal square roots: how far a kernel's may be off, of an argument known up to an error.

_ESTIMATE: Final = 1.5 * 2.0**-12
#: What one step of Newton's method makes of an estimate, with its own roundings.
NEWTON: Final = 1.5 * _ESTIMATE**2 * (1.0 + _ESTIMATE) + 2.0 * UNIT * (1.0 + 4.0 * _ESTIMATE)


def check_measured(layer: Layer) -> None:
    """Refuse a layer whose root was taken where none was measured.

    Raises:
        UnsupportedError: it may have run on something else than a CPU.
    """
    if set(layer.devices) != {"CPU"}:
        where = " or ".join(layer.devices) or "a device that was not recorded"
        raise UnsupportedError(f"it ran on {where}, whose square roots were never measured")


@lru_cache(maxsize=1)
def relative_error() -> float:
    """Return the largest relative error of a kernel's reciprocal square root of a normal number."""
    text = files("bridge.rounding").joinpath("data", "roots.json").read_text("utf-8")
    data = json.loads(text)
    return max(
        NEWTON,
        *(
            float(kernel["max_relative"])
            for record in data["measurements"]
            for kernel in record["kernels"]
        ),
    )


def reciprocal_root(s: F64, error: F64, more: float = 0.0) -> tuple[F64, F64]:
    """Return 1/sqrt(s) and its error, for an ``s`` that a kernel knows up to ``error``.

    The kernel's own may be larger by up to ``more`` besides. The error is infinite where s may be
    zero, negative or subnormal: kernels return NaN or infinity there.
    """
    with np.errstate(all="ignore"):
        root = 1.0 / np.sqrt(s)
        most = 1.0 / np.sqrt(np.where(s - error >= TINY, s - error, np.nan))
        least = 1.0 / np.sqrt(s + error + more)
        off = np.maximum(most - root, root - least) + (relative_error() + 2.0**-50) * most
        return root, np.where(np.isfinite(off), off, np.inf)


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
class SumPart:
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

    def __add__(self, other: SumPart) -> SumPart:
        with np.errstate(all="ignore"):
            return SumPart(
                self.value + other.value,
                self.size + other.size,
                self.lost + other.lost,
                self.carried + other.carried,
                self.length + other.length,
                self.terms + other.terms,
                self.singles + other.singles,
            )

    def gate(self, which: int | list[int]) -> SumPart:
        """Return one gate, or several, of the axis before the last."""
        value, size, lost, carried, length = (_gate(array, which) for array in self._arrays)
        return SumPart(value, size, lost, carried, length, self.terms, self.singles)

    def at(self, time: int) -> SumPart:
        """Return one step of the first axis."""
        parts = (_at(array, time, self.value.ndim) for array in self._arrays)
        value, size, lost, carried, length = parts
        return SumPart(value, size, lost, carried, length, self.terms, self.singles)

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
    error, length = ([part.error for part in parts], [part.length for part in parts])
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


# Arithmetic with numbers that are known nearly: each result with all that may be wrong with it.

_FLOAT64: Final = 2.0**-50

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

    def product(self, a: Near, matrix: Matrix) -> SumPart:
        """Return a W as part of a sum."""
        terms = int(matrix.w.shape[0])
        value = matrix.times(a.value)
        if not self.bounded:
            return SumPart(value, terms=terms)
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
            return SumPart(value, matrix.size.times(size), lost, carried, length, terms)

    def single(self, a: Near) -> SumPart:
        """Return numbers as part of a sum."""
        if not self.bounded:
            return SumPart(a.value, singles=1)
        with np.errstate(all="ignore"):
            size = np.abs(a.value) + a.error
            lost = np.where(size > 0.0, self.fmt.tiny, 0.0)
        return SumPart(a.value, size, lost, a.error, a.length, singles=1)

    def settle(self, part: SumPart) -> Near:
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
