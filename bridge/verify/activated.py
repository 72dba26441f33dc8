"""An activation after a stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from flint import arb

from bridge.verify.activations import Activation, KernelError, Reach, slopes
from bridge.verify.exact import F64, UPWARDS, Balls, Ints, largest, lower, upper
from bridge.verify.functions import Function, Turn, leaky
from bridge.verify.kinds import Kind
from bridge.verify.stages import CHUNK, Known, Stage

#: The largest relative error of the rules' float64 forms, as their tests establish it; for values
#: below 2^-126, relative to that.
FORM_ERROR: Final = 2.0**-43
_SMALLEST: Final = 2.0**-126


@dataclass(frozen=True)
class _Image:
    """What a function does over an interval: how far from the middle, and between which values."""

    off: F64
    reach: Reach


@dataclass(frozen=True)
class Activated:
    """The values of a function, and how far a kernel may be from them.

    ``computed`` says that the argument was computed and not recorded. ``each`` gives a function to
    every place where they are not all the same.
    """

    stage: Stage
    activation: Activation
    kind: Kind
    computed: bool
    each: Callable[[Ints], tuple[Sequence[Function], KernelError]] | None = None

    @property
    def chunk(self) -> int:
        """For how many elements in a row to ask at once."""
        return min(self.stage.chunk, CHUNK)

    def at(self, places: Ints) -> Known:
        """Return what is known of the elements at flat places."""
        before = self.stage.at(places)
        if self.each is None:
            fs: Sequence[Function] = [self.activation.function] * places.size
            kernel = self.activation.error
        else:
            fs, kernel = self.each(places)
        z = before.value
        value = [f.real(at) for f, at in zip(fs, z, strict=True)]
        with np.errstate(all="ignore"):
            claimed = np.isfinite(before.error) & before.defined
            form = np.array([0.0 if f.exact else FORM_ERROR for f in fs], np.float64)
            near = _image(fs, z, value, np.where(before.defined, before.evaluated, 0.0))
            size = np.maximum(near.reach.largest, _SMALLEST)
            evaluated = UPWARDS * (near.off + form * size + _rough(fs, near.reach))
            far = _image(fs, z, value, np.where(claimed, before.error + before.evaluated, 0.0))
            error = kernel(far.reach)
            if self.computed and self.activation.unrounded is not None:
                error = np.maximum(error, self.activation.unrounded(far.reach))
            error = UPWARDS * (far.off + form * far.reach.largest + error + evaluated)
            widest = np.maximum(np.abs(far.reach.low_z), np.abs(far.reach.high_z))
            claimed = claimed & (widest < self.kind.limit * UPWARDS) & ~np.isnan(error)
        return Known(value, np.where(claimed, error, np.inf), evaluated, before.defined)


def parametric(stage: Stage, values: F64, kind: Kind) -> Activated:
    """PReLU: ``values`` are the slopes of one sample, in its order."""
    unit = Activation(leaky(0.0), slopes(values, kind))

    def each(places: Ints) -> tuple[Sequence[Function], KernelError]:
        own = values[places % values.size]
        return [leaky(slope) for slope in own.tolist()], slopes(own, kind)

    return Activated(stage, unit, kind, False, each)


def _rough(fs: Sequence[Function], reach: Reach) -> F64:
    rough, within, times = (
        np.array([getattr(f, name) for f in fs], np.float64)
        for name in ("rough", "within", "times")
    )
    size = np.maximum(np.abs(reach.low_z), np.abs(reach.high_z))
    inside = (reach.low_z <= within) & (reach.high_z >= -within)
    return np.where(inside, rough * 2.0**-53 * np.where(times > 0.0, size, 1.0), 0.0)


def _image(fs: Sequence[Function], z: Balls, value: Balls, error: F64) -> _Image:
    """Return what functions do to arguments that are off by no more than ``error``."""
    if not error.any():
        low_z, high_z = lower(z), upper(z)
        return _Image(np.zeros(error.size), Reach(low_z, high_z, lower(value), upper(value)))
    ends = [arb(each) for each in error.tolist()]
    first = [f.real(at - end) for f, at, end in zip(fs, z, ends, strict=True)]
    last = [f.real(at + end) for f, at, end in zip(fs, z, ends, strict=True)]
    low_z = lower([at - end for at, end in zip(z, ends, strict=True)])
    high_z = upper([at + end for at, end in zip(z, ends, strict=True)])
    off = np.maximum(_apart(first, value), _apart(last, value))
    low = np.minimum(np.minimum(lower(first), lower(last)), lower(value))
    high = np.maximum(np.maximum(upper(first), upper(last)), upper(value))
    inside = _inside(fs, low_z, high_z)
    for place, turn in inside:
        off[place] = np.maximum(off[place], _apart([turn.value], [value[place]])[0])
        low[place] = np.minimum(low[place], lower([turn.value])[0])
        high[place] = np.maximum(high[place], upper([turn.value])[0])
    return _Image(off, Reach(low_z, high_z, low, high))


def _inside(fs: Sequence[Function], low_z: F64, high_z: F64) -> list[tuple[int, Turn]]:
    """Return the turns that lie in each interval, with its number."""
    found: list[tuple[int, Turn]] = []
    known: dict[int, list[tuple[Turn, float, float]]] = {}
    for place, (f, low, high) in enumerate(
        zip(fs, low_z.tolist(), high_z.tolist(), strict=True)
    ):  # fmt: skip
        if not f.turns:
            continue
        ends = known.get(id(f))
        if ends is None:
            ends = [(t, lower([t.at]).item(), upper([t.at]).item()) for t in f.turns]
            known[id(f)] = ends
        found += [(place, turn) for turn, least, most in ends if least <= high and most >= low]
    return found


def _apart(a: Balls, b: Balls) -> F64:
    return largest([one - other for one, other in zip(a, b, strict=True)])
