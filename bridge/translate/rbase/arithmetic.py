"""Operators: R's on R's own vectors and arrays, Python's on tensors."""

from __future__ import annotations

import functools
import math
import operator
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from bridge.translate.rbase import values
from bridge.translate.rbase.values import (
    Factor,
    Frame,
    Named,
    array,
    is_foreign,
    scalar,
    simple,
    vector,
)


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


def _apply(a: Any, b: Any, operation: Callable[[Any, Any], Any], along: bool = False) -> Any:
    if is_foreign(a) or is_foreign(b):
        left, right = (scalar(side) if not is_foreign(side) else side for side in (a, b))
        if isinstance(left, (list, dict)):
            left = _number(left)
        if isinstance(right, (list, dict)):
            right = _number(right)
        # A NumPy array on the left would take a tensor for one of its own.
        if isinstance(left, np.ndarray) and hasattr(type(right), "dtype"):
            left = _like(left, right)
        return operation(left, right)
    names = a if isinstance(a, Named) else b if isinstance(b, Named) else None
    x, y = _recycled(np.asarray(_number(a)), np.asarray(_number(b)), along)
    with np.errstate(all="ignore"):
        found = simple(operation(x, y))
    if names is not None and isinstance(found, np.ndarray) and len(found) == len(names):
        return Named(zip(names, found.tolist(), strict=True))
    return found


def _like(left: Any, right: Any) -> Any:
    import sys

    tf = sys.modules.get("tensorflow")
    return tf.convert_to_tensor(left, right.dtype) if tf is not None else left


def _counted(x: Any) -> Any:
    """Return truth values as the integers that R computes with."""
    return x.astype(np.int32) if isinstance(x, np.ndarray) and x.dtype.kind == "b" else x


def add(a: Any, b: Any, along: bool = False) -> Any:
    return _apply(a, b, lambda x, y: _counted(x) + _counted(y), along)


def sub(a: Any, b: Any, along: bool = False) -> Any:
    return _apply(a, b, lambda x, y: _counted(x) - _counted(y), along)


def mul(a: Any, b: Any, along: bool = False) -> Any:
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


