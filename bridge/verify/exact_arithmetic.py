"""Exact numbers: floats as integers times powers of two, and balls where a function is not exact.

Every finite float is n 2^e with an integer n, so sums of products of floats are integers once the
powers are taken out: FLINT multiplies matrices of them. Roots, quotients and exponentials are
computed in balls of Arb, a midpoint and a radius that contain the true value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np
from flint import arb, ctx, fmpz_mat

from bridge._typing import F64, AnyArray, Mask
from bridge.errors import BridgeError
from bridge.rounding.rules.activation_forms import Form
from bridge.rounding.rules.layer import Layer

# Activations as functions of balls.
#
# Each is written in a form that stays right for a ball that contains a bend, and is evaluated with
# as many digits as are asked for.

#: A function of one number.
Real = Callable[[arb], arb]


def real_of(form: Form) -> Real | None:
    """Return the function that a float64 form stands for; None if it has no exact evaluation."""
    if form.constants:
        family = _FAMILIES.get(form.name)
        return None if family is None else family(*form.constants)
    return PLAIN.get(form.name)


def above(z: arb) -> arb:
    """Return max(z, 0)."""
    return z.max(arb(0))


def below(z: arb) -> arb:
    """Return min(z, 0)."""
    return z.min(arb(0))


def clip(z: arb, least: float, most: float) -> arb:
    """Return the number from ``least`` to ``most`` that is nearest to z."""
    return z.max(arb(least)).min(arb(most))


def sigmoid(z: arb) -> arb:
    """Return 1 / (1 + exp(-z)), without exponentials that are too large for a ball."""
    small = (-abs(z)).exp()
    if z >= 0:
        return 1 / (1 + small)
    return small / (1 + small) if z < 0 else 1 / (1 + (-z).exp())


def softplus(z: arb) -> arb:
    """Return log(1 + exp(z))."""
    return above(z) + (-abs(z)).exp().log1p()


def _selu(z: arb) -> arb:
    scale, alpha = (
        arb("1.0507009873554804934193349852946"),
        arb("1.6732632423543772848170429916717"),
    )
    return scale * (above(z) + alpha * below(z).expm1())


def _gelu(z: arb) -> arb:
    return z / 2 * (-z / arb(2).sqrt()).erfc()


def _gelu_tanh(z: arb) -> arb:
    # (1 + tanh(t)) / 2 is the logistic function of 2t.
    return z * sigmoid(2 * (2 / arb.pi()).sqrt() * (z + arb("0.044715") * z * z * z))


def _sparse_plus(z: arb) -> arb:
    # (z + 1)^2 / 4 from -1 to 1, z from there on.
    inner = clip(z, -1.0, 1.0) + 1
    return inner * inner / 4 + above(z - 1)


def hard_sigmoid(z: arb, generation: int) -> arb:
    """Return what Keras 2 or Keras 3 calls so."""
    if generation == 2:
        return clip(arb(0.2) * z + arb(0.5), 0.0, 1.0)
    return clip(z + 3, 0.0, 6.0) / 6


def _either(z: arb, edge: float, over: Real, under: Real) -> arb:
    """Return over(z) beyond an edge and under(z) up to it; both where z may be either."""
    if z > edge:
        return over(z)
    return under(z) if z <= edge else over(z).union(under(z))


def leaky(slope: float) -> Real:
    """Return max(z, 0) + slope min(z, 0)."""
    return lambda z: above(z) + slope * below(z)


def elu(alpha: float) -> Real:
    """Return max(z, 0) + alpha (exp(min(z, 0)) - 1)."""
    return lambda z: above(z) + alpha * below(z).expm1()


def celu(alpha: float) -> Real:
    """Return max(z, 0) + alpha (exp(min(z, 0) / alpha) - 1)."""
    return lambda z: above(z) + alpha * (below(z) / alpha).expm1()


def rectifier(slope: float, edge: float, most: float | None) -> Real:
    """Return slope (z - edge) up to an edge, beyond it z, or what is nearest in [0, most]."""

    def over(z: arb) -> arb:
        return z if most is None else clip(z, 0.0, most)

    return lambda z: _either(z, edge, over, lambda inner: slope * (inner - edge))


def squareplus(b: float) -> Real:
    """Return (z + sqrt(z^2 + b)) / 2."""

    def real(z: arb) -> arb:
        root = (z * z + b).sqrt()
        return b / (root - z) / 2 if z < 0 else (z + root) / 2

    return real


def threshold(edge: float, default: float) -> Real:
    """Return z beyond an edge and a constant up to it."""
    return lambda z: _either(z, edge, lambda inner: inner, lambda _inner: arb(default))


def hard_shrink(edge: float) -> Real:
    """Return z where its magnitude is beyond an edge, and 0 elsewhere."""

    def real(z: arb) -> arb:
        if abs(z) > edge:
            return z
        return arb(0) if abs(z) <= edge else z.union(arb(0))

    return real


def soft_shrink(edge: float) -> Real:
    """Return z moved towards zero by ``edge``, at most to zero."""
    return lambda z: above(z - edge) + below(z + edge)


#: By the name of the form, where a configuration has no constants.
PLAIN: Final[Mapping[str, Real]] = {
    "linear": lambda z: z,
    "relu": above,
    "relu6": lambda z: clip(z, 0.0, 6.0),
    "hard_tanh": lambda z: clip(z, -1.0, 1.0),
    "sigmoid": sigmoid,
    "tanh": lambda z: z.tanh(),
    "tanh_shrink": lambda z: z - z.tanh(),
    "selu": _selu,
    "softplus": softplus,
    "log_sigmoid": lambda z: -softplus(-z),
    "softsign": lambda z: z / (1 + abs(z)),
    "silu": lambda z: z * sigmoid(z),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "mish": lambda z: z * softplus(z).tanh(),
    "exponential": lambda z: z.exp(),
    "hard_sigmoid_2": lambda z: hard_sigmoid(z, 2),
    "hard_sigmoid_3": lambda z: hard_sigmoid(z, 3),
    "hard_silu": lambda z: z * hard_sigmoid(z, 3),
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": lambda z: (clip(z, -1.0, 1.0) + 1) / 2,
}

#: By the name of the form: the function with such constants.
_FAMILIES: Final[Mapping[str, Callable[..., Real]]] = {
    "relu": rectifier,
    "leaky_relu": leaky,
    "elu": elu,
    "celu": celu,
    "squareplus": squareplus,
    "threshold": threshold,
    "hard_shrink": hard_shrink,
    "soft_shrink": soft_shrink,
}


Ints = np.ndarray[Any, np.dtype[np.int64]]
Balls = list[arb]

#: Bits of a ball's midpoint.
PRECISION: Final = 192

_MOST_BITS: Final = 62


@contextmanager
def precisely() -> Iterator[None]:
    """Compute balls with :data:`PRECISION` bits."""
    with ctx.workprec(PRECISION):
        yield


@dataclass(frozen=True)
class Dyadic:
    """Numbers n 2^e: ``numbers`` holds the integers n, of one exponent e, row by row."""

    numbers: list[int]
    exponent: int
    shape: tuple[int, ...]

    @cached_property
    def matrix(self) -> fmpz_mat:
        """The integers as a matrix, for two axes."""
        rows, columns = self.shape
        return fmpz_mat(rows, columns, self.numbers)

    def pick(self, places: Ints) -> Dyadic:
        """Return the numbers at the given flat places."""
        numbers = [self.numbers[place] for place in places.ravel().tolist()]
        return Dyadic(numbers, self.exponent, places.shape)


def dyadic(values: AnyArray) -> Dyadic:
    """Return finite numbers of any real type exactly.

    Raises:
        ValueError: one of them is not finite.
    """
    if values.dtype.kind in "biu":
        return Dyadic([int(number) for number in values.ravel().tolist()], 0, values.shape)
    flat = values.ravel().astype(np.float64)
    if not np.isfinite(flat).all():
        raise ValueError("there is a number that is not finite")
    fraction, exponent = np.frexp(flat)
    whole = (fraction * 2.0**53).astype(np.int64)
    # Without its trailing zeros a float32 has 24 bits, whatever type holds it.
    _, zeros = np.frexp((whole & -whole).astype(np.float64))
    zeros = np.where(whole == 0, 0, zeros - 1)
    whole >>= zeros
    exponent = np.where(whole == 0, 0, exponent - 53 + zeros).astype(np.int64)
    there = whole != 0
    low = int(exponent[there].min()) if there.any() else 0
    shift = np.where(whole == 0, 0, exponent - low)
    _, bits = np.frexp(np.abs(whole).astype(np.float64))
    if int((bits + shift).max(initial=0)) <= _MOST_BITS:
        numbers = (whole << shift).tolist()
    else:
        numbers = [n << s for n, s in zip(whole.tolist(), shift.tolist(), strict=True)]
    return Dyadic(numbers, low, values.shape)


def product(a: Dyadic, b: Dyadic) -> Dyadic:
    """Return the matrix product of (n, k) and (k, m) numbers."""
    result = a.matrix * b.matrix
    numbers = [int(entry) for entry in result.entries()]
    return Dyadic(numbers, a.exponent + b.exponent, (a.shape[0], b.shape[1]))


def dots(a: Dyadic, b: Dyadic) -> Dyadic:
    """Return the sums along the second axis of the products of (n, k) and (n, k) numbers."""
    rows, length = a.shape
    numbers = [
        sum(map(int.__mul__, a.numbers[i : i + length], b.numbers[i : i + length]))
        for i in range(0, rows * length, max(length, 1))
    ] or [0] * rows
    return Dyadic(numbers, a.exponent + b.exponent, (rows,))


def row_sums(values: Dyadic) -> Dyadic:
    """Return the sums along the second axis of (n, k) numbers."""
    rows, length = values.shape
    numbers = [
        sum(values.numbers[i : i + length]) for i in range(0, rows * length, max(length, 1))
    ] or [0] * rows
    return Dyadic(numbers, values.exponent, (rows,))


def every(mask: Mask, axis: int = 1) -> Mask:
    """Return where a mask is true all along an axis."""
    return np.asarray(mask.all(axis=axis), np.bool_)


def taken(values: AnyArray, places: Ints) -> AnyArray:
    """Return elements at flat places, without making one array of a view that repeats itself."""
    return np.asarray(values[np.unravel_index(places, values.shape)])


def balls(values: Dyadic) -> Balls:
    """Return the numbers as balls of no radius."""
    return [arb(mid=(number, values.exponent)) for number in values.numbers]


def exactly(values: Sequence[arb], shape: tuple[int, ...]) -> Dyadic:
    """Return balls of no radius as numbers; what is not a number counts as 0.

    Raises:
        ValueError: a ball has a radius.
    """
    parts = [value.man_exp() if value.is_finite() else (0, 0) for value in values]
    low = min((int(e) for n, e in parts if n != 0), default=0)
    return Dyadic([int(n) << (int(e) - low) if n != 0 else 0 for n, e in parts], low, shape)


def points(values: AnyArray) -> Balls:
    """Return the elements of an array of floats as balls of no radius; NaN and Inf stay so."""
    return [arb(number) for number in values.ravel().tolist()]


def upper(values: Sequence[arb]) -> F64:
    """Return a float64 above every ball; NaN for a ball that is not a number."""
    return np.nextafter(_floats([value.upper() for value in values]), np.inf)


def lower(values: Sequence[arb]) -> F64:
    """Return a float64 below every ball; NaN for a ball that is not a number."""
    return np.nextafter(_floats([value.lower() for value in values]), -np.inf)


def _floats(values: Sequence[arb]) -> F64:
    return np.array([float(value) for value in values], np.float64)


# What a layer returns in exact arithmetic: values that are computed when somebody asks.
#
# Values are asked for by their places in the flattened output, a chunk at a time, so that a few
# elements of a large output cost little and a whole one does not fill the memory.

#: Values that are asked for at once where a layer does not say.
CHUNK: Final = 2**14


class UncheckedError(BridgeError):
    """A layer has no exact evaluation here; the message is a sentence that says why."""


@dataclass(frozen=True)
class Values:
    """Exact values; ``defined`` is False where an argument is NaN or infinite."""

    exact: Balls
    defined: Mask


class ExactLayer(Protocol):
    """A layer, or a part of one."""

    @property
    def chunk(self) -> int:
        """For how many elements in a row to ask at once."""

    def at(self, places: Ints) -> Values:
        """Return the values at flat places of the output."""


#: Makes the exact values of a layer from the inputs that it computes with.
Make = Callable[[Layer, Sequence[AnyArray]], ExactLayer]


@dataclass(frozen=True)
class Recorded:
    """Elements that were recorded, or handed on as they are: nothing is computed."""

    elements: AnyArray
    chunk: int = CHUNK

    def at(self, places: Ints) -> Values:
        """Return the values at flat places."""
        found = self.elements.reshape(-1)[places]
        if found.dtype.kind == "b":
            found = found.astype(np.int64)
        return Values(points(found), np.isfinite(found))


@dataclass(frozen=True)
class MovedValues:
    """Values that stand at other places: the one at place p is that at ``order[p]``."""

    layer: ExactLayer
    order: Ints

    @property
    def chunk(self) -> int:
        """For how many elements in a row to ask at once."""
        return min(self.layer.chunk, CHUNK)

    def at(self, places: Ints) -> Values:
        """Return the values at flat places."""
        return self.layer.at(self.order[places])


@dataclass(frozen=True)
class Activated:
    """A function of each value; ``function`` gives that of a place."""

    layer: ExactLayer
    function: Callable[[int], Real]

    @property
    def chunk(self) -> int:
        """For how many elements in a row to ask at once."""
        return min(self.layer.chunk, CHUNK)

    def at(self, places: Ints) -> Values:
        """Return the values at flat places."""
        before = self.layer.at(places)
        functions = map(self.function, places.tolist())
        exact = [f(z) for f, z in zip(functions, before.exact, strict=True)]
        return Values(exact, before.defined)


@dataclass(frozen=True)
class Rescaled:
    """x s + t, where s and t have an element for every place."""

    layer: ExactLayer
    scale: AnyArray
    offset: AnyArray

    @property
    def chunk(self) -> int:
        """For how many elements in a row to ask at once."""
        return min(self.layer.chunk, CHUNK)

    def at(self, places: Ints) -> Values:
        """Return the values at flat places."""
        before = self.layer.at(places)
        index = np.unravel_index(places, self.scale.shape)
        s, t = self.scale[index], self.offset[index]
        exact = [a * b + c for a, b, c in zip(before.exact, points(s), points(t), strict=True)]
        return Values(exact, before.defined & np.isfinite(s) & np.isfinite(t))


@dataclass(frozen=True)
class Softmax:
    """exp(z_i) / sum_j exp(z_j) along an axis of values of some shape, or its logarithm."""

    layer: ExactLayer
    shape: tuple[int, ...]
    axis: int
    logarithm: bool = False

    @property
    def length(self) -> int:
        """The number of elements of a row."""
        return self.shape[self.axis]

    @property
    def chunk(self) -> int:
        """For how many elements in a row to ask at once."""
        length = max(self.length, 1)
        return max(1, min(self.layer.chunk, CHUNK) // length) * length

    def at(self, places: Ints) -> Values:
        """Return the values at flat places: all rows that they belong to are computed."""
        step = int(np.prod(self.shape[self.axis % len(self.shape) + 1 :], dtype=np.int64))
        outer, rest = np.divmod(places, self.length * step)
        column, inner = np.divmod(rest, step)
        rows, row_of = np.unique(outer * step + inner, return_inverse=True)
        outer, inner = np.divmod(rows, step)
        along = np.arange(self.length, dtype=np.int64) * step
        every = (outer * self.length * step + inner)[:, None] + along[None, :]
        before = self.layer.at(every.ravel())
        defined = before.defined.reshape(every.shape).all(axis=1)
        row_values = [
            self._row(before.exact[n * self.length : (n + 1) * self.length], bool(known))
            for n, known in enumerate(defined.tolist())
        ]
        row_of = row_of.ravel()
        exact = [row_values[n][k] for n, k in zip(row_of.tolist(), column.tolist(), strict=True)]
        return Values(exact, defined[row_of])

    def _row(self, z: Balls, known: bool) -> Balls:
        if not known:
            return [arb.nan()] * len(z)
        # What is subtracted cancels; without it, exponentials are too large for a ball.
        middle = max(z, key=lambda number: float(number.mid()))
        below = [number - middle for number in z]
        parts = [number.exp() for number in below]
        total = sum(parts, arb(0))
        if self.logarithm:
            return [number - total.log() for number in below]
        return [part / total for part in parts]
