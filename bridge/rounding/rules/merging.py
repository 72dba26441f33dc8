"""Bounds of layers that merge several inputs or scale one, and of vectors' lengths."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.rounding.rules.arithmetic import (
    check_measured,
    check_terms,
    mean_error,
    relative_error,
    selected,
    sum_error,
)
from bridge.rounding.rules.layer import Evaluation, Layer, Rule, UnsupportedError, as_number, single
from bridge.rounding.rules.rounding import FLOAT32, MOST_TERMS, TINY, UNIT, Format, float32
from bridge.rounding.rules.windows import axes, check_size, is_int

#: The smallest sum of squares by which ``tf_keras`` divides.
_LEAST: Final = float32(1e-12)


@dataclass(frozen=True)
class UnitVectors:
    """Vectors, and how far a float32 computation of them may be off; not at all if unknown."""

    value: F64
    derive: Callable[[], F64] | None = None

    def error(self) -> F64:
        """Return the bound of the error, element by element."""
        return np.zeros(self.value.shape) if self.derive is None else self.derive()


def unit_length(layer: Layer, x: F64, along: tuple[int, ...], capped: float) -> UnitVectors:
    """Divide the vectors of ``x`` along some axes by their lengths.

    ``capped`` is the smallest length by which Keras 3 divides.

    Raises:
        UnsupportedError: the layer does not compute in float32 on a CPU, or which Keras it is from
            is not known.
    """
    check_measured(layer)
    if layer.arithmetic().name != FLOAT32.name:
        raise UnsupportedError("lengths have a rule for float32 alone")
    if layer.generation == 0:
        raise UnsupportedError("short vectors differ between Keras 2 and 3, and which it was is "
                               "not recorded")  # fmt: skip
    terms = math.prod(x.shape[axis] for axis in along)
    check_terms(terms)
    cap = float32(1.0 / capped)

    def root(squares: F64, factor: float) -> F64:
        with np.errstate(all="ignore"):
            if layer.generation == 2:
                return np.asarray(factor / np.sqrt(np.maximum(squares, _LEAST)))
            return np.asarray(np.minimum(factor / np.sqrt(np.maximum(squares, 0.0)), cap))

    with np.errstate(all="ignore"):
        squares = np.sum(x * x, axis=along, keepdims=True)
        scale = root(squares, 1.0)
        value = x * scale

    def derive() -> F64:
        with np.errstate(all="ignore"):
            off = FLOAT32.gamma(terms + 3) * squares + 3.0 * terms * TINY
            most = root(np.where(squares - off < TINY, 0.0, squares - off), 1.0 + relative_error())
            least = root(squares + off, 1.0 - relative_error())
            step = np.maximum(most - scale, scale - least)
            small = FLOAT32.subnormal(x)
            lost = TINY + (0.0 if small is None else small * most)
            bound = np.abs(x) * (step + (UNIT + 2.0**-48) * most) + lost
            known = np.isfinite(bound) & (squares + off < FLOAT32.overflow)
            return np.where(known, bound, np.inf)

    return UnitVectors(value, derive)


def unit_normalization(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate UnitNormalization."""
    x = single(inputs)
    found = unit_length(layer, x, axes(layer, x.ndim), capped=1e-12)
    return (Evaluation(found.value, found.derive),)


# Layers that merge several inputs: sums, products, extrema, concatenation and dot products.


