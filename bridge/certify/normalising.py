"""Normalisation: (x - m) g + b with g = gamma / sqrt(v + epsilon), all in float32.

Some kernels compute x g + (b - m g) instead, where two products may cancel that are larger than the
result. The same g and m, with what they are off by, stand in both products, so that errs counts
once for each: |x - m| e_g + e_m |g|. Each rounding is of something no larger than
max(|x| + 2 |m|, 2 |x - m|) |g|, |b| or the result, once each. Only then is the result rounded to a
shorter type.

m and v are weights, or made of the input: m is a mean in any order, off by no more than d. The mean
of the squares of x - m' for an m' that is d away from the exact mean is v + d^2, off by n + 6
roundings of positive terms. Some kernels make v as mean(x^2) - m^2; there the errors of both stay
while they cancel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from flint import arb

from bridge.certify.activations import gamma
from bridge.certify.exact import (
    F64,
    UPWARDS,
    Balls,
    Ints,
    balls,
    dots,
    dyadic,
    largest,
    lower,
    points,
    row_sums,
    upper,
)
from bridge.certify.given import (
    FLOAT32,
    KINDS,
    MOST_TERMS,
    Given,
    Kind,
    MisfitError,
    UncheckedError,
)
from bridge.certify.roots import relative_error
from bridge.certify.stages import CHUNK, Known, Mask, Stage
from bridge.certify.sums import any_order

_U: Final = FLOAT32.u
_TINY: Final = FLOAT32.tiny
#: Up to some version the fused kernel took no smaller epsilon than this, as cuDNN demands.
_LEAST_FUSED: Final = 1.001e-5


@dataclass(frozen=True)
class Statistics:
    """What each element is normalised by, exactly and with what kernels may be off by.

    ``under`` is v + epsilon, ``under_off`` its error, ``more`` how much larger it may be besides;
    ``terms`` is the number of elements that they are made of.
    """

    mean: Balls
    under: Balls
    mean_off: F64
    under_off: F64
    finite: Mask
    more: float = 0.0
    terms: int = 1


@dataclass(frozen=True)
class Normalised:
    """Elements of ``x``, normalised by the statistics of their places, with weights."""

    x: F64
    statistics: Callable[[Ints], Statistics]
    gamma: F64 | None
    beta: F64 | None
    kind: Kind
    chunk: int = CHUNK

    def at(self, places: Ints) -> Known:
        """Return what is known of the elements at flat places."""
        x, by = self.x.reshape(-1)[places], self.statistics(places)
        g = np.ones(places.size) if self.gamma is None else self.gamma.reshape(-1)[places]
        b = np.zeros(places.size) if self.beta is None else self.beta.reshape(-1)[places]
        defined = np.isfinite(x) & np.isfinite(g) & np.isfinite(b) & by.finite
        root = [1 / under.sqrt() for under in by.under]
        away = [a - m for a, m in zip(points(x), by.mean, strict=True)]
        value = [
            d * r * weight + shift
            for d, r, weight, shift in zip(away, root, points(g), points(b), strict=True)
        ]
        with np.errstate(all="ignore"):
            bound, evaluated = _error(x, np.abs(g), np.abs(b), by, root, away, value,
                                      weighted=self.gamma is not None)  # fmt: skip
            if self.kind is not FLOAT32:
                end = largest(value) + bound
                bound = UPWARDS * (bound + self.kind.half_steps(UPWARDS * end) + _TINY)
                bound = np.where(end + bound < self.kind.limit * UPWARDS, bound, np.inf)
        return Known(value, np.where(np.isnan(bound), np.inf, bound), evaluated, defined)


def _error(
    x: F64, g: F64, b: F64, by: Statistics, root: Balls, away: Balls, value: Balls, *,
    weighted: bool,
) -> tuple[F64, F64]:  # fmt: skip
    """Bound the error in float32, and in float64."""
    most_root, root_off = _root(by, root)
    scale, step = g * largest(root), g * root_off + _small(g) * largest(root)
    if weighted:
        step = step + _U * (scale + step) + _TINY
    mean, off = largest(by.mean), by.mean_off
    gap, most = largest(away) + off, scale + step
    reach = np.maximum(np.abs(x) + 2.0 * (mean + off), 2.0 * gap) * most + b
    carried = gap * step + most * off
    rounded = _U * (1.0 + 8.0 * _U) * (reach + largest(value) + carried)
    lost = (_small(np.abs(x)) + _small(mean) + _TINY) * most + _TINY * (g + 5.0) + _small(b)
    # In float64 the root is as good as exact, also where none is claimed of float32.
    wide = np.maximum(np.abs(x) + 2.0 * mean, 2.0 * largest(away)) * scale + b
    evaluated = UPWARDS * (by.terms + 32) * 2.0**-51 * wide
    bound = UPWARDS * (carried + rounded + 2.0 * lost + 2.0**-47 * reach + evaluated)
    fits = (reach + bound < FLOAT32.limit * UPWARDS) & (gap * most_root < FLOAT32.limit * UPWARDS)
    fits &= np.abs(x) + mean + off < FLOAT32.limit
    return np.where(fits, bound, np.inf), evaluated


def _root(by: Statistics, root: Balls) -> tuple[F64, F64]:
    """Return at most how large a kernel's reciprocal root is, and how far from the exact one."""
    off = [arb(each) if math.isfinite(each) else arb.nan() for each in by.under_off.tolist()]
    least_under = [u - e for u, e in zip(by.under, off, strict=True)]
    most = [1 / each.sqrt() for each in least_under]
    least = [1 / (u + e + by.more).sqrt() for u, e in zip(by.under, off, strict=True)]
    apart = [(high - r).max(r - low) for high, r, low in zip(most, root, least, strict=True)]
    largest_root = upper(most)
    found = upper(apart) + (relative_error() + 2.0**-49) * largest_root
    # Of what may be zero, negative or below the normal numbers, kernels return anything.
    known = (lower(least_under) * UPWARDS >= _TINY) & np.isfinite(found)
    return largest_root + found, np.where(known, UPWARDS * found, np.inf)


