"""What layers return in exact arithmetic, by the name of their class.

Configurations, weights and number formats are read as the rules read them; nothing that a rule
computed is used. Only where a layer hands elements on without computing is what the rule picked
taken for exact: there is nothing to round. A layer that has no exact evaluation here is reported
as not re-checked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np
from flint import arb
from pydantic import JsonValue

from bridge._typing import F64, AnyArray, Mask
from bridge.facts.layers import LAYERS, class_name, doing
from bridge.rounding.ladder import LayerCase
from bridge.rounding.rules import cast_inputs, evaluate
from bridge.rounding.rules.activations import activation_of, axis_of
from bridge.rounding.rules.layer import Layer, single
from bridge.rounding.rules.merging import aligned, constants, dot_axes
from bridge.rounding.rules.normalising import Normalisation, read_normalisation
from bridge.rounding.rules.windows import all_places, windows_of
from bridge.verify.exact_arithmetic import (
    CHUNK,
    Activated,
    Balls,
    ExactLayer,
    Ints,
    Make,
    Recorded,
    Rescaled,
    Softmax,
    UncheckedError,
    Values,
    balls,
    dots,
    dyadic,
    every,
    leaky,
    points,
    real_of,
    row_sums,
    taken,
)
from bridge.verify.products import (
    CONVOLUTIONS,
    Elements,
    Pairing,
    ProductSums,
    taps_of,
    under_windows,
    weights_of,
)

#: How many terms are gathered at once.


@dataclass(frozen=True)
class Means:
    """Means of elements at places; place -1 stands for no term."""

    x: F64
    rows: Callable[[Ints], Ints]
    most: int

    @property
    def chunk(self) -> int:
        """For how many elements in a row to ask at once."""
        return max(1, min(CHUNK, _MOST_TERMS // max(self.most, 1)))

    def at(self, places: Ints) -> Values:
        """Return the means at flat places."""
        rows = self.rows(places)
        found = Elements(self.x).take(rows)
        count = (rows >= 0).sum(axis=1).tolist()
        totals = balls(row_sums(found.numbers))
        exact = [total / n for total, n in zip(totals, count, strict=True)]
        return Values(exact, every(found.finite))


@dataclass(frozen=True)
class Combined:
    """One element of each of several arrays of the output's shape, combined."""

    terms: Sequence[AnyArray]
    combine: Callable[[Balls], arb]
    chunk: int = CHUNK

    def at(self, places: Ints) -> Values:
        """Return the values at flat places."""
        found = [taken(term, places) for term in self.terms]
        defined = np.stack([np.isfinite(array) for array in found]).all(axis=0)
        columns = [points(array) for array in found]
        return Values([self.combine(list(row)) for row in zip(*columns, strict=True)], defined)


def merged(layer: Layer, inputs: Sequence[AnyArray]) -> ExactLayer:
    """Add, Subtract, Average, Multiply."""
    terms = aligned(inputs)
    shape = np.broadcast_shapes(*(term.shape for term in terms))
    combine = _COMBINING[class_name(layer.cls) or ""]
    return Combined([np.broadcast_to(term, shape) for term in terms], combine)


def dot(layer: Layer, inputs: Sequence[AnyArray]) -> ExactLayer:
    """Dot: for each sample, products of two inputs summed along an axis of each."""
    if layer.config.get("normalize", False) is not False:
        raise UncheckedError("there is no exact evaluation of normalised dot products here")
    # Of each sample: the summed axis last, the first input's other axes before the second's.
    places = [
        np.moveaxis(np.arange(x.size, dtype=np.int64).reshape(x.shape), axis, -1)
        for axis, x in zip(dot_axes(layer, inputs), inputs, strict=True)
    ]
    length = places[0].shape[-1]
    first, second = (part.reshape(len(part), -1, length) for part in places)
    left, right = first.shape[1], second.shape[1]

    def rows(at: Ints) -> tuple[Ints, Ints]:
        sample, rest = np.divmod(at, left * right)
        a, b = np.divmod(rest, right)
        return first[sample, a], second[sample, b]

    return Pairing(inputs[0], inputs[1], rows, length)


