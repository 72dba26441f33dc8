"""Operators: R's on R's own vectors and arrays, Python's on tensors."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from bridge.translate.rbase import values
from bridge.translate.rbase.values import Factor, Named, is_foreign, scalar, simple, vector


def _number(x: Any) -> Any:
    if isinstance(x, Factor):
        return x.text
    if isinstance(x, (list, tuple, dict)) or x is None or isinstance(x, str):
        return vector(x)
    found = np.asarray(x)
    if found.dtype.kind == "f" and found.dtype != np.float64:
        return found.astype(np.float64)
    return found


def _recycled(a: Any, b: Any, along: bool) -> tuple[Any, Any]:
    """Return two arrays of one shape; vectors are recycled as in R.

    ``along`` says that the vector meets tensors too, which go along their rows: where both are
    possible, an array is then taken like a tensor, and that is told.
    """
    if a.ndim == 0 or b.ndim == 0 or a.shape == b.shape:
        return a, b
    if a.size == 0 or b.size == 0:
        empty = np.zeros(0)
        return empty, empty
    if a.ndim == 1 and b.ndim == 1:
        n = max(len(a), len(b))
        return np.resize(a, n), np.resize(b, n)
    if a.ndim > 1 and b.ndim > 1:
        raise ValueError("non-conformable arrays")
    if a.ndim == 1:
        b, a = _recycled(b, a, along)
        return a, b
    if b.size == 1:
        return a, b.reshape(())
    filled = np.resize(b, a.size).reshape(a.shape, order="F")
    if b.size > a.size:
        raise ValueError("dims do not match the length of object")
    if not along or len(b) != a.shape[-1] or np.array_equal(filled, np.broadcast_to(b, a.shape)):
        return a, filled
    what = (
        "a vector is recycled down the columns of a matrix in R, and goes along the rows of a "
        "tensor, which it meets as well"
    )
    return (a, b) if values.is_otherwise("recycled", "r-semantics", what) else (a, filled)


def _apply(a: Any, b: Any, made: Callable[[Any, Any], Any], along: bool = False) -> Any:
    if is_foreign(a) or is_foreign(b):
        one, other = (scalar(each) if not is_foreign(each) else each for each in (a, b))
        if isinstance(one, (list, dict)):
            one = _number(one)
        if isinstance(other, (list, dict)):
            other = _number(other)
        # A NumPy array on the left would take a tensor for one of its own.
        if isinstance(one, np.ndarray) and hasattr(type(other), "dtype"):
            one = _like(one, other)
        return made(one, other)
    names = a if isinstance(a, Named) else b if isinstance(b, Named) else None
    x, y = _recycled(np.asarray(_number(a)), np.asarray(_number(b)), along)
    with np.errstate(all="ignore"):
        found = simple(made(x, y))
    if names is not None and isinstance(found, np.ndarray) and len(found) == len(names):
        return Named(zip(names, found.tolist(), strict=True))
    return found


def _like(one: Any, other: Any) -> Any:
    import sys

    tf = sys.modules.get("tensorflow")
    return tf.convert_to_tensor(one, other.dtype) if tf is not None else one


def _counted(x: Any) -> Any:
    """Return truth values as the integers that R computes with."""
    return x.astype(np.int32) if isinstance(x, np.ndarray) and x.dtype.kind == "b" else x


def add(a: Any, b: Any, along: bool = False) -> Any:
    """``a + b``."""
    return _apply(a, b, lambda x, y: _counted(x) + _counted(y), along)


def sub(a: Any, b: Any, along: bool = False) -> Any:
    """``a - b``."""
    return _apply(a, b, lambda x, y: _counted(x) - _counted(y), along)


def mul(a: Any, b: Any, along: bool = False) -> Any:
    """``a * b``."""
    return _apply(a, b, lambda x, y: _counted(x) * _counted(y), along)


def div(a: Any, b: Any, along: bool = False) -> Any:
    """``a / b``; a division by zero is infinite, as in R."""
    return _apply(a, b, operator.truediv, along)


def power(a: Any, b: Any) -> Any:
    """``a ^ b``, a double."""

    def made(x: Any, y: Any) -> Any:
        if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
            return x.astype(np.float64) ** y
        return x**y

    return _apply(a, b, made)


def _no_whole_zero(made: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Let the division of whole numbers by zero be NA, as in R; NumPy makes it zero."""

    def divided(x: Any, y: Any) -> Any:
        found = made(x, y)
        whole = isinstance(found, (np.ndarray, np.generic)) and found.dtype.kind in "iu"
        return (
            np.where(np.equal(y, 0), np.nan, found) if whole and np.any(np.equal(y, 0)) else found
        )

    return divided


