"""Stages of a layer: what is known of its elements, each made from what is known before.

A stage is asked for elements by their places in the flattened output, a chunk at a time, so that a
few elements of a large output cost little and a whole one does not fill the memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from bridge.verify.exact import F64, Balls, Ints, Mask, points

#: Elements that are asked for at once where a stage does not say.
CHUNK: Final = 2**14


@dataclass(frozen=True)
class Known:
    """Exact results, and how far each may be from what was computed.

    ``error`` bounds it for the layer's own type; it is infinite where a partial sum may overflow or
    a kernel was seen to return no number, and 0 where nothing is computed. ``evaluated`` bounds it
    for a float64 evaluation. ``defined`` is False where an argument is NaN or infinite; there the
    others say nothing.
    """

    value: Balls
    error: F64
    evaluated: F64
    defined: Mask


class Stage(Protocol):
    """A step of a layer."""

    @property
    def chunk(self) -> int:
        """For how many elements in a row to ask at once."""

    def at(self, places: Ints) -> Known:
        """Return what is known of the elements at flat places."""


@dataclass(frozen=True)
class Exact:
    """Numbers that were recorded."""

    values: F64

    @property
    def chunk(self) -> int:
        """For how many elements in a row to ask at once."""
        return CHUNK

    def at(self, places: Ints) -> Known:
        """Return what is known of the elements at flat places: everything."""
        found = self.values.reshape(-1)[places]
        nothing = np.zeros(places.size)
        return Known(points(found), nothing, nothing, np.isfinite(found))


@dataclass(frozen=True)
class Placed:
    """A stage whose elements stand at other places in the output."""

    stage: Stage
    moved: Callable[[Ints], Ints]

    @property
    def chunk(self) -> int:
        """For how many elements in a row to ask at once."""
        return min(self.stage.chunk, CHUNK)

    def at(self, places: Ints) -> Known:
        """Return what is known of the elements at flat places."""
        return self.stage.at(self.moved(places))
