"""Bilinear resizing by whole factors, as ``tf.image.resize`` does it with half-pixel centres.

Place p of an axis that is made k times longer lies at c = (p + 1/2) / k - 1/2 among the old ones.
Its value is (1 - t) a + t b for the elements a and b around c, with t = c - floor(c); beyond the
ends the last element is repeated. Two axes are done one after the other.

Kernels find c in float32: the quotient 1/k, the product and the difference err by u (c + 1) each,
so c is off by at most 4 u (c + 1), and not at all if k is a power of two. As the interpolated
function is continuous, a c that falls on the other side of an element is no special case: the value
is off by that much times the steepest slope within one element of c, which is at most 2 A, where A
is the largest magnitude of the elements within two of c. XLA multiplies with the weights
1 - |c - i| instead, where i is every element; that has the same error in c. Two products and a sum,
or a product and two sums, add at most 5 u A for each axis.

Where c is an element, for odd k, the XLA of TensorFlow 2.21 may round it to one side of the element
when it looks for the neighbours and to the other when it finds t (measured: made of five elements,
two of fifteen places take the element after the right one). No rounding explains that, and it is
called a difference.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.rounding.rules.layer import Evaluation, Layer, UnsupportedError
from bridge.rounding.rules.rounding import FLOAT32, TINY, UNIT


def bilinear(
    layer: Layer, x: AnyArray, places: Sequence[int], factors: Sequence[int]
) -> Evaluation:
    """Evaluate bilinear resizing of ``x`` along the axes ``places`` by ``factors``.

    Raises:
        UnsupportedError: the layer does not compute in float32.
    """
    if layer.arithmetic().name != FLOAT32.name or x.dtype.kind not in "fV":
        raise UnsupportedError("bilinear interpolation has a rule for float32 alone")
    value = given = x.astype(np.float64)
    with np.errstate(all="ignore"):
        for axis, factor in zip(places, factors, strict=True):
            value = _along(value, axis, factor)

    def derive() -> F64:
        with np.errstate(all="ignore"):
            largest = np.abs(given)
            for axis, factor in zip(places, factors, strict=True):
                largest = _largest_near(largest, axis, factor)
            far = np.zeros(())
            for axis, factor in zip(places, factors, strict=True):
                far = far + _off(value, axis, factor)
            bound = UNIT * (8.0 * far + 12.0) * largest + 12.0 * TINY
            # Some kernels multiply every element of the image with a weight that may be zero.
            finite = np.isfinite(given).all(axis=tuple(places), keepdims=True)
            known = finite & (8.0 * largest < FLOAT32.overflow)
            return np.where(known, bound, np.inf)

    return Evaluation(value, derive)


def _along(x: F64, axis: int, factor: int) -> F64:
    length = x.shape[axis]
    centre = (np.arange(length * factor) + 0.5) / factor - 0.5
    low = np.floor(centre)
    shape = [1] * x.ndim
    shape[axis] = -1
    t = (centre - low).reshape(shape)
    first, second = (np.clip(low + step, 0, length - 1).astype(np.intp) for step in (0.0, 1.0))
    return np.asarray(np.take(x, first, axis) * (1.0 - t) + np.take(x, second, axis) * t)


def _off(value: F64, axis: int, factor: int) -> F64:
    """Return c + 1 for each place of an axis, and zero where c is exact."""
    shape = [1] * value.ndim
    shape[axis] = -1
    length = value.shape[axis]
    if factor & (factor - 1) == 0:
        return np.zeros(length).reshape(shape)
    return (np.arange(length) / factor + 1.0).reshape(shape)


def _largest_near(size: F64, axis: int, factor: int) -> F64:
    """Return the largest element within two of each new place."""
    length = size.shape[axis]
    near = np.arange(length * factor) // factor
    steps = (np.clip(near + step, 0, length - 1) for step in (-2, -1, 0, 1, 2))
    return np.asarray(np.maximum.reduce([np.take(size, each, axis) for each in steps]))
