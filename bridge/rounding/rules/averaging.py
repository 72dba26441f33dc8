"""Averages: sums divided by how many there are, or sums of terms that were divided before."""

from __future__ import annotations

import numpy as np

from bridge._typing import F64
from bridge.rounding.rules.layer import UnsupportedError
from bridge.rounding.rules.rounding import MOST_TERMS, Format
from bridge.rounding.rules.sums import sum_error


def check_terms(terms: int) -> None:
    """Refuse an average of nothing, or of more terms than a bound can be given for.

    Raises:
        UnsupportedError: there are none, or too many.
    """
    if terms < 1:
        raise UnsupportedError("it averages over nothing")
    if terms + 8 > MOST_TERMS:
        raise UnsupportedError(f"{terms} terms are too many for a bound")


def mean_error(size: F64, small: F64, total: F64, count: F64, most: int, fmt: Format) -> F64:
    """Bound the error of ``total / count`` for a sum in any order.

    ``size`` is the sum of the magnitudes, ``small`` that of the subnormal ones among them;
    ``most`` is the largest of ``count``. The sum may be divided, or multiplied by a rounded
    reciprocal of a rounded count, or each term before they are added: that is three roundings of
    every term, none if the count is a power of two, and ``tiny`` for each. Infinite where a partial
    sum may overflow.
    """
    with np.errstate(all="ignore"):
        added = sum_error(
            size, total, most - 1, rounded=False, lost=small + (most - 1) * fmt.tiny, fmt=fmt
        )
        exact = np.frexp(count)[0] == 0.5
        divided = np.where(exact, 0.0, fmt.gamma(4) * (size + added))
        bound = (added + divided) / count + (most + 2) * fmt.tiny
        return np.where(np.isfinite(bound) & (count < fmt.overflow), bound, np.inf)
