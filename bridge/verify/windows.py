"""Windows over the elements of an array: the places of those that each result looks at.

Where the taps of a window stand is read by the rules (:class:`bridge.rounding.rules.windows.Axis`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bridge.rounding.rules.windows import Axis
from bridge.verify.exact_arithmetic import Ints


def taps_of(axis: Axis, *, transposed: bool = False) -> Ints:
    """Return the element that each tap meets at each position of an axis' output, -1 for none.

    There is a row for each position and a column for each tap.
    """
    length = axis.wide if transposed else axis.narrow
    taps = np.full((length, axis.size), -1, np.int64)
    for tap in range(axis.size):
        places, elements = axis.met(tap)
        narrow = np.arange(axis.narrow, dtype=np.int64)[places]
        wide = np.arange(axis.wide, dtype=np.int64)[elements]
        if transposed:
            taps[wide, tap] = narrow
        else:
            taps[narrow, tap] = wide
    return taps


def under_windows(
    shape: Sequence[int], taps: Mapping[int, Ints], coordinates: Sequence[Ints]
) -> Ints:
    """Return the flat places, in an array of some shape, that each result looks at; -1 for none.

    ``coordinates`` are those of the results, an array for each axis; ``taps`` has a table for each
    axis along which a result looks at several elements. There is a row for each result and a column
    for each combination of taps, those of the last axis next to each other.
    """
    flat = np.zeros((coordinates[0].size, 1), np.int64)
    there = np.ones(flat.shape, np.bool_)
    for axis, (length, at) in enumerate(zip(shape, coordinates, strict=True)):
        met = taps[axis][at] if axis in taps else at[:, None]
        flat = (flat[:, :, None] * length + met[:, None, :]).reshape(at.size, -1)
        there = (there[:, :, None] & (met >= 0)[:, None, :]).reshape(at.size, -1)
    return np.where(there, flat, -1)