def batch(given: Given) -> Stage:
    """BatchNormalization at inference, by the means and variances that it has learnt."""
    names = _names(given)
    given.only("moving_mean", "moving_variance", *names)
    if given.training:
        raise UncheckedError("it may have run in training")
    if given.config.get("renorm") or given.config.get("virtual_batch_size") is not None:
        raise UncheckedError("it renormalises, or has virtual batches")
    x, axes = _input(given), _axes(given)
    weights = {
        name: _along(_weight(given, name), x, axes)
        for name in ("moving_mean", "moving_variance", *names)
    }
    mean, variance = weights["moving_mean"], weights["moving_variance"]
    epsilon = _epsilon(given, 1e-3)
    fused = given.generation != 3 and x.ndim in (4, 5)
    more = max((1.0 + 2.0 * _U) * (_LEAST_FUSED - epsilon), 0.0) if fused else 0.0

    def statistics(places: Ints) -> Statistics:
        m, v = mean.reshape(-1)[places], variance.reshape(-1)[places]
        finite = np.isfinite(m) & np.isfinite(v)
        under = [each + arb(epsilon) for each in points(v)]
        off = UPWARDS * (_U * largest(under) + _small(np.abs(v)) + _TINY)
        return Statistics(points(m), under, np.zeros(places.size), off, finite, more)

    return Normalised(x, statistics, weights.get("gamma"), weights.get("beta"), given.kind)