def add(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate Add: the sum of its inputs."""
    return (_sum(aligned(inputs), layer.arithmetic()),)


def subtract(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate Subtract: the first input without the second."""
    if len(inputs) != 2:
        raise UnsupportedError(f"it has {len(inputs)} inputs; its rule takes two")
    first, second = aligned(inputs)
    return (_sum([first, -second], layer.arithmetic()),)


def average(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate Average: the sum of its inputs, divided by how many there are."""
    fmt = layer.arithmetic()
    terms = aligned(inputs)
    number = len(terms)
    check_terms(number)
    with np.errstate(all="ignore"):
        total = _total(terms)
        value = total / number

    def derive() -> F64:
        with np.errstate(all="ignore"):
            size = _total([np.abs(x) for x in terms])
            small = _total(_small(terms, fmt))
            return mean_error(size, small, total, np.array(float(number)), number, fmt)

    return (Evaluation(value, derive),)


def multiply(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate Multiply.

    Each of the n - 1 products is rounded once. One that is flushed to zero, or an argument that
    is, loses at most ``tiny`` times the other factors, of which those below 1 are left out.
    """
    fmt = layer.arithmetic()
    factors = aligned(inputs)
    number = len(factors)
    if number > 2**10:
        raise UnsupportedError(f"{number} factors are too many for a bound")
    with np.errstate(all="ignore"):
        value = np.asarray(math.prod(factors[1:], start=factors[0]))

    def derive() -> F64:
        with np.errstate(all="ignore"):
            largest = np.asarray(math.prod(np.maximum(np.abs(x), 1.0) for x in factors))
            growth = fmt.gamma(number) + number * 2.0**-52
            bound = growth * np.abs(value) + 2.0 * number * fmt.tiny * largest
            if number == 1:
                bound = np.zeros(value.shape)
            return np.where(largest * (1.0 + growth) < fmt.overflow, bound, np.inf)

    return (Evaluation(value, derive),)


def maximum(_layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate Maximum."""
    return (_extremum(inputs, np.maximum),)


def minimum(_layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate Minimum."""
    return (_extremum(inputs, np.minimum),)


def concatenate(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate Concatenate along ``axis``."""
    if len({x.ndim for x in inputs}) != 1 or len({x.dtype.kind for x in inputs}) != 1:
        raise UnsupportedError("its inputs differ in their axes or in their kind of numbers")
    (axis,) = axes(layer, inputs[0].ndim)[:1]
    return (Evaluation(np.concatenate(inputs, axis)),)


def dot(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate Dot: for every sample, the products of its two inputs summed along one axis of each.

    With ``normalize`` both are divided by their lengths along that axis first.
    """
    fmt = layer.arithmetic()
    if len(inputs) != 2 or any(x.ndim < 2 for x in inputs):
        raise UnsupportedError("its inputs are not two arrays with a batch axis and others")
    places = dot_axes(layer, inputs)
    if inputs[0].shape[0] != inputs[1].shape[0]:
        raise UnsupportedError("its inputs differ in the number of samples")
    terms = inputs[0].shape[places[0]]
    if terms != inputs[1].shape[places[1]]:
        shapes = " and ".join(str(x.shape) for x in inputs)
        raise UnsupportedError(f"its inputs of shapes {shapes} do not fit axes {places}")
    if not 0 < terms < MOST_TERMS - 2:
        raise UnsupportedError(f"{terms} products are too few or too many for a bound")
    shape = inputs[0].shape[:1]
    for x, place in zip(inputs, places, strict=True):
        shape = (*shape, *x.shape[1:place], *x.shape[place + 1 :])
    # One sum for each sample is a column.
    shape = (*shape, 1) if len(shape) == 1 else shape
    check_size(shape)
    normalize = layer.config.get("normalize", False)
    if not isinstance(normalize, bool):
        raise UnsupportedError(f"its normalize {normalize!r} is neither true nor false")
    units = [
        unit_length(layer, x, (place,), capped=1e-7) if normalize else UnitVectors(x)
        for x, place in zip(inputs, places, strict=True)
    ]

    def apply(first: F64, second: F64) -> F64:
        rows = np.moveaxis(first, places[0], -1).reshape(len(first), -1, terms)
        columns = np.moveaxis(second, places[1], 1).reshape(len(second), terms, -1)
        return np.asarray(np.matmul(rows, columns).reshape(shape))

    with np.errstate(all="ignore"):
        value = apply(units[0].value, units[1].value)
    return (Evaluation(value, lambda: _dot_error(units, apply, value, terms, fmt)),)


def _dot_error(
    units: Sequence[UnitVectors], apply: Any, value: F64, terms: int, fmt: Format
) -> F64:
    with np.errstate(all="ignore"):
        errors = [unit.error() for unit in units]
        sizes = [np.abs(unit.value) + error for unit, error in zip(units, errors, strict=True)]
        carried = apply(errors[0], sizes[1]) + apply(sizes[0], errors[1])
        small = [fmt.subnormal(size) for size in sizes]
        lost = np.full(value.shape, (2 * terms - 1) * fmt.tiny)
        if small[0] is not None:
            lost = lost + apply(small[0], sizes[1])
        if small[1] is not None:
            lost = lost + apply(sizes[0], small[1])
        added = sum_error(apply(*sizes), value, terms - 1, lost=lost, carried=carried, fmt=fmt)
        bound = carried + added
        return np.where(np.isfinite(bound), bound, np.inf)


def dot_axes(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[int, int]:
    """Return the axis of each of two inputs along which products are summed.

    Raises:
        UnsupportedError: the configuration cannot be read, or does not fit the inputs.
    """
    found = layer.config.get("axes")
    parts = found if isinstance(found, list) else [found] * 2
    good: list[int] = []
    for part, x in zip(parts, inputs, strict=False):
        if isinstance(part, int) and is_int(part) and -x.ndim <= part < x.ndim:
            good.append(part % x.ndim)
    if len(parts) != 2 or len(good) != 2 or 0 in good:
        raise UnsupportedError(f"its axes {found!r} do not fit its inputs")
    return good[0], good[1]


def _sum(terms: Sequence[F64], fmt: Format) -> Evaluation:
    adds = len(terms) - 1
    with np.errstate(all="ignore"):
        value = _total(terms)

    def derive() -> F64:
        if adds == 0:
            return np.zeros(value.shape)
        size = _total([np.abs(x) for x in terms])
        lost = _total(_small(terms, fmt)) + adds * fmt.tiny
        return sum_error(size, value, adds, rounded=False, lost=lost, fmt=fmt)

    return Evaluation(value, derive)


def _extremum(inputs: Sequence[AnyArray], function: Any) -> Evaluation:
    if len({x.dtype for x in inputs}) != 1:
        raise UnsupportedError("its inputs are of several types")
    first, *others = aligned(inputs)
    if not others:
        return Evaluation(first)
    for operand in others:
        first = function(first, operand)
    return selected(first)


def aligned(inputs: Sequence[AnyArray]) -> list[AnyArray]:
    """Give all inputs the same number of axes, as Keras does, and check that they fit.

    Raises:
        UnsupportedError: one of them has no axis for the batch, or the output is too large.
        ValueError: they do not fit together.
    """
    most = max(x.ndim for x in inputs)
    if any(x.ndim == 0 for x in inputs) and most > 0:
        raise UnsupportedError("one of its inputs has no batch axis")
    found = [x.reshape(x.shape[:1] + (1,) * (most - x.ndim) + x.shape[1:]) for x in inputs]
    # A ValueError for shapes that do not fit is reported as one.
    check_size(np.broadcast_shapes(*(x.shape for x in found)))
    return found


def _total(terms: Sequence[F64]) -> F64:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _small(terms: Sequence[F64], fmt: Format) -> list[F64]:
    found = [fmt.subnormal(x) for x in terms]
    return [np.zeros_like(x) if s is None else s for x, s in zip(terms, found, strict=True)]


# Layers that move and scale each element by itself: Rescaling and Normalization.
#
# Rescaling is y = x s + t. Normalization is y = (x - m) / max(sqrt(v), e), or, inverted, y = m + x
# max(sqrt(v), e), with moments that were found before: e is Keras' epsilon, unless a script sets
# it.


def rescaling(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate the layer; scale and offset are numbers, or one for each channel."""
    return (rescaled(layer, single(inputs)),)


def rescaled(layer: Layer, x: AnyArray, off: Callable[[], F64] | None = None) -> Evaluation:
    """Evaluate the layer on an input that is known up to what ``off`` returns.

    Raises:
        UnsupportedError: its scale or offset cannot be read, or does not fit.
    """
    fmt = layer.arithmetic()
    scale, offset = constants(layer, "scale", 1.0, fmt), constants(layer, "offset", 0.0, fmt)
    try:
        with np.errstate(all="ignore"):
            value = x * scale + offset
    except ValueError:
        raise UnsupportedError("its scale or offset does not fit its input") from None
    if value.shape != x.shape:
        raise UnsupportedError("its scale or offset has more axes than its input")

    def derive() -> F64:
        with np.errstate(all="ignore"):
            error = np.zeros(()) if off is None else off()
            carried = error * np.abs(scale)
            total = np.abs(x) * np.abs(scale) + carried + np.abs(offset)
            small = fmt.subnormal(x)
            lost = 2.0 * fmt.tiny + (0.0 if small is None else small * np.abs(scale))
            growth = fmt.gamma(3)
            bound = carried + growth * total + (1.0 + growth) * lost
            # One product and one sum: nothing else is there that might overflow.
            reach = np.maximum(np.abs(x) * np.abs(scale) + carried, np.abs(value)) + bound
            return np.where(reach < fmt.overflow, bound, np.inf)

    return Evaluation(value, derive)


def constants(layer: Layer, key: str, default: float, fmt: Format) -> F64:
    """Return one number of the configuration, or one for each channel, as ``fmt`` holds them.

    Raises:
        UnsupportedError: they are not numbers.
    """
    found = layer.config.get(key, default)
    items = found if isinstance(found, list) else [found]
    numbers = [as_number(item) for item in items]
    if any(number is None for number in numbers):
        raise UnsupportedError(f"its {key} is not made of numbers")
    values = fmt.cast(np.array(numbers, np.float64))
    return values if isinstance(found, list) else values[0]


#: ``keras.config.epsilon()``, by which nothing is divided that is less.
_EPSILON: Final = 1e-7


def normalization(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate a Normalization layer, whose moments are its weights or in its configuration."""
    fmt = layer.arithmetic()
    if fmt.name != FLOAT32.name:
        raise UnsupportedError(f"in {fmt.name} it has no rule")
    check_measured(layer)
    x = single(inputs)
    mean, variance = _moments(layer, x, fmt)
    root = np.maximum(np.sqrt(variance), fmt.held(_EPSILON))
    # A root is the processor's, or a reciprocal root that is refined and multiplied once more.
    off = relative_error() + 2.0 * fmt.unit

    def subnormal(values: F64) -> F64:
        small = fmt.subnormal(values)
        return np.zeros(()) if small is None else small

    lost = subnormal(x), subnormal(mean)
    if layer.config.get("invert"):
        with np.errstate(all="ignore"):
            value = mean + x * root

        def derive() -> F64:
            with np.errstate(all="ignore"):
                grown = off + fmt.unit * (1.0 + off)
                product = np.abs(x) * root
                carried = product * grown + lost[0] * root * (1.0 + grown) + fmt.tiny
                rounded = fmt.unit * (np.abs(value) + carried) + fmt.tiny
                bound = carried + rounded + lost[1] + 2.0**-50 * (product + np.abs(mean))
                return np.where(product + np.abs(mean) + bound < fmt.overflow, bound, np.inf)

        return (Evaluation(value, derive),)
    with np.errstate(all="ignore"):
        distance = np.abs(x - mean)
        value = (x - mean) / root

    def derive_quotient() -> F64:
        with np.errstate(all="ignore"):
            # Divided, or multiplied by a rounded reciprocal: three roundings at most.
            grown = (fmt.gamma(3) + off) / (1.0 - off)
            carried = fmt.unit * distance + lost[0] + lost[1] + fmt.tiny
            bound = (carried + grown * (distance + carried)) / root + 2.0 * fmt.tiny
            bound = bound + 2.0**-50 * distance / root
            inside = (np.abs(value) + bound < fmt.overflow) & (distance + carried < fmt.overflow)
            return np.where(inside, bound, np.inf)

    return (Evaluation(value, derive_quotient),)


def _moments(layer: Layer, x: F64, fmt: Format) -> tuple[F64, F64]:
    """Return mean and variance, as arrays that fit the input."""
    axis = layer.config.get("axis", -1)
    axes = [] if axis is None else axis if isinstance(axis, list) else [axis]
    kept = {
        listed % x.ndim for listed in axes if isinstance(listed, int) and -x.ndim <= listed < x.ndim
    }
    if len(kept) != len(axes):
        raise UnsupportedError(f"its axis {axis!r} does not fit an input of shape {x.shape}")
    shape = tuple(size if place in kept else 1 for place, size in enumerate(x.shape))
    if layer.config.get("mean") is None:
        # Only the layer's own adaptation counts rows.
        weights = {name: weight for name, weight in layer.weights.items() if name != "count"}
        found = replace(layer, weights=weights).numbers("mean", "variance")
        moments = [found[key].reshape(-1) for key in ("mean", "variance")]
    else:
        given = [layer.config.get(key) for key in ("mean", "variance")]
        try:
            moments = [fmt.cast(np.array(moment, np.float64).reshape(-1)) for moment in given]
        except (TypeError, ValueError):
            raise UnsupportedError("its mean or variance is not made of numbers") from None
    size = math.prod(shape)
    if any(moment.size not in (1, size) for moment in moments):
        raise UnsupportedError(f"its moments do not fit an input of shape {x.shape}")
    mean, variance = (np.broadcast_to(moment, size).reshape(shape) for moment in moments)
    if not (variance >= 0.0).all():
        raise UnsupportedError("its variance is negative or not a number")
    return mean, variance


RULES: Final[Mapping[str, Rule]] = {
    "UnitNormalization": unit_normalization,
    "Concatenate": concatenate,
    "Maximum": maximum,
    "Minimum": minimum,
    "Add": add,
    "Average": average,
    "Dot": dot,
    "Multiply": multiply,
    "Subtract": subtract,
    "Normalization": normalization,
    "Rescaling": rescaling,
}