def mean_in_windows(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> ExactLayer:
    """AveragePooling1D, 2D, 3D: what a window reaches beyond the edge does not count."""
    x = single(inputs)
    windows = windows_of(layer, x, rank)
    taps = {window.axis: taps_of(window.over) for window in windows}
    shape = tuple(len(taps[n]) if n in taps else size for n, size in enumerate(x.shape))

    def rows(places: Ints) -> Ints:
        return under_windows(x.shape, taps, np.unravel_index(places, shape))

    return Means(x, rows, math.prod(window.over.size for window in windows))


def mean_of_all(layer: Layer, inputs: Sequence[AnyArray], rank: int) -> ExactLayer:
    """GlobalAveragePooling1D, 2D, 3D."""
    x = single(inputs)
    axes, _keep = all_places(layer, x, rank)
    places = np.arange(x.size, dtype=np.int64).reshape(x.shape)
    table = np.moveaxis(places, axes, range(x.ndim - rank, x.ndim))
    count = math.prod(x.shape[axis] for axis in axes)
    table = table.reshape(-1, count)
    return Means(x, lambda at: table[at], count)


def rescaled(layer: Layer, inputs: Sequence[AnyArray]) -> ExactLayer:
    """Rescaling: one product and one sum with constants, which may be one for each channel."""
    x = single(inputs)
    return rescale(layer, Recorded(x), x.shape)


def rescale(layer: Layer, before: ExactLayer, shape: tuple[int, ...]) -> Rescaled:
    """Rescale values of some shape."""
    fmt = layer.arithmetic()
    scale, offset = constants(layer, "scale", 1.0, fmt), constants(layer, "offset", 0.0, fmt)
    return Rescaled(before, np.broadcast_to(scale, shape), np.broadcast_to(offset, shape))


def _sum(terms: Balls) -> arb:
    return sum(terms, arb(0))


def _product(terms: Balls) -> arb:
    return math.prod(terms, start=arb(1))


_COMBINING: Final[Mapping[str, Callable[[Balls], arb]]] = {
    "Add": _sum,
    "Subtract": lambda terms: terms[0] - terms[1],
    "Average": lambda terms: _sum(terms) / len(terms),
    "Multiply": _product,
}

ELEMENTWISE: Final[Mapping[str, Make]] = {
    **dict.fromkeys(_COMBINING, merged),
    "Dot": dot,
    "Rescaling": rescaled,
    **{f"AveragePooling{rank}D": partial(mean_in_windows, rank=rank) for rank in (1, 2, 3)},
    **{f"GlobalAveragePooling{rank}D": partial(mean_of_all, rank=rank) for rank in (1, 2, 3)},
}


# Normalisation, exactly: (x - m) gamma / sqrt(v + epsilon) + beta.
#
# m and v are weights, or moments of the input.

#: How many elements of groups are taken at once.
_MOST_TERMS: Final = 2**21


def normalised(layer: Layer, inputs: Sequence[AnyArray]) -> ExactLayer:
    """BatchNormalization, LayerNormalization, GroupNormalization and RMSNormalization."""
    read = read_normalisation(layer, inputs)
    return Normalised(read, None if read.learnt is not None else GroupMoments(read))


@dataclass(frozen=True)
class Normalised:
    """Elements of the input, normalised by what was learnt or by moments of the input."""

    read: Normalisation
    moments: GroupMoments | None

    @property
    def chunk(self) -> int:
        """For how many elements in a row to ask at once."""
        if self.moments is None:
            return CHUNK
        return max(1, min(CHUNK, _MOST_TERMS // max(self.moments.size, 1)))

    def at(self, places: Ints) -> Values:
        """Return the values at flat places."""
        read = self.read
        x = taken(read.x, places)
        mean, variance, defined = self._statistics(places)
        defined = defined & np.isfinite(x)
        exact = [
            (a - m) / (v + arb(read.epsilon)).sqrt()
            for a, m, v in zip(points(x), mean, variance, strict=True)
        ]
        if read.gamma is not None:
            gamma = self._weight(read.gamma, places)
            defined &= np.isfinite(gamma)
            exact = [y * g for y, g in zip(exact, points(gamma), strict=True)]
        if read.beta is not None:
            beta = self._weight(read.beta, places)
            defined &= np.isfinite(beta)
            exact = [y + b for y, b in zip(exact, points(beta), strict=True)]
        return Values(exact, defined)

    def _statistics(self, places: Ints) -> tuple[Balls, Balls, Mask]:
        if self.moments is not None:
            return self.moments.of(places)
        assert self.read.learnt is not None
        mean, variance = (self._weight(weight, places) for weight in self.read.learnt)
        return points(mean), points(variance), np.isfinite(mean) & np.isfinite(variance)

    def _weight(self, weight: AnyArray, places: Ints) -> AnyArray:
        return taken(np.broadcast_to(weight, self.read.x.shape), places)


@dataclass(frozen=True)
class GroupMoments:
    """What groups of elements are normalised by; what was computed is kept for the next chunk."""

    read: Normalisation
    _made: dict[int, tuple[arb, arb, bool]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The number of elements of a group."""
        return int(np.prod([self.read.x.shape[axis] for axis in self.read.over]))

    def of(self, places: Ints) -> tuple[Balls, Balls, Mask]:
        """Return what is subtracted from the elements at places, and what stands under the root."""
        shape, over = self.read.x.shape, self.read.over
        coordinates = list(np.unravel_index(places, shape))
        for axis in over:
            coordinates[axis] = np.zeros(places.size, np.int64)
        # A group goes by the place of its first element.
        which = np.ravel_multi_index(tuple(coordinates), shape)
        if len(self._made) > CHUNK:
            self._made.clear()
        new = [index for index in np.unique(which).tolist() if index not in self._made]
        if new:
            self._make(np.array(new, np.int64))
        mean, variance, finite = zip(*(self._made[index] for index in which.tolist()), strict=True)
        return list(mean), list(variance), np.array(finite, np.bool_)

    def _make(self, first: Ints) -> None:
        n, x = self.size, self.read.x
        places = np.arange(x.size, dtype=np.int64).reshape(x.shape)
        along = tuple(slice(None) if axis in self.read.over else 0 for axis in range(x.ndim))
        terms = x.reshape(-1)[first[:, None] + places[along].reshape(-1)[None, :]]
        finite = every(np.isfinite(terms))
        numbers = dyadic(np.where(finite[:, None], terms, 0.0))
        mean = [total / n for total in balls(row_sums(numbers))]
        squares = [total / n for total in balls(dots(numbers, numbers))]
        variance = squares
        if self.read.deviations:
            variance = [s - m * m for s, m in zip(squares, mean, strict=True)]
        if not self.read.centred:
            mean = [arb(0)] * len(mean)
        statistics = zip(mean, variance, finite.tolist(), strict=True)
        self._made.update(zip(first.tolist(), statistics, strict=True))


#: The names of layers that are an activation of each element.
_UNARY: Final = frozenset(doing("activates")) - {"PReLU"}


def exact_values(case: LayerCase, number: int) -> ExactLayer:
    """Return the exact values of an output of a layer, or of several that were executed in one.

    The rules must cover them.

    Raises:
        UncheckedError: there is no exact evaluation; the message says why.
    """
    layer, shape = case.layer, case.outputs[number].shape
    name = class_name(layer.cls) or ""
    facts = LAYERS[name]
    if facts.given != "numbers" and _hands_on(name, layer):
        values: ExactLayer = Recorded(evaluate(layer, case.inputs)[number].value)
    elif name in EXACT:
        values = EXACT[name](layer, cast_inputs(layer, case.inputs))
    else:
        raise UncheckedError(f"there is no exact evaluation of {name or layer.cls} here")
    if facts.does == "products":
        values = _activated(values, layer.config.get("activation"), layer, shape)
    for after in case.then:
        values = _follow(values, after, shape)
    return values


def _hands_on(name: str, layer: Layer) -> bool:
    """Say whether a layer that is given elements as they are computes nothing of them."""
    return not name.startswith("UpSampling") or layer.config.get("interpolation", "nearest") == (
        "nearest"
    )


def _follow(values: ExactLayer, layer: Layer, shape: tuple[int, ...]) -> ExactLayer:
    """Return the values of a layer that was executed in one with what makes these."""
    name = class_name(layer.cls) or ""
    if name in LAYERS and LAYERS[name].silent:
        return values
    if name == "Rescaling":
        return rescale(layer, values, shape)
    if name in _UNARY:
        whole: JsonValue = {"class_name": name, "config": dict(layer.config)}
        spec = layer.config.get("activation") if name == "Activation" else whole
        return _activated(values, spec, layer, shape)
    raise UncheckedError(f"it was executed in one with a {name or layer.cls}")


def _activated(
    values: ExactLayer, spec: JsonValue, layer: Layer, shape: tuple[int, ...]
) -> ExactLayer:
    """Return what the activation of a configuration makes of values of some shape."""
    if spec in (None, "linear"):
        return values
    if spec in ("softmax", "log_softmax"):
        return Softmax(values, shape, -1, logarithm=spec == "log_softmax")
    form = activation_of(spec, layer.generation, layer.arithmetic()).form
    function = real_of(form)
    if function is None:
        raise UncheckedError(f"there is no exact evaluation of the activation {form.name!r} here")
    return Activated(values, lambda _place: function)


def _dense(layer: Layer, inputs: Sequence[AnyArray]) -> ExactLayer:
    x, weights = single(inputs), weights_of(layer)
    length = len(weights["kernel"])

    def rows(row: Ints, _group: Ints) -> Ints:
        return np.asarray(row[:, None] * length + np.arange(length)[None, :])

    return ProductSums(Elements(x), rows, weights["kernel"], bias=weights.get("bias"))


def _unary(layer: Layer, inputs: Sequence[AnyArray]) -> ExactLayer:
    x = single(inputs)
    return _follow(Recorded(x), layer, x.shape)


def _prelu(layer: Layer, inputs: Sequence[AnyArray]) -> ExactLayer:
    x, alpha = single(inputs), weights_of(layer)["alpha"]
    slopes = np.broadcast_to(alpha, x.shape[1:]).ravel()
    return Activated(Recorded(x), lambda place: leaky(float(slopes[place % slopes.size])))


def _softmax(layer: Layer, inputs: Sequence[AnyArray]) -> ExactLayer:
    x = single(inputs)
    return Softmax(Recorded(x), x.shape, axis_of(layer))


_NORMALISING: Final = (
    "BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization",
)  # fmt: skip

#: Layers that compute.
EXACT: Final[Mapping[str, Make]] = {
    "Dense": _dense,
    **CONVOLUTIONS,
    **ELEMENTWISE,
    **dict.fromkeys(_NORMALISING, normalised),
    **dict.fromkeys(_UNARY, _unary),
    "PReLU": _prelu,
    "Softmax": _softmax,
}
