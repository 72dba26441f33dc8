"""What a layer returns in exact arithmetic: values that are computed when somebody asks.

Values are asked for by their places in the flattened output, a chunk at a time, so that a few
elements of a large output cost little and a whole one does not fill the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from flint import arb

from bridge._typing import AnyArray, Mask
from bridge.errors import BridgeError
from bridge.rounding.rules.layer import Layer
from bridge.verify.activation_functions import Real
from bridge.verify.exact_arithmetic import Balls, Ints, points

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
class Placed:
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
        made = [
            self._row(before.exact[n * self.length : (n + 1) * self.length], bool(known))
            for n, known in enumerate(defined.tolist())
        ]
        row_of = row_of.ravel()
        exact = [made[n][k] for n, k in zip(row_of.tolist(), column.tolist(), strict=True)]
        return Values(exact, defined[row_of])

    def _row(self, z: Balls, known: bool) -> Balls:
        if not known:
            return [arb.nan()] * len(z)
        # What is subtracted cancels; without it, exponentials are too large for a ball.
        middle = max(z, key=lambda each: float(each.mid()))
        below = [each - middle for each in z]
        parts = [each.exp() for each in below]
        total = sum(parts, arb(0))
        if self.logarithm:
            return [each - total.log() for each in below]
        return [each / total for each in parts]
