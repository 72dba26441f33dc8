"""Operations of Keras 3 that round nothing: comparisons, logic, integers.

What they return is exact, so that every correct implementation returns the same. Integers wrap
around at the ends of their type, as TensorFlow's do when nothing is optimised. A comparison with
NaN is false, but for "not equal" (IEEE 754-2019, 5.11). Of subnormal numbers nothing is claimed:
the processor may read them as zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray
from bridge.rounding.rules.layer import Evaluation, Layer, Rule, UnsupportedError
from bridge.rounding.rules.rounding import FORMATS, TINY

_Function = Callable[..., Any]


def _compare(
    function: _Function, _layer: Layer, inputs: Sequence[AnyArray]
) -> tuple[Evaluation, ...]:
    a, b = _two(inputs)
    return (Evaluation(np.asarray(function(_known(a), _known(b)))),)


def _decide(
    function: _Function, count: int, _layer: Layer, inputs: Sequence[AnyArray]
) -> tuple[Evaluation, ...]:
    if len(inputs) != count or any(x.dtype != np.bool_ for x in inputs):
        raise UnsupportedError("it was given something else than truth values")
    return (Evaluation(np.asarray(function(*inputs))),)


def _count(
    function: _Function, count: int, _layer: Layer, inputs: Sequence[AnyArray]
) -> tuple[Evaluation, ...]:
    if len(inputs) != count or any(x.dtype.kind not in "iu" for x in inputs):
        raise UnsupportedError("it has a rule for integers alone")
    if count == 2 and inputs[0].dtype != inputs[1].dtype:
        raise UnsupportedError("it was given two types of integers")
    with np.errstate(over="ignore"):
        value = np.asarray(function(*inputs))
    return (Evaluation(value.astype(inputs[0].dtype)),)


def _two(inputs: Sequence[AnyArray]) -> tuple[AnyArray, AnyArray]:
    if len(inputs) != 2 or inputs[0].dtype != inputs[1].dtype:
        raise UnsupportedError("it was not given two inputs of one type")
    return inputs[0], inputs[1]


def _known(x: AnyArray) -> AnyArray:
    """Return numbers that are read as they are."""
    if x.dtype.name not in FORMATS:
        if x.dtype.kind not in "biu":
            raise UnsupportedError(f"it was given {x.dtype.name}")
        return x
    wide: AnyArray = x.astype(np.float64)
    size = np.abs(wide)
    if bool(((size > 0.0) & (size < TINY)).any()):
        raise UnsupportedError("it was given subnormal numbers, which may be read as zero")
    return wide


RULES: Final[Mapping[str, Rule]] = {
    "Equal": partial(_compare, np.equal),
    "Greater": partial(_compare, np.greater),
    "GreaterEqual": partial(_compare, np.greater_equal),
    "Less": partial(_compare, np.less),
    "LessEqual": partial(_compare, np.less_equal),
    "NotEqual": partial(_compare, np.not_equal),
    "LogicalAnd": partial(_decide, np.logical_and, 2),
    "LogicalNot": partial(_decide, np.logical_not, 1),
    "LogicalOr": partial(_decide, np.logical_or, 2),
    "LogicalXor": partial(_decide, np.logical_xor, 2),
    "Absolute": partial(_count, np.abs, 1),
    "Negative": partial(_count, np.negative, 1),
    "Square": partial(_count, np.square, 1),
}