def by_moments(given: Given) -> Stage:
    """LayerNormalization, GroupNormalization and RMSNormalization: by the input's own moments."""
    if given.generation not in (0, 2, 3) or given.training:
        raise UncheckedError("it may have run in training")
    x, name = _input(given), given.name
    if name != "RMSNormalization" and given.kind is not FLOAT32 and given.generation != 3:
        raise UncheckedError(f"in {given.kind.name} it has a formula for Keras 3 alone")
    axes = _axes(given)
    epsilon = _epsilon(given, 1e-6 if name == "RMSNormalization" else 1e-3)
    if name == "GroupNormalization":
        groups, weights = _groups(given, x, axes)
    else:
        if list(axes) != sorted(axes):
            raise UncheckedError("its axes are not in order")
        groups = _grouped(x.shape, axes)
        weights = {each: _along(_weight(given, each), x, axes) for each in _names(given)}
    last = list(axes) == list(range(x.ndim - len(axes), x.ndim))
    moments = _Moments(
        x=x.reshape(-1),
        groups=groups,
        epsilon=epsilon,
        root_mean_square=name == "RMSNormalization",
        centred=name != "RMSNormalization" and given.config.get("rms_scaling") is not True,
        squares=name == "LayerNormalization" and given.generation != 3 and last
        and epsilon >= _LEAST_FUSED,
    )  # fmt: skip
    if moments.n + 8 > MOST_TERMS:
        raise UncheckedError(f"{moments.n} terms are too many")
    scale = weights.get("gamma", weights.get("scale"))
    chunk = max(1, min(CHUNK, 2**21 // max(moments.n, 1)))
    return Normalised(x, moments.of, scale, weights.get("beta"), given.kind, chunk)


@dataclass(frozen=True)
class _Groups:
    """Which group of elements each place belongs to, and the places of each group."""

    of: Ints
    places: Ints


@dataclass(frozen=True)
class _Moments:
    """The moments of groups of elements; those that were made are kept for the next chunk."""

    x: F64
    groups: _Groups
    epsilon: float
    root_mean_square: bool
    centred: bool
    squares: bool
    _made: dict[int, tuple[arb, arb, float, float, bool]] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """The number of elements of a group."""
        return self.groups.places.shape[1]

    def of(self, places: Ints) -> Statistics:
        """Return the statistics of the groups that places belong to."""
        which = self.groups.of.reshape(-1)[places]
        new = [each for each in np.unique(which).tolist() if each not in self._made]
        if len(self._made) > CHUNK:
            self._made.clear()
            new = np.unique(which).tolist()
        if new:
            self._make(new)
        found = [self._made[each] for each in which.tolist()]
        mean, under, off, under_off, finite = zip(*found, strict=True)
        return Statistics(
            list(mean),
            list(under),
            np.array(off),
            np.array(under_off),
            np.array(finite, np.bool_),
            terms=self.n,
        )

    def _make(self, groups: list[int]) -> None:
        n = self.n
        terms = self.x[self.groups.places[groups]]
        finite = np.isfinite(terms).all(axis=1)
        terms = np.where(finite[:, None], terms, 0.0)
        numbers = dyadic(terms)
        total = balls(row_sums(numbers))
        squares = [s / n for s in balls(dots(numbers, numbers))]
        mean = [s / n for s in total]
        variance = [s - m * m for s, m in zip(squares, mean, strict=True)]
        with np.errstate(all="ignore"):
            off = self._mean_error(terms, total)
            spread = gamma(n + 4, FLOAT32) * largest(squares) + 4.0 * _TINY
            if not self.root_mean_square:
                spread = self._variance_error(terms, mean, variance, off, spread)
            under = [v + arb(self.epsilon)
                     for v in (squares if self.root_mean_square else variance)]  # fmt: skip
            spread = UPWARDS * (spread + _U * (largest(under) + spread) + 2.0 * _TINY)
        if not self.centred:
            mean, off = [arb(0)] * len(groups), np.zeros(len(groups))
        made = zip(mean, under, off.tolist(), spread.tolist(), finite.tolist(), strict=True)
        self._made.update(zip(groups, made, strict=True))

    def _mean_error(self, terms: F64, total: Balls) -> F64:
        n, size = self.n, UPWARDS * np.abs(terms).sum(axis=1)
        small = np.where(np.abs(terms) < _TINY, np.abs(terms), 0.0).sum(axis=1)
        lost = UPWARDS * small + (n - 1) * _TINY
        added = any_order(size, largest(total), n - 1, FLOAT32, rounded=False, lost=lost)
        divided = gamma(4, FLOAT32) * (size + added)
        return np.asarray(UPWARDS * ((added + divided) / n + (n + 2) * _TINY))

    def _variance_error(
        self, terms: F64, mean: Balls, variance: Balls, off: F64, squares: F64
    ) -> F64:
        middle = np.maximum(np.abs(lower(mean)), np.abs(upper(mean)))
        deviation = np.abs(terms - lower(mean)[:, None]).max(axis=1, initial=0.0)
        deviation = UPWARDS * deviation + 2.0**-50 * middle
        whole = largest(variance) + off * off
        lost = _TINY * (4.0 + 4.0 * (deviation + off))
        found = gamma(self.n + 6, FLOAT32) * whole + off * off + lost
        if self.squares:
            second = 2.0 * middle * off + off * off
            size = middle * middle + second
            rounded = 2.0 * _U * (size + largest(variance) + squares + second)
            found = np.maximum(found, squares + second + rounded + 4.0 * _TINY)
        return np.asarray(UPWARDS * found)


def _small(size: F64) -> F64:
    return np.where(size < _TINY, size, 0.0)


def _input(given: Given) -> F64:
    """Return the input; Keras 3 gives some layers theirs in float32 whatever they compute in."""
    wide = given.generation == 3 and given.name in ("LayerNormalization", "GroupNormalization")
    if len(given.inputs) != 1 or given.inputs[0].shape != given.shape:
        raise MisfitError(f"its output has shape {given.shape}, or it has not one input")
    if not given.on_cpu:
        raise UncheckedError("it did not run on a CPU alone")
    return FLOAT32.near(given.inputs[0]) if wide else given.the_input()


def _axes(given: Given) -> tuple[int, ...]:
    found, ndim = given.config.get("axis", -1), len(given.shape)
    parts = found if isinstance(found, list) else [found]
    axes = [each % ndim for each in parts if type(each) is int and -ndim <= each < ndim]
    if len(axes) != len(parts) or len(set(axes)) != len(axes) or not axes:
        raise MisfitError(f"its axis {found!r} does not fit {ndim} axes")
    return tuple(axes)


def _names(given: Given) -> tuple[str, ...]:
    if given.name == "RMSNormalization":
        return ("scale",)
    if given.name == "LayerNormalization" and given.config.get("rms_scaling") is True:
        return ("gamma",)
    return tuple(
        name
        for key, name in (("scale", "gamma"), ("center", "beta"))
        if given.config.get(key, True) is not False
    )


def _weight(given: Given, name: str) -> F64:
    """Return a weight in float32, whatever the layer computes in."""
    if name not in given.weights or given.weights[name].dtype.name not in KINDS:
        raise MisfitError(f"its weight {name} was not recorded as floating-point numbers")
    if given.name == "RMSNormalization":
        return given.weight(name)
    return given.weights[name].astype(np.float64)


def _epsilon(given: Given, default: float) -> float:
    epsilon = FLOAT32.constant(given.number_of("epsilon", default))
    if not 0.0 <= epsilon < math.inf:
        raise UncheckedError(f"its epsilon is {epsilon}")
    return epsilon


def _along(weight: F64, x: F64, axes: tuple[int, ...]) -> F64:
    """Give every element of the input the weight of its place along some axes."""
    own = [x.shape[axis] if axis in axes else 1 for axis in range(x.ndim)]
    if weight.shape not in (tuple(x.shape[axis] for axis in axes), tuple(own)):
        raise MisfitError(f"its weight of shape {weight.shape} does not fit {x.shape}")
    return np.broadcast_to(weight.reshape(own), x.shape)


def _grouped(shape: tuple[int, ...], axes: tuple[int, ...]) -> _Groups:
    """Group elements that differ only along some axes."""
    places = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    moved = np.moveaxis(places, axes, range(len(shape) - len(axes), len(shape)))
    n = math.prod(shape[axis] for axis in axes)
    members = moved.reshape(-1, max(n, 1))
    of = np.empty(places.size, np.int64)
    of[members] = np.arange(len(members))[:, None]
    return _Groups(of, members)


def _groups(given: Given, x: F64, axes: tuple[int, ...]) -> tuple[_Groups, dict[str, F64]]:
    """Group the channels of each sample."""
    count = given.config.get("groups", 32)
    if len(axes) != 1 or axes[0] == 0 or type(count) is not int:
        raise UncheckedError(f"its axis {axes} or its groups {count!r} cannot be read")
    (axis,) = axes
    channels = x.shape[axis]
    count = channels if count == -1 else count
    if count < 1 or not channels or channels % count:
        raise MisfitError(f"{channels} channels do not make {count} groups")
    shape = (*x.shape[:axis], count, channels // count, *x.shape[axis + 1 :])
    over = tuple(n for n in range(1, len(shape)) if n != axis)
    weights = {each: _along(_weight(given, each), x, axes) for each in _names(given)}
    return _grouped(shape, over), weights