def _no_whole_zero(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Let the division of whole numbers by zero be NA, as in R; NumPy makes it zero."""

    def divided(x: Any, y: Any) -> Any:
        found = operation(x, y)
        whole = isinstance(found, (np.ndarray, np.generic)) and found.dtype.kind in "iu"
        return (
            np.where(np.equal(y, 0), np.nan, found) if whole and np.any(np.equal(y, 0)) else found
        )

    return divided


def mod(a: Any, b: Any) -> Any:
    return _apply(a, b, _no_whole_zero(operator.mod))


def intdiv(a: Any, b: Any) -> Any:
    return _apply(a, b, _no_whole_zero(operator.floordiv))


def neg(a: Any) -> Any:
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
    found = set(vector(b).tolist()) if not isinstance(b, Factor) else set(b.text)
    mine = a.text if isinstance(a, Factor) else vector(a).tolist()
    return scalar(np.array([value in found for value in mine], np.bool_))


def otherwise(a: Any, b: Any) -> Any:
    return b if a is None else a


def _elementwise(name: str, operation: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def function(x: Any) -> Any:
        if is_foreign(x):
            found = getattr(sys.modules["tensorflow"].math, name, None)
            if found is None:
                raise TypeError(f"non-numeric argument to mathematical function: {name}")
            return found(x)
        if isinstance(x, Named):
            return Named(zip(x, operation(vector(x)).tolist(), strict=True))
        if isinstance(x, Frame):
            return Frame((key, function(column)) for key, column in x.items())
        values = np.asarray(vector(x) if isinstance(x, (list, dict)) else x)
        values = values.astype(np.float64) if values.dtype.kind == "f" else values
        with np.errstate(all="ignore"):
            return simple(operation(values))

    function.__name__ = name
    function.__doc__ = f"``{name}(x)``, element by element."
    return function


def _double(operation: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: operation(x.astype(np.float64))


exp = _elementwise("exp", _double(np.exp))
log1p = _elementwise("log1p", _double(np.log1p))
expm1 = _elementwise("expm1", _double(np.expm1))
log2 = _elementwise("log2", _double(np.log2))
log10 = _elementwise("log10", _double(np.log10))
sqrt = _elementwise("sqrt", _double(np.sqrt))
sin = _elementwise("sin", _double(np.sin))
cos = _elementwise("cos", _double(np.cos))
tan = _elementwise("tan", _double(np.tan))
asin = _elementwise("asin", _double(np.arcsin))
acos = _elementwise("acos", _double(np.arccos))
atan = _elementwise("atan", _double(np.arctan))
sinh = _elementwise("sinh", _double(np.sinh))
cosh = _elementwise("cosh", _double(np.cosh))
tanh = _elementwise("tanh", _double(np.tanh))
abs_ = _elementwise("abs", lambda x: np.abs(x.astype(np.int32) if x.dtype.kind == "b" else x))
sign = _elementwise("sign", np.sign)
floor = _elementwise("floor", _double(np.floor))
ceiling = _elementwise("ceil", _double(np.ceil))
trunc = _elementwise("trunc", _double(np.trunc))


def log(x: Any, base: Any = None) -> Any:
    if is_foreign(x):
        return sys.modules["tensorflow"].math.log(x)
    with np.errstate(all="ignore"):
        found = np.log(np.asarray(array(x), np.float64))
        result = found if base is None else found / math.log(scalar(base))
    return scalar(result) if np.ndim(x) == 0 else result


def round_(x: Any, digits: Any = 0) -> Any:
    if is_foreign(x):
        return sys.modules["tensorflow"].math.round(x)
    if isinstance(x, Named):
        return Named(zip(x, np.round(vector(x), int(scalar(digits))).tolist(), strict=True))
    if isinstance(x, (int, bool)):
        return x
    return simple(np.round(np.asarray(array(x), np.float64), int(scalar(digits)))
                  if np.ndim(x) else round(float(x), int(scalar(digits))))  # fmt: skip


def signif(x: Any, digits: Any = 6) -> Any:
    rounded = np.vectorize(lambda v: float(f"{v:.{int(scalar(digits))}g}"), otypes=[float])
    return simple(rounded(array(x))) if np.ndim(x) else float(rounded(x))


def _all(items: tuple[Any, ...], na_rm: Any) -> Any:
    found = np.concatenate([vector(array(x) if is_foreign(x) else x) for x in items])
    if found.dtype == object:
        return found
    return found[~np.isnan(found.astype(np.float64))] if na_rm else found


def _whole(found: Any, total: Any) -> Any:
    return int(total) if found.dtype.kind in "ib" else float(total)


def _foreign(items: tuple[Any, ...], name: str) -> Any:
    if len(items) == 1 and is_foreign(items[0]) and hasattr(items[0], "dtype"):
        return getattr(sys.modules["tensorflow"], name)(items[0])
    return None


def sum_(*items: Any, na_rm: Any = False) -> Any:
    tensor = _foreign(items, "reduce_sum")
    if tensor is not None:
        return tensor
    found = _all(items, na_rm)
    return _whole(found, found.sum()) if found.dtype.kind != "f" else math.fsum(found)


def prod(*items: Any, na_rm: Any = False) -> Any:
    return float(np.prod(_all(items, na_rm).astype(np.float64)))


def mean(x: Any, na_rm: Any = False) -> Any:
    if is_foreign(x) and hasattr(x, "dtype"):
        return sys.modules["tensorflow"].reduce_mean(x)
    found = _all((x,), na_rm).astype(np.float64)
    return math.fsum(found) / len(found) if len(found) else math.nan


def max_(*items: Any, na_rm: Any = False) -> Any:
    tensor = _foreign(items, "reduce_max")
    if tensor is not None:
        return tensor
    found = _all(items, na_rm)
    return max(found.tolist()) if found.dtype == object else _whole(found, found.max())


def min_(*items: Any, na_rm: Any = False) -> Any:
    tensor = _foreign(items, "reduce_min")
    if tensor is not None:
        return tensor
    found = _all(items, na_rm)
    return min(found.tolist()) if found.dtype == object else _whole(found, found.min())


def range_(*items: Any, na_rm: Any = False) -> Any:
    found = _all(items, na_rm)
    return np.array([found.min(), found.max()])


def var(x: Any) -> Any:
    """``var(x)``: divided by n - 1."""
    return float(np.var(vector(x).astype(np.float64), ddof=1))


def sd(x: Any, na_rm: Any = False) -> Any:
    """``sd(x)``: divided by n - 1."""
    return float(np.std(_all((x,), na_rm).astype(np.float64), ddof=1))


def median(x: Any, na_rm: Any = False) -> Any:
    return float(np.median(_all((x,), na_rm)))


def cor(x: Any, y: Any) -> Any:
    """``cor(x, y)`` of two vectors."""
    return float(np.corrcoef(vector(x), vector(y))[0, 1])


def _cumulative(name: str, operation: Any) -> Callable[[Any], Any]:
    def function(x: Any) -> Any:
        found = vector(x)
        return operation(found.astype(np.int32) if found.dtype.kind == "b" else found)

    function.__name__ = name
    function.__doc__ = f"``{name}(x)``."
    return function


cumsum = _cumulative("cumsum", np.cumsum)
cumprod = _cumulative("cumprod", lambda x: np.cumprod(x.astype(np.float64)))
cummax = _cumulative("cummax", np.maximum.accumulate)
cummin = _cumulative("cummin", np.minimum.accumulate)


def diff(x: Any, lag: Any = 1) -> Any:
    found = vector(x)
    return found[int(scalar(lag)) :] - found[: -int(scalar(lag))]


def _sides(x: Any, operation: Callable[[Any], Any]) -> Any:
    if isinstance(x, Frame):
        return Named((key, float(operation(vector(value)))) for key, value in x.items())
    return operation(array(x).astype(np.float64))


def colMeans(x: Any) -> Any:  # noqa: N802 - R's own name
    return _sides(x, lambda v: v.mean(axis=0))


def rowMeans(x: Any) -> Any:  # noqa: N802 - R's own name
    return array(x).astype(np.float64).mean(axis=1)


def colSums(x: Any) -> Any:  # noqa: N802 - R's own name
    return _sides(x, lambda v: v.sum(axis=0))


def rowSums(x: Any) -> Any:  # noqa: N802 - R's own name
    return array(x).astype(np.float64).sum(axis=1)


def scale(x: Any, center: Any = True, scale: Any = True) -> Any:
    """``scale(x)``: every column less its mean, divided by its standard deviation."""
    found = array(x).astype(np.float64)
    found = found if found.ndim > 1 else found.reshape(-1, 1)
    if center is not False:
        found = found - (found.mean(axis=0) if center is True else vector(center))
    if scale is not False:
        spread = np.sqrt((found**2).sum(axis=0) / max(1, len(found) - 1))
        found = found / (spread if scale is True else vector(scale))
    return found


def sweep(x: Any, margin: Any, stats: Any, function: Any = "-") -> Any:
    """``sweep(x, margin, stats, f)``: one number a row (1) or a column (2)."""
    found = array(x)
    side = vector(stats)
    side = side.reshape(-1, 1) if int(scalar(margin)) == 1 else side.reshape(1, -1)
    side = np.broadcast_to(side, found.shape)
    operators: dict[str, Any] = {"-": np.subtract, "+": np.add, "*": np.multiply, "/": np.divide}
    chosen: Any = operators[function] if isinstance(function, str) else function
    return chosen(found, side)


def pmax(*items: Any) -> Any:
    """``pmax(...)``: the larger one, element by element."""
    return _pairwise(items, np.maximum, "maximum")


def pmin(*items: Any) -> Any:
    """``pmin(...)``: the smaller one, element by element."""
    return _pairwise(items, np.minimum, "minimum")


def _pairwise(items: tuple[Any, ...], operation: Any, name: str) -> Any:
    if any(is_foreign(item) for item in items):
        return functools.reduce(getattr(sys.modules["tensorflow"], name), items)
    # An array of one dimension that is shorter is recycled; the first gives the shape.
    shape = next((np.shape(item) for item in items if np.ndim(item) > 1), None)
    flat = [vector(item) for item in items]
    size = max(len(part) for part in flat)
    found = functools.reduce(operation, [np.resize(part, size) for part in flat])
    return found.reshape(shape, order="F") if shape else scalar(found)


def ifelse(test: Any, yes: Any, no: Any) -> Any:
    """``ifelse(test, yes, no)``, element by element."""
    shape = np.shape(test) if np.ndim(test) > 1 else None
    flags = vector(test).astype(np.bool_)
    yes_values, no_values = vector(yes), vector(no)
    found = np.where(flags, np.resize(yes_values, len(flags)), np.resize(no_values, len(flags)))
    if found.dtype == object:
        return [str(value) for value in found] if len(found) != 1 else str(found[0])
    return found.reshape(shape, order="F") if shape else scalar(found)


def any_(*items: Any, na_rm: Any = False) -> Any:
    return bool(_all(items, na_rm).astype(np.bool_).any())


def all_(*items: Any, na_rm: Any = False) -> Any:
    return bool(_all(items, na_rm).astype(np.bool_).all())


def is_na(x: Any) -> Any:
    """``is.na(x)``, element by element."""
    if isinstance(x, Factor):
        return x.codes == 0
    found = array(x)
    if found.dtype == object:
        return scalar(np.array([value == "NA" for value in found]))
    missing = np.isnan(found.astype(np.float64))
    return missing if np.ndim(x) else bool(missing.all())


def is_finite(x: Any) -> Any:
    """``is.finite(x)``, element by element."""
    finite = np.isfinite(array(x).astype(np.float64))
    return finite if np.ndim(x) else bool(finite.all())


def plogis(x: Any) -> Any:
    """``plogis(x)``: the logistic function."""
    return _elementwise("sigmoid", lambda v: 1 / (1 + np.exp(-v.astype(np.float64))))(x)


def pnorm(x: Any, mean: Any = 0.0, sd: Any = 1.0) -> Any:
    """``pnorm(x)``: the normal distribution."""
    lower_tail = np.vectorize(lambda v: 0.5 * math.erfc(-(v - mean) / (sd * math.sqrt(2))),
                        otypes=[float])  # fmt: skip
    return simple(lower_tail(array(x))) if np.ndim(x) else float(lower_tail(x))


def dnorm(x: Any, mean: Any = 0.0, sd: Any = 1.0) -> Any:
    """``dnorm(x)``: the normal density."""
    v = (np.asarray(x, np.float64) - mean) / sd
    return simple(np.exp(-0.5 * v * v) / (sd * math.sqrt(2 * math.pi)))


def crossprod(x: Any, y: Any = None) -> Any:
    """``crossprod(x, y)``: a vector is a column."""
    columns = _columns(x)
    return columns.T @ (columns if y is None else _columns(y))


def tcrossprod(x: Any, y: Any = None) -> Any:
    """``tcrossprod(x, y)``: a vector is a column."""
    columns = _columns(x)
    return columns @ (columns if y is None else _columns(y)).T


def _columns(x: Any) -> Any:
    found = array(x).astype(np.float64)
    return found.reshape(-1, 1) if found.ndim < 2 else found


def xor(a: Any, b: Any) -> Any:
    return scalar(np.logical_xor(vector(a), vector(b)))
