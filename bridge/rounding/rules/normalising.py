"""Bounds of normalising layers, from their moments on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.facts.layers import class_name
from bridge.rounding.rules.arithmetic import (
    check_measured,
    check_terms,
    mean_error,
    reciprocal_root,
)
from bridge.rounding.rules.layer import Evaluation, Layer, Rule, UnsupportedError, single
from bridge.rounding.rules.rounding import FLOAT32, FORMATS, TINY, UNIT, Format, float32
from bridge.rounding.rules.windows import axes, is_int


@dataclass(frozen=True)
class Moments:
    """Mean and variance along some axes, which are kept with the length one."""

    x: F64
    axes: Sequence[int]

    @property
    def n(self) -> int:
        """The number of elements of each mean."""
        return math.prod(self.x.shape[axis] for axis in self.axes)

    def check(self) -> None:
        """Refuse too many elements.

        Raises:
            UnsupportedError: no bound can be given for so many.
        """
        check_terms(self.n)

    def average(self, terms: F64) -> F64:
        """Return the means of an array of the shape of ``x``."""
        with np.errstate(all="ignore"):
            return np.asarray(terms.mean(axis=tuple(self.axes), keepdims=True))

    def mean(self) -> F64:
        """Return the means."""
        return self.average(self.x)

    def variance(self, mean: F64) -> F64:
        """Return the mean squares of the deviations from ``mean``."""
        with np.errstate(all="ignore"):
            away = self.x - mean
            return self.average(away * away)

    def mean_error(self, mean: F64) -> F64:
        """Bound the error of a float32 mean."""
        count = np.array(float(self.n))
        small = FLOAT32.subnormal(self.x)
        lost = np.zeros_like(mean) if small is None else self.average(small) * count
        with np.errstate(all="ignore"):
            size = self.average(np.abs(self.x)) * count
            return mean_error(size, lost, mean * count, count, self.n, FLOAT32)

    def variance_error(self, variance: F64, off: F64, largest: F64) -> F64:
        """Bound the error of a variance from deviations.

        ``off`` bounds how far the mean may be off, ``largest`` the magnitude of a deviation.
        """
        with np.errstate(all="ignore"):
            whole = variance + off * off
            lost = TINY * (4.0 + 4.0 * (largest + off))
            return np.asarray(FLOAT32.gamma(self.n + 6) * whole + off * off + lost)

    def variance_error_from_squares(self, mean: F64, variance: F64, off: F64) -> F64:
        """Bound the error of mean(x^2) - mean(x)^2."""
        with np.errstate(all="ignore"):
            squares = self.mean_square()
            first = self.mean_square_error(squares)
            second = 2.0 * np.abs(mean) * off + off * off
            size = mean * mean + second
            rounded = 2.0 * UNIT * (size + variance + first + second)
            return np.asarray(first + second + rounded + 4.0 * TINY)

    def mean_square(self) -> F64:
        """Return the means of the squares."""
        with np.errstate(all="ignore"):
            return self.average(self.x * self.x)

    def mean_square_error(self, squares: F64) -> F64:
        """Bound the error of a mean of squares."""
        with np.errstate(all="ignore"):
            return FLOAT32.gamma(self.n + 4) * squares + 4.0 * TINY


# Normalisation: y = g (x - m) + beta with g = gamma / sqrt(v + epsilon), written in two ways.

#: Up to some version, the fused kernel took a larger epsilon than it was given if that was below
#: this, as cuDNN requires; ``tf_keras`` still keeps LayerNormalization from it.
_LEAST_FUSED: Final = 1.001e-5


@dataclass(frozen=True)
class Scaling:
    """What is done to ``x``: a mean is subtracted, a root divided by, weights applied.

    ``under`` is what stands under the root. ``mean``, ``gamma`` and ``beta`` may be left out. All
    have the axes of ``x``. ``errors()`` gives the errors of ``mean`` and ``under``; ``more`` says
    by how much ``under`` may be larger besides.
    """

    x: F64
    mean: F64
    under: F64
    gamma: F64 | None
    beta: F64 | None
    errors: Callable[[], tuple[F64, F64]]
    more: float = 0.0

    def evaluate(self, fmt: Format) -> Evaluation:
        """Evaluate, and round the result to ``fmt``."""
        with np.errstate(all="ignore"):
            value = (self.x - self.mean) / np.sqrt(self.under)
            if self.gamma is not None:
                value = value * self.gamma
            if self.beta is not None:
                value = value + self.beta
        return Evaluation(value, lambda: self._bound(value, fmt))

    def _bound(self, value: F64, fmt: Format) -> F64:
        with np.errstate(all="ignore"):
            off, root_off = self.errors()
            root, step = reciprocal_root(self.under, root_off, self.more)
            gamma = np.ones(()) if self.gamma is None else np.abs(self.gamma)
            beta = np.zeros(()) if self.beta is None else np.abs(self.beta)
            scale = gamma * root
            step = gamma * step + _small(gamma) * root
            if self.gamma is not None:
                step = step + UNIT * (scale + step) + TINY
            most = scale + step
            x, mean = np.abs(self.x), np.abs(self.mean)
            gap = np.abs(self.x - self.mean) + off
            reach = np.maximum(x + 2.0 * (mean + off), 2.0 * gap) * most + beta
            carried = gap * step + most * off
            rounded = UNIT * (1.0 + 8.0 * UNIT) * (reach + np.abs(value) + carried)
            lost = (_small(x) + _small(mean) + TINY) * most + TINY * (gamma + 5.0) + _small(beta)
            bound = carried + rounded + 2.0 * lost + 2.0**-47 * reach
            known = (reach + bound < FLOAT32.overflow) & (gap * (root + step) < FLOAT32.overflow)
            bound = np.where(known & (x + mean + off < FLOAT32.overflow), bound, np.inf)
            if fmt.name != FLOAT32.name:
                end = np.abs(value) + bound
                bound = bound + 0.5 * fmt.ulp(end) + TINY
                bound = np.where(end + bound < fmt.overflow, bound, np.inf)
            return np.where(np.isfinite(bound), bound, np.inf)


@dataclass(frozen=True)
class Normalisation:
    """A layer that normalises, as it is read: what is subtracted, divided by and applied.

    ``x`` has an axis for the groups where there are some; everything else has the axes of ``x``.
    ``learnt`` are means and variances that are weights; without them the moments of ``x`` over the
    axes ``over`` are taken. ``centred`` says that the mean is subtracted, ``deviations`` that x is
    divided by the spread around its mean and not by its root mean square. ``squares`` says that the
    variance may be made of the mean of the squares, ``more`` by how much epsilon may be larger.
    """

    x: F64
    over: tuple[int, ...]
    epsilon: float
    fmt: Format
    gamma: F64 | None
    beta: F64 | None
    learnt: tuple[F64, F64] | None = None
    centred: bool = True
    deviations: bool = True
    squares: bool = False
    more: float = 0.0

    def scaling(self) -> Scaling:
        """Return what is done to x, and how far it may be off."""
        if self.learnt is not None:
            return self._by_weights(*self.learnt)
        moments = Moments(self.x, self.over)
        return self._by_spread(moments) if self.deviations else self._by_square(moments)

    def _by_weights(self, mean: F64, variance: F64) -> Scaling:
        under = variance + self.epsilon

        def errors() -> tuple[F64, F64]:
            return np.zeros(()), UNIT * np.abs(under) + _small(variance) + TINY

        return Scaling(self.x, mean, under, self.gamma, self.beta, errors, self.more)

    def _by_spread(self, moments: Moments) -> Scaling:
        mean = moments.mean()
        variance = moments.variance(mean)
        under = variance + self.epsilon

        def errors() -> tuple[F64, F64]:
            off = moments.mean_error(mean)
            with np.errstate(all="ignore"):
                largest = np.abs(self.x - mean).max(axis=self.over, keepdims=True)
            spread = moments.variance_error(variance, off, largest)
            if self.squares:
                from_squares = moments.variance_error_from_squares(mean, variance, off)
                spread = np.maximum(spread, from_squares)
            return (off if self.centred else np.zeros(())), _with_epsilon(spread, under)

        subtracted = mean if self.centred else np.zeros(())
        return Scaling(self.x, subtracted, under, self.gamma, self.beta, errors)

    def _by_square(self, moments: Moments) -> Scaling:
        squares = moments.mean_square()
        under = squares + self.epsilon

        def errors() -> tuple[F64, F64]:
            return np.zeros(()), _with_epsilon(moments.mean_square_error(squares), under)

        return Scaling(self.x, np.zeros(()), under, self.gamma, self.beta, errors)


def normalisation(layer: Layer, inputs: Sequence[AnyArray]) -> tuple[Evaluation, ...]:
    """Evaluate a layer that normalises."""
    shape = single(inputs).shape
    scaled = read_normalisation(layer, inputs).scaling().evaluate(layer.arithmetic())
    derive = scaled.derive
    assert derive is not None
    return (Evaluation(scaled.value.reshape(shape), lambda: derive().reshape(shape)),)


def read_normalisation(layer: Layer, inputs: Sequence[AnyArray]) -> Normalisation:
    """Read what a layer does to its input.

    Raises:
        UnsupportedError: it cannot be read, or has no rule.
    """
    check_measured(layer)
    found = _READERS[class_name(layer.cls) or ""](layer, single(inputs))
    if found.learnt is None:
        Moments(found.x, found.over).check()
    return found


def _batch(layer: Layer, x: F64) -> Normalisation:
    """Read BatchNormalization at inference, with the means and variances that it has learnt."""
    fmt = layer.arithmetic()
    if layer.training:
        raise UnsupportedError("it has a rule for inference, and it may have run in training")
    if layer.config.get("renorm") or layer.config.get("virtual_batch_size") is not None:
        raise UnsupportedError("there is no rule for renorm or virtual batches")
    over = axes(layer, x.ndim)
    weights = _weights(layer, ("moving_mean", "moving_variance", *_names(layer)))
    shaped = {name: _along(weight, x, over) for name, weight in weights.items()}
    epsilon = _epsilon(layer, 1e-3)
    fused = layer.generation != 3 and x.ndim in (4, 5)
    return Normalisation(
        x,
        over,
        epsilon,
        fmt,
        shaped.get("gamma"),
        shaped.get("beta"),
        learnt=(shaped["moving_mean"], shaped["moving_variance"]),
        more=max((1.0 + 2.0 * UNIT) * (_LEAST_FUSED - epsilon), 0.0) if fused else 0.0,
    )


def _layer(layer: Layer, x: F64) -> Normalisation:
    """Read LayerNormalization.

    With ``rms_scaling`` Keras 3 divides x itself, not its deviations, by their spread.
    """
    fmt = _one_type(layer)
    over = _in_order(layer, x)
    epsilon = _epsilon(layer, 1e-3)
    rms = layer.config.get("rms_scaling", False) is True
    weights = _weights(layer, ("gamma",) if rms else _names(layer))
    shaped = {name: _along(weight, x, over) for name, weight in weights.items()}
    # A fused batch normalisation in training does the work if the axes are the last ones.
    last = over == tuple(range(x.ndim - len(over), x.ndim))
    squares = layer.generation != 3 and last and epsilon >= _LEAST_FUSED
    gamma, beta = shaped.get("gamma"), shaped.get("beta")
    return Normalisation(x, over, epsilon, fmt, gamma, beta, centred=not rms, squares=squares)


def _group(layer: Layer, x: F64) -> Normalisation:
    """Read GroupNormalization: the channels are cut into groups, each normalised by itself."""
    fmt = _one_type(layer)
    over = axes(layer, x.ndim)
    groups = layer.config.get("groups", 32)
    if len(over) != 1 or over[0] == 0 or not isinstance(groups, int) or not is_int(groups):
        raise UnsupportedError(f"its axis {over} or its groups {groups!r} cannot be read")
    axis = over[0]
    channels = x.shape[axis]
    groups = channels if groups == -1 else groups
    if groups < 1 or channels == 0 or channels % groups:
        raise UnsupportedError(f"{channels} channels do not make {groups} groups")
    shape = (*x.shape[:axis], groups, channels // groups, *x.shape[axis + 1 :])
    weights = _weights(layer, _names(layer))
    if any(weight.shape != (channels,) for weight in weights.values()):
        raise UnsupportedError("its weights do not fit its input")
    own = (*(1,) * axis, groups, channels // groups, *(1,) * (x.ndim - axis - 1))
    shaped = {name: weight.reshape(own) for name, weight in weights.items()}
    over = tuple(place for place in range(1, len(shape)) if place != axis)
    epsilon = _epsilon(layer, 1e-3)
    return Normalisation(
        x.reshape(shape), over, epsilon, fmt, shaped.get("gamma"), shaped.get("beta")
    )


def _root_mean_square(layer: Layer, x: F64) -> Normalisation:
    """Read RMSNormalization: x divided by its root mean square."""
    fmt = layer.arithmetic()
    over = _in_order(layer, x)
    scale = _along(layer.numbers("scale")["scale"], x, over)
    epsilon = _epsilon(layer, 1e-6)
    return Normalisation(x, over, epsilon, fmt, scale, None, centred=False, deviations=False)


def _in_order(layer: Layer, x: F64) -> tuple[int, ...]:
    over = axes(layer, x.ndim)
    if over != tuple(sorted(over)):
        raise UnsupportedError("its axes are not in order")
    return over


def _with_epsilon(error: F64, under: F64) -> F64:
    """Add what adding epsilon rounds, or flushes."""
    return error + UNIT * (under + error) + 2.0 * TINY


def _epsilon(layer: Layer, default: float) -> float:
    epsilon = float32(layer.number("epsilon", default))
    if not 0.0 <= epsilon < math.inf:
        raise UnsupportedError(f"its epsilon {epsilon} is not a small number")
    return epsilon


def _names(layer: Layer) -> tuple[str, ...]:
    found = []
    for key, name in (("scale", "gamma"), ("center", "beta")):
        used = layer.config.get(key, True)
        if not isinstance(used, bool):
            raise UnsupportedError(f"its {key} {used!r} is neither true nor false")
        if used:
            found.append(name)
    return tuple(found)


def _weights(layer: Layer, names: Sequence[str]) -> dict[str, F64]:
    """Return the weights in float32, in which they are used whatever the layer computes in."""
    if set(layer.weights) != set(names):
        raise UnsupportedError(
            f"its weights are {sorted(layer.weights)}; its rule knows {sorted(names)}"
        )
    for name, weight in layer.weights.items():
        if weight.dtype.name not in FORMATS:
            raise UnsupportedError(f"its weight {name} is of type {weight.dtype.name}")
    return {name: weight.astype(np.float64) for name, weight in layer.weights.items()}


def _along(weight: F64, x: F64, over: Sequence[int]) -> F64:
    """Give a weight the axes of ``x``: its own lie along ``over``."""
    shape = [1] * x.ndim
    for axis in over:
        shape[axis] = x.shape[axis]
    if weight.shape not in (tuple(x.shape[axis] for axis in over), tuple(shape)):
        raise UnsupportedError(f"its weight of shape {weight.shape} does not fit its input")
    return weight.reshape(shape)


def _one_type(layer: Layer) -> Format:
    fmt = layer.arithmetic()
    if fmt.name != FLOAT32.name and layer.generation != 3:
        raise UnsupportedError(f"in {fmt.name} it has a rule for Keras 3 alone")
    return fmt


def _small(values: F64) -> F64:
    """Return |values| where they are subnormal, and zero elsewhere."""
    found = FLOAT32.subnormal(values)
    return np.zeros(()) if found is None else found


_READERS: Final[Mapping[str, Callable[[Layer, F64], Normalisation]]] = {
    "BatchNormalization": _batch,
    "LayerNormalization": _layer,
    "GroupNormalization": _group,
    "RMSNormalization": _root_mean_square,
}

RULES: Final[Mapping[str, Rule]] = dict.fromkeys(_READERS, normalisation)
