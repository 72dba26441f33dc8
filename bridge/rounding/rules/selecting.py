"""Maxima and minima: what they return is one of their arguments, but for NaN and tiny numbers.

Measured on TensorFlow 2.21, eager, in a graph and compiled by XLA: a maximum returns an argument's
bits, except that a subnormal one comes back as it is or as a zero of either sign, whatever else is
compared with it, for the processor reads it as zero; and that of a number and NaN either may be
returned, by the same kernel, depending on which came first.
"""

from __future__ import annotations

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.rounding.rules.layer import Evaluation
from bridge.rounding.rules.rounding import TINY


def selected(value: AnyArray, lowest: float = np.nan) -> Evaluation:
    """Return the evaluation of an extremum ``value``, NaN where any argument is.

    Nothing is claimed of NaN, nor where the result is ``lowest``: a kernel may begin with the
    lowest finite number and never see anything above it.
    """
    if value.dtype.kind in "biu":
        return Evaluation(value)

    def derive() -> F64:
        number = value.astype(np.float64)
        with np.errstate(all="ignore"):
            # Arguments below TINY compare as equal, so that any of them may be returned.
            bound = np.where(np.abs(number) < TINY, 2.0 * TINY, 0.0)
            return np.where(np.isnan(number) | (number == lowest), np.inf, bound)

    return Evaluation(value, derive)
