"""Normalisation: (x - m) g + b with g = gamma / sqrt(v + epsilon), all in float32.

Some kernels compute x g + (b - m g) instead, where two products may cancel that are larger than the
result. The same g and m, with what they are off by, stand in both products, so that errs counts
once for each: |x - m| e_g + e_m |g|. Each rounding is of something no larger than
max(|x| + 2 |m|, 2 |x - m|) |g|, |b| or the result, once each. Only then is the result rounded to a
shorter type.

m and v are weights, or moments of the input (:mod:`bridge.certify.moments`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from flint import arb

from bridge.certify.exact import (
    F64,
    UPWARDS,
    Balls,
    Ints,
    largest,
    lower,
    points,
    taken,
    upper,
)
from bridge.certify.given import Given
from bridge.certify.kinds import FLOAT32, KINDS, MOST_TERMS, Kind, MisfitError, UncheckedError
from bridge.certify.moments import Groups, Moments, Statistics, grouped, small
from bridge.certify.roots import relative_error
from bridge.certify.stages import CHUNK, Known, Stage

_U: Final = FLOAT32.u
_TINY: Final = FLOAT32.tiny
#: Up to some version the fused kernel took no smaller epsilon than this, as cuDNN demands.
_LEAST_FUSED: Final = 1.001e-5


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
        x, by = taken(self.x, places), self.statistics(places)
        g = np.ones(places.size) if self.gamma is None else taken(self.gamma, places)
        b = np.zeros(places.size) if self.beta is None else taken(self.beta, places)
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
            if self.kind.name != FLOAT32.name:
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
    scale, step = g * largest(root), g * root_off + small(g) * largest(root)
    if weighted:
        step = step + _U * (scale + step) + _TINY
    mean, off = largest(by.mean), by.mean_off
    gap, most = largest(away) + off, scale + step
    reach = np.maximum(np.abs(x) + 2.0 * (mean + off), 2.0 * gap) * most + b
    carried = gap * step + most * off
    rounded = _U * (1.0 + 8.0 * _U) * (reach + largest(value) + carried)
    lost = (small(np.abs(x)) + small(mean) + _TINY) * most + _TINY * (g + 5.0) + small(b)
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
        m, v = taken(mean, places), taken(variance, places)
        finite = np.isfinite(m) & np.isfinite(v)
        under = [each + arb(epsilon) for each in points(v)]
        off = UPWARDS * (_U * largest(under) + small(np.abs(v)) + _TINY)
        return Statistics(points(m), under, np.zeros(places.size), off, finite, more)

    return Normalised(x, statistics, weights.get("gamma"), weights.get("beta"), given.kind)


def by_moments(given: Given) -> Stage:
    """LayerNormalization, GroupNormalization and RMSNormalization: by the input's own moments."""
    x, name = _input(given), given.name
    if name != "RMSNormalization" and given.kind.name != FLOAT32.name and given.generation != 3:
        raise UncheckedError(f"in {given.kind.name} it has a formula for Keras 3 alone")
    axes = _axes(given)
    epsilon = _epsilon(given, 1e-6 if name == "RMSNormalization" else 1e-3)
    if name == "GroupNormalization":
        groups, weights = _groups(given, x, axes)
    else:
        if list(axes) != sorted(axes):
            raise UncheckedError("its axes are not in order")
        groups = grouped(x.shape, axes)
        weights = {each: _along(_weight(given, each), x, axes) for each in _names(given)}
    last = list(axes) == list(range(x.ndim - len(axes), x.ndim))
    moments = Moments(
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


def _groups(given: Given, x: F64, axes: tuple[int, ...]) -> tuple[Groups, dict[str, F64]]:
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
    return grouped(shape, over), weights
