"""Moving numbers by units in the last place."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray

_WORDS: Final = {2: np.int16, 4: np.int32, 8: np.int64}


def moved(x: AnyArray, random: np.random.Generator) -> AnyArray:
    """Return the numbers, each moved to the next below, left as it is, or moved to the next above.

    The three are equally likely. What is not finite stays, and nothing becomes infinite. A zero of
    either sign has the smallest numbers as its neighbours.

    Args:
        x: numbers of any binary floating-point type of 16, 32 or 64 bits, in any shape.
        random: the source of chance.
    """
    word: Any = _WORDS[x.dtype.itemsize]
    bits = np.ascontiguousarray(x).view(word).reshape(x.shape)
    step = random.integers(-1, 2, x.shape, dtype=np.int8).astype(word)
    # As a word with the sign taken off, the next larger magnitude is one more.
    sign = bits & np.iinfo(word).min
    size = bits & np.iinfo(word).max
    largest = np.array(np.inf).astype(x.dtype).reshape(1).view(word)[0] - 1
    step = np.where((size > largest) | ((size == largest) & (step > 0)), 0, step)
    below_zero = (size == 0) & (step < 0)
    sign = np.where(below_zero, sign ^ np.iinfo(word).min, sign)
    size = np.where(below_zero, 1, size + step)
    found: AnyArray = (sign | size).astype(word).view(x.dtype).reshape(x.shape)
    return found