def mod(a: Any, b: Any) -> Any:
    """``a %% b``."""
    return _apply(a, b, _no_whole_zero(operator.mod))


def intdiv(a: Any, b: Any) -> Any:
    """``a %/% b``."""
    return _apply(a, b, _no_whole_zero(operator.floordiv))


def neg(a: Any) -> Any:
    """``-a``."""
    return -a if is_foreign(a) else sub(0, a)


def _words(x: Any) -> Any:
    """A factor is compared by its levels."""
    return x.text if isinstance(x, Factor) else x


def eq(a: Any, b: Any) -> Any:
    """``a == b``, element by element."""
    return _apply(_words(a), _words(b), operator.eq)


def ne(a: Any, b: Any) -> Any:
    """``a != b``, element by element."""
    return _apply(_words(a), _words(b), operator.ne)


def lt(a: Any, b: Any) -> Any:
    """``a < b``, element by element."""
    return _apply(a, b, operator.lt)


def le(a: Any, b: Any) -> Any:
    """``a <= b``, element by element."""
    return _apply(a, b, operator.le)


def gt(a: Any, b: Any) -> Any:
    """``a > b``, element by element."""
    return _apply(a, b, operator.gt)


def ge(a: Any, b: Any) -> Any:
    """``a >= b``, element by element."""
    return _apply(a, b, operator.ge)


def both(a: Any, b: Any) -> Any:
    """``a & b``, element by element."""
    return _apply(a, b, np.logical_and)


def either(a: Any, b: Any) -> Any:
    """``a | b``, element by element."""
    return _apply(a, b, np.logical_or)


def negate(a: Any) -> Any:
    """``!a``, element by element."""
    return ~a if is_foreign(a) else simple(np.logical_not(_number(a)))


def true(x: Any) -> bool:
    """Return the condition of an ``if``.

    Raises:
        ValueError: it is not one truth value.
    """
    if is_foreign(x):
        return bool(x)
    found = vector(x)
    if len(found) != 1:
        raise ValueError("the condition has length > 1" if len(found) else
                         "argument is of length zero")  # fmt: skip
    return bool(found[0])


def colon(a: Any, b: Any) -> Any:
    """``a:b``; integers where ``a`` is whole, and only the first elements count."""
    if is_foreign(a) or is_foreign(b):
        first, last = float(a), float(b)
    else:
        first, last = float(vector(a)[0]), float(vector(b)[0])
    step = 1 if last >= first else -1
    count = int(abs(last - first) + 1e-10) + 1
    found = first + step * np.arange(count)
    return found.astype(np.int32) if first.is_integer() else found


def matmul(a: Any, b: Any) -> Any:
    """``a %*% b``: a vector is a row or a column, whichever fits."""
    if is_foreign(a) or is_foreign(b):
        return a @ b
    x, y = np.asarray(_number(a)), np.asarray(_number(b))
    if x.ndim < 2:
        x = x.reshape(1, -1) if y.ndim < 2 or x.size == y.shape[0] else x.reshape(-1, 1)
    if y.ndim < 2:
        y = y.reshape(-1, 1) if x.shape[1] == y.size else y.reshape(1, -1)
    return x.astype(np.float64) @ y.astype(np.float64)


def isin(a: Any, b: Any) -> Any:
    """``a %in% b``."""
    found = set(vector(b).tolist()) if not isinstance(b, Factor) else set(b.text)
    mine = a.text if isinstance(a, Factor) else vector(a).tolist()
    return scalar(np.array([each in found for each in mine], np.bool_))


def otherwise(a: Any, b: Any) -> Any:
    """``a %||% b``."""
    return b if a is None else a
