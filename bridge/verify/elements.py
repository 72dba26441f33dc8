"""The verdict on every element of a certificate: is the error honest, the bound true and fair?"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import numpy as np
from flint import arb

from bridge.verify.exact import F64, UPWARDS, AnyArray, Balls, Mask, largest, lower, points, upper
from bridge.verify.kinds import KINDS
from bridge.verify.stages import Known

_U64: Final = 2.0**-53


@dataclass(frozen=True)
class Claim:
    """What a certificate says of some elements of an output: y, the error and the bound."""

    y: AnyArray
    error: F64
    bound: F64


@dataclass(frozen=True)
class Checked:
    """What became of them.

    ``left_out`` counts elements whose exact result is no finite number, where nothing is claimed;
    ``ratio`` is the largest error over its bound. ``failed`` has a reason, and the exact result, of
    each place that does not hold.
    """

    elements: int
    left_out: int
    ratio: float
    failed: tuple[tuple[int, str, str], ...]


def check(claim: Claim, known: Known) -> Checked:
    """Check a claim against what is known.

    An element holds if its error is what exact arithmetic gives, up to what a float64 evaluation
    can be off by, if the error is within the bound, and if the bound is no larger than the theorem
    allows. Without a bound within which it is, an element holds if it is the exact result, rounded.
    """
    examined = _Examined(claim, known)
    failed: dict[int, str] = {}
    for where, say in (
        (examined.not_a_number, _say_not_a_number),
        (examined.dishonest, _say_dishonest),
        (examined.beyond, _say_beyond),
        (examined.padded, _say_padded),
    ):
        for place in np.flatnonzero(where).tolist():
            failed.setdefault(place, say(examined, place))
    inside = examined.usual & (claim.bound > 0.0)
    with np.errstate(all="ignore"):
        ratio = np.where(inside, claim.error / claim.bound, 0.0)
    return Checked(
        elements=claim.y.size,
        left_out=int((~examined.defined).sum()),
        ratio=float(np.nan_to_num(ratio).max(initial=0.0)),
        failed=tuple(
            (place, why, _exact(examined, place)) for place, why in sorted(failed.items())
        ),
    )


class _Examined:
    """Masks of the elements that fail, each for one reason."""

    def __init__(self, claim: Claim, known: Known) -> None:
        self.claim, self.known = claim, known
        self.wide = claim.y.astype(np.float64)
        with np.errstate(all="ignore"):
            self._examine()

    def _examine(self) -> None:
        claim, known, y = self.claim, self.known, self.wide
        bound, error = claim.bound, claim.error
        self.defined: Mask = known.defined & np.array(
            [v.is_finite() for v in known.value], np.bool_
        )
        defined = self.defined
        finite = defined & np.isfinite(y)
        gap = [a - b for a, b in zip(points(y), known.value, strict=True)]
        self.nearest, self.furthest = _magnitudes(gap, finite)
        # |y - value| was computed in float64 from a value that float64 arithmetic made.
        slack = known.evaluated + 4.0 * _U64 * (self.furthest + known.evaluated)
        honest = (error >= self.nearest - slack) & (error <= self.furthest + slack)
        self.bounded = ~np.isnan(bound) & np.isfinite(bound) & (bound >= 0.0)
        self.usual: Mask = finite & self.bounded
        self.not_a_number: Mask = defined & (
            np.isnan(bound) | (bound < 0.0) | np.isnan(y) | (finite & np.isnan(error))
        )
        self.dishonest: Mask = finite & ~honest
        same = self._rounded(slack) | self._overflown()
        self.beyond: Mask = defined & ~same & ~(self.usual & (error <= bound))
        self.padded: Mask = defined & self.bounded & ~(bound <= self.allowed)

    @functools.cached_property
    def allowed(self) -> F64:
        """The largest bound that the theorem allows; below 0 where it allows none."""
        return np.where(np.isfinite(self.known.error), self.known.error, -1.0)

    def _rounded(self, slack: F64) -> Mask:
        """Where y may be the exact result, rounded once to its type."""
        kind = KINDS.get(self.claim.y.dtype.name)
        step = 0.0 if kind is None else kind.half_steps(np.abs(self.wide))
        return np.asarray(np.isfinite(self.wide) & (self.nearest <= step + slack))

    def _overflown(self) -> Mask:
        """Where y is infinite and the exact result rounds to that, or does within the bound."""
        kind = KINDS.get(self.claim.y.dtype.name)
        if kind is None or not np.isinf(self.wide).any():
            return np.zeros(self.wide.shape, np.bool_)
        sign = np.sign(self.wide)
        towards = upper([v * s for v, s in zip(self.known.value, sign.tolist(), strict=True)])
        reach = np.where(self.bounded, self.claim.bound, 0.0) + self.known.evaluated
        return np.isinf(self.wide) & ((towards + reach) * UPWARDS >= kind.limit)


def _magnitudes(gap: Balls, finite: Mask) -> tuple[F64, F64]:
    near = np.maximum(lower([each.abs_lower() for each in gap]), 0.0)
    return np.where(finite, near, 0.0), np.where(finite, largest(gap), 0.0)


def _say_not_a_number(examined: _Examined, place: int) -> str:
    claim = examined.claim
    if np.isnan(examined.wide[place]):
        return f"the output is NaN where the exact result is {_exact(examined, place)}"
    if np.isnan(claim.bound[place]) or claim.bound[place] < 0.0:
        return f"the bound {claim.bound[place]!s} is none"
    return f"the error is {claim.error[place]!s}, no number"


def _say_dishonest(examined: _Examined, place: int) -> str:
    return (
        f"the error is recorded as {_float(examined.claim.error[place])}, but exact arithmetic "
        f"gives {_float(examined.furthest[place])} ({_values(examined, place)})"
    )


def _say_beyond(examined: _Examined, place: int) -> str:
    return (
        f"the error {_float(examined.claim.error[place])} is beyond the bound "
        f"{_float(examined.claim.bound[place])} ({_values(examined, place)})"
    )


def _say_padded(examined: _Examined, place: int) -> str:
    allowed = examined.allowed[place]
    most = "none at all here" if allowed < 0.0 else f"no more than {_float(allowed)}"
    return (
        f"the bound {_float(examined.claim.bound[place])} is larger than the theorem allows, "
        f"{most} ({_values(examined, place)})"
    )


def _values(examined: _Examined, place: int) -> str:
    return f"y = {_float(examined.wide[place])}, exactly {_exact(examined, place)}"


def _exact(examined: _Examined, place: int) -> str:
    value: arb = examined.known.value[place]
    return str(value.str(20, radius=False))


def _float(value: float) -> str:
    return repr(float(value))
