"""R's vectors and arrays: how they are made, bound together and coerced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bridge.translate.rbase import values as known
from bridge.translate.rbase.indexing import index
from bridge.translate.rbase.values import (
    ALL,
    Factor,
    Frame,
    GapError,
    Named,
    array,
    factor,
    is_foreign,
    is_number,
    scalar,
    show,
    simple,
    vector,
)

# Parameters are R's own, also where they make no difference here.
# ruff: noqa: ARG001, SIM101


def c(*items: Any, **names: Any) -> Any:
    """``c(...)``: one vector, or one list where an element is a list or an object."""
    parts = [*items, *names.values()]
    parts = [part for part in parts if part is not None]
    if not parts:
        return None
    if names and not items and all(is_number(part) or isinstance(part, str) for part in parts):
        return Named(names)
    if all(isinstance(part, Factor) for part in parts):
        return factor([text for part in parts for text in part.text])
    if any(isinstance(part, dict) and not isinstance(part, Named) for part in parts):
        joined: dict[str, Any] = {}
        for part in parts:
            joined |= part if isinstance(part, dict) else {f"V{len(joined) + 1}": part}
        return joined | names
    if all(isinstance(part, Named) for part in parts):
        return Named({name: value for part in parts for name, value in part.items()})
    if any(isinstance(part, str) for part in parts) or any(
        isinstance(part, list) and part and isinstance(part[0], str) for part in parts
    ):
        found = [str(text) for part in parts for text in vector(part)]
        return found if len(found) != 1 else found[0]
    if any(is_foreign(part) or isinstance(part, (list, tuple)) for part in parts):
        return [x for part in parts for x in (part if isinstance(part, (list, tuple)) else [part])]
    kinds = [vector(part) for part in parts]
    whole = np.concatenate(kinds)
    if any(values.dtype.kind == "b" for values in kinds) and any(
        np.isnan(whole.astype(np.float64))
    ):
        return whole.astype(np.float64)
    return whole


def matrix(
    data: Any = None,
    nrow: Any = None,
    ncol: Any = None,
    byrow: Any = False,
    dimnames: Any = None,
) -> Any:
    """``matrix(...)``: filled by columns, or by rows."""
    if is_foreign(data):
        data = array(data)
    values = np.array([np.nan]) if data is None else vector(data)
    if nrow is None and ncol is None:
        nrow, ncol = len(values), 1
    elif nrow is None:
        nrow = -(-len(values) // int(scalar(ncol)))
    elif ncol is None:
        ncol = -(-len(values) // int(scalar(nrow)))
    shape = int(scalar(nrow)), int(scalar(ncol))
    filled = np.resize(values, shape[0] * shape[1])
    return filled.reshape(shape, order="C" if byrow else "F")


def make_array(data: Any = None, dim: Any = None, dimnames: Any = None) -> Any:
    """``array(data, dim)``: filled by columns."""
    values = np.array([np.nan]) if data is None else vector(data)
    shape = (len(values),) if dim is None else tuple(int(size) for size in vector(dim))
    return np.resize(values, int(np.prod(shape))).reshape(shape, order="F")


def array_reshape(x: Any, dim: Any, order: str = "C") -> Any:
    """``array_reshape(x, dim)``: as NumPy reshapes, by rows."""
    sizes = tuple(int(size) for size in vector(dim))
    if order.upper().startswith("F"):
        return np.reshape(array(x), sizes, order="F")
    return np.reshape(array(x), sizes)


def dim(x: Any) -> Any:
    """``dim(x)``; NULL for a vector, NaN for a size that is not known."""
    if isinstance(x, Frame):
        return np.array([nrow(x), len(x)], np.int32)
    if isinstance(x, np.ndarray):
        return np.array(x.shape, np.int32) if x.ndim > 1 else None
    shape = getattr(x, "shape", None)
    if shape is None or not is_foreign(x):
        return None
    sizes = list(shape)
    if any(size is None for size in sizes):
        return np.array([np.nan if size is None else float(size) for size in sizes])
    return np.array([int(size) for size in sizes], np.int32)


def nrow(x: Any) -> Any:
    if isinstance(x, Frame):
        return len(next(iter(x.values()), ()))
    found = dim(x)
    return None if found is None else simple(found[0])


def ncol(x: Any) -> Any:
    if isinstance(x, Frame):
        return len(x)
    found = dim(x)
    return None if found is None else simple(found[1])


def NROW(x: Any) -> Any:  # noqa: N802 - R's own name
    """``NROW(x)``: a vector is a column."""
    return length(x) if dim(x) is None else nrow(x)


def NCOL(x: Any) -> Any:  # noqa: N802 - R's own name
    """``NCOL(x)``: a vector is a column."""
    return 1 if dim(x) is None else ncol(x)


def length(x: Any) -> Any:
    if x is None:
        return 0
    if isinstance(x, np.ndarray):
        return int(x.size)
    if is_number(x) or isinstance(x, str):
        return 1
    return len(x)


def t(x: Any) -> Any:
    """``t(x)``; a vector becomes a row."""
    found = array(x)
    return found.T if found.ndim > 1 else found.reshape(1, -1)


def diag(x: Any, nrow: Any = None) -> Any:
    """``diag(x)``: of a matrix its diagonal, of a number a unit matrix."""
    if is_number(x) and nrow is None:
        return np.eye(int(x))
    found = np.asarray(x, np.float64)
    if found.ndim == 2:
        return np.diagonal(found).copy()
    size = int(scalar(nrow)) if nrow is not None else found.size
    return np.diag(np.resize(found.reshape(-1), size))


def rep(x: Any, times: Any = 1, each: Any = 1, length_out: Any = None) -> Any:
    many = np.asarray(vector(times)).astype(int)
    if isinstance(x, (list, tuple)) or isinstance(x, str):
        items = [x] if isinstance(x, str) else list(x)
        items = [item for item in items for _ in range(int(scalar(each)))]
        if len(many) > 1:
            return [item for item, n in zip(items, many, strict=True) for _ in range(n)]
        found = items * int(many[0])
        if length_out is not None:
            size = int(scalar(length_out))
            found = [items[k % len(items)] for k in range(size)]
        return found
    values = np.repeat(vector(x), int(scalar(each)))
    if length_out is not None:
        return np.resize(values, int(scalar(length_out)))
    return np.repeat(values, many) if len(many) > 1 else np.tile(values, int(many[0]))


def rep_len(x: Any, length_out: Any) -> Any:
    return rep(x, length_out=length_out)


def seq(
    from_: Any = None,
    to: Any = None,
    by: Any = None,
    length_out: Any = None,
    along_with: Any = None,
) -> Any:
    """``seq(...)``; as R, integers where ``from`` and ``by`` are."""
    if along_with is not None:
        return seq_len(length(along_with))
    if to is None and by is None and length_out is None and from_ is not None:
        single = is_number(from_)
        return colon(1, from_) if single else seq_len(length(from_))
    if length_out is not None:
        n = int(np.ceil(scalar(length_out)))
        if by is not None:
            start = float(scalar(from_)) if from_ is not None else 1.0
            if from_ is None and to is not None:
                start = float(scalar(to)) - (n - 1) * float(scalar(by))
            return start + float(scalar(by)) * np.arange(n)
        if from_ is None:
            start = 1.0 if to is None else float(scalar(to)) - n + 1
            return np.asarray(start + np.arange(n)).astype(np.int32)
        if to is None:
            return float(scalar(from_)) + np.arange(n)
        first, last = float(scalar(from_)), float(scalar(to))
        step = (last - first) / (n - 1) if n > 1 else 0.0
        # R adds multiples of the step, and takes the last value as it was given.
        found = first + step * np.arange(n)
        if n > 1:
            found[-1] = last
        return found
    first = 1 if from_ is None else scalar(from_)
    last = 1 if to is None else scalar(to)
    if by is None:
        return colon(first, last)
    step = scalar(by)
    n = int((last - first) / step + 1e-10)
    found = first + np.arange(n + 1) * step
    if isinstance(first, (int, np.integer)) and isinstance(step, (int, np.integer)):
        return found.astype(np.int32)
    return np.minimum(found, last) if step > 0 else np.maximum(found, last)


def colon(a: Any, b: Any) -> Any:
    from bridge.translate.rbase.arithmetic import colon as made

    return made(a, b)


def seq_len(n: Any) -> Any:
    return np.arange(1, int(scalar(n)) + 1, dtype=np.int32)


def seq_along(x: Any) -> Any:
    return seq_len(length(x))


def numeric(n: Any = 0) -> Any:
    """``numeric(n)``: zeros."""
    return np.zeros(int(scalar(n)))


def integer(n: Any = 0) -> Any:
    """``integer(n)``: zeros."""
    return np.zeros(int(scalar(n)), np.int32)


def logical(n: Any = 0) -> Any:
    """``logical(n)``: FALSE."""
    return np.zeros(int(scalar(n)), np.bool_)


def character(n: Any = 0) -> Any:
    """``character(n)``: empty strings."""
    return [""] * int(scalar(n))


def make_vector(mode: Any = "logical", n: Any = 0) -> Any:
    size = int(scalar(n))
    if mode == "list":
        return [None] * size
    makers = {"numeric": numeric, "double": numeric, "integer": integer, "logical": logical}
    return makers[mode](size) if mode in makers else character(size)


def aperm(x: Any, perm: Any = None) -> Any:
    """``aperm(x, perm)``: axes counted from 1."""
    return np.transpose(array(x), None if perm is None else [int(p) - 1 for p in vector(perm)])


def outer(x: Any, y: Any, function: Any = None) -> Any:
    left, right = vector(x), vector(y)
    if function is None or function == "*":
        return np.multiply.outer(left, right)
    a = np.repeat(left[:, None], len(right), 1).ravel(order="F")
    b = np.repeat(right[None, :], len(left), 0).ravel(order="F")
    return np.asarray(function(a, b)).reshape(len(left), len(right), order="F")


def head(x: Any, n: Any = 6) -> Any:
    """``head(x, n)``; a negative number leaves out the last ones."""
    size = NROW(x) if dim(x) is not None else length(x)
    count = int(scalar(n)) if scalar(n) >= 0 else max(0, size + int(scalar(n)))
    return _rows(x, np.arange(1, min(count, size) + 1))


def tail(x: Any, n: Any = 6) -> Any:
    """``tail(x, n)``; a negative number leaves out the first ones."""
    size = NROW(x) if dim(x) is not None else length(x)
    count = int(scalar(n)) if scalar(n) >= 0 else max(0, size + int(scalar(n)))
    return _rows(x, np.arange(size - min(count, size) + 1, size + 1))


def _rows(x: Any, places: Any) -> Any:
    if isinstance(x, Frame):
        return index(x, places, ALL)
    if isinstance(x, np.ndarray) and x.ndim > 1:
        return x[places.astype(np.intp) - 1]
    return index(x, places)


def append(x: Any, values: Any) -> Any:
    if isinstance(x, list) or isinstance(values, list):
        return [*(x or []), *(values if isinstance(values, list) else [values])]
    return c(x, values)


def names(x: Any) -> Any:
    """``names(x)`` and ``colnames(x)``.

    Raises:
        GapError: the names of a matrix are not kept here.
    """
    if isinstance(x, np.ndarray) and x.ndim > 1:
        raise GapError("the names of a matrix are not translated")
    return list(x) if isinstance(x, dict) else None


def set_names(x: Any, names: Any = None) -> Any:
    """``setNames(x, names)``; without names they are taken off."""
    if names is None:
        if isinstance(x, Named):
            return scalar(vector(x))
        return list(x.values()) if isinstance(x, dict) else x
    keys = [str(name) for name in vector(names)]
    if isinstance(x, Frame):
        return Frame(zip(keys, x.values(), strict=True))
    if isinstance(x, (dict, list, tuple)) and not isinstance(x, Named):
        values = list(x.values()) if isinstance(x, dict) else x
        return dict(zip(keys, values, strict=True))
    return Named(zip(keys, vector(x).tolist(), strict=True))


def unname(x: Any) -> Any:
    return set_names(x)


def drop(x: Any) -> Any:
    """``drop(x)``: without axes of length 1."""
    return scalar(np.squeeze(array(x)))


def array_by_rows(data: Any = None, dim: Any = None, dimnames: Any = None) -> Any:
    """``array(data, dim)`` of a vector that was there before: filled by rows, as NumPy reads it."""
    by_columns = make_array(data, dim)
    if isinstance(data, np.ndarray) and data.ndim == 1 and data.dtype.kind in "fib":
        by_rows = np.resize(data, by_columns.size).reshape(by_columns.shape)
        what = "array() fills by columns in R, NumPy's reshape by rows"
        if not np.array_equal(by_columns, by_rows) and known.is_otherwise(
            "array", "r-semantics", what
        ):
            return by_rows
    return by_columns


# Binding vectors, matrices and data frames together.

# Parameters are R's own, also where they make no difference here.


def _bound(parts: tuple[Any, ...], names: dict[str, Any], axis: int) -> Any:
    items = [part for part in (*parts, *names.values()) if part is not None]
    if items and all(isinstance(item, Frame) for item in items):
        if axis == 0:
            return Frame((key, c(*(item[key] for item in items))) for key in items[0])
        return Frame({key: value for item in items for key, value in item.items()})
    found = [array(item) for item in items]
    size = max((block.shape[1 - axis] if block.ndim == 2 else block.size) for block in found)
    if any(block.ndim == 2 for block in found):
        size = next(block.shape[1 - axis] for block in found if block.ndim == 2)
    grown = []
    for block in found:
        if block.ndim < 2:
            line = np.resize(block, size)
            block = line.reshape(1, -1) if axis == 0 else line.reshape(-1, 1)
        grown.append(block)
    return np.concatenate(grown, axis=axis)


def rbind(*parts: Any, **names: Any) -> Any:
    if names and all(isinstance(name, list) for name in names.values()):
        return list(names.values())
    return _bound(parts, names, 0)


def cbind(*parts: Any, **names: Any) -> Any:
    return _bound(parts, names, 1)


def abind(*parts: Any, along: Any = None) -> Any:
    """``abind::abind(...)``: arrays joined along an axis, counted from 1."""
    arrays = [array(part) for part in parts]
    axis = arrays[0].ndim if along is None else int(scalar(along))
    return np.concatenate(arrays, axis - 1)


# Making one kind of value of another.

# Parameters are R's own, also where they make no difference here.
# ruff: noqa: ARG001


def as_integer(x: Any) -> Any:
    """``as.integer(x)``: fractions are cut off; a factor gives its codes, from 1."""
    if isinstance(x, Factor):
        return np.where(x.codes == 0, np.nan, x.codes) if 0 in x.codes else np.array(x.codes)
    if is_foreign(x):
        x = array(x)
    found = vector(x)
    if found.dtype == object:
        found = np.array([float(text) for text in found])
    if bool(np.isnan(found.astype(np.float64)).any()):
        return scalar(np.trunc(found.astype(np.float64)))
    return scalar(np.trunc(found).astype(np.int32))


def as_numeric(x: Any) -> Any:
    if isinstance(x, Factor):
        return np.where(x.codes == 0, np.nan, x.codes)
    if is_foreign(x):
        x = array(x)
    found = vector(x)
    if found.dtype == object:
        return scalar(np.array([float(text) for text in found]))
    return scalar(found.astype(np.float64))


def as_logical(x: Any) -> Any:
    return scalar(vector(x).astype(np.bool_))


def as_vector(x: Any, mode: Any = "any") -> Any:
    """``as.vector(x)``: the elements by columns."""
    if isinstance(x, list):
        return x
    if isinstance(x, Factor):
        return x.text
    return vector(array(x) if is_foreign(x) else x)


def as_matrix(x: Any) -> Any:
    """``as.matrix(x)``: a vector becomes a column; one factor or text makes texts of a frame."""
    if isinstance(x, Frame):
        columns = [
            column.text if isinstance(column, Factor) else vector(column) for column in x.values()
        ]
        if any(isinstance(text, str) for column in columns for text in column):
            texts = [[str(element) for element in column] for column in columns]
            return np.array(texts, object).T
    found = array(x)
    return found if found.ndim > 1 else found.reshape(-1, 1)


def as_character(x: Any) -> Any:
    if isinstance(x, Factor):
        return x.text
    if is_foreign(x):
        return str(x)
    found = [value if isinstance(value, str) else show(value) for value in vector(x)]
    return found[0] if len(found) == 1 else found


def as_list(x: Any) -> Any:
    if isinstance(x, Named):
        return dict(x)
    if isinstance(x, (list, dict)):
        return x
    return [value.item() if isinstance(value, np.generic) else value for value in vector(x)]


def unlist(x: Any) -> Any:
    """``unlist(x)``: all elements, one after the other."""
    if isinstance(x, dict) and all(is_number(value) for value in x.values()):
        return Named(x)
    items = list(x.values()) if isinstance(x, dict) else x
    if not isinstance(items, (list, tuple)):
        return items
    flat = [unlist(item) for item in items]
    flat = [list(part.values()) if isinstance(part, Named) else part for part in flat]
    return scalar(c(*flat)) if flat else None


def as_array(x: Any, dim: Any = None) -> Any:
    """``as.array(x)``; other arguments say nothing of a vector."""
    return array(x)


def which(x: Any) -> Any:
    """``which(x)``: places, from 1."""
    return scalar((np.flatnonzero(vector(x)) + 1).astype(np.int32))


def which_max(x: Any) -> Any:
    """``which.max(x)``: a place, from 1, with its name."""
    return _place(x, int(np.argmax(vector(x))))


def which_min(x: Any) -> Any:
    """``which.min(x)``: a place, from 1, with its name."""
    return _place(x, int(np.argmin(vector(x))))


def _place(x: Any, at: int) -> Any:
    return Named({list(x)[at]: at + 1}) if isinstance(x, Named) else at + 1


def _reordered(x: Named, places: Any) -> Named:
    pairs = list(x.items())
    return Named(pairs[place] for place in places)


def max_col(x: Any, ties_method: Any = None) -> Any:
    """``max.col(x)``: of every row the column of its maximum, from 1."""
    return (np.argmax(array(x), axis=1) + 1).astype(np.int32)


def sort(x: Any, decreasing: Any = False) -> Any:
    found = vector(x)
    if isinstance(x, Named):
        return _reordered(x, order(x, decreasing) - 1)
    if found.dtype == object:
        return sorted(found.tolist(), reverse=bool(decreasing))
    found = np.sort(found)
    return found[::-1].copy() if decreasing else found


def order(x: Any, decreasing: Any = False) -> Any:
    """``order(x)``: places, from 1."""
    found = vector(x)
    keys = -found if decreasing and found.dtype != object else found
    return (np.argsort(keys, kind="stable") + 1).astype(np.int32)


def rev(x: Any) -> Any:
    if isinstance(x, Named):
        return _reordered(x, range(len(x))[::-1])
    return x[::-1] if isinstance(x, list) else vector(x)[::-1].copy()


def unique(x: Any) -> Any:
    """``unique(x)``: in order of appearance."""
    if isinstance(x, Factor):
        x = x.text
    found = list(dict.fromkeys(vector(x).tolist()))
    return found if found and isinstance(found[0], str) else np.array(found)


def match(x: Any, table: Any) -> Any:
    """``match(x, table)``: places, from 1."""
    found = vector(table).tolist()
    places = [found.index(value) + 1 if value in found else np.nan for value in vector(x).tolist()]
    return scalar(np.array(places))


def data_frame(**columns: Any) -> Frame:
    """``data.frame(...)``: columns of one length."""
    columns = {key: value for key, value in columns.items() if key != "stringsAsFactors"}
    flat: dict[str, Any] = {}
    for key, value in columns.items():
        if isinstance(value, np.ndarray) and value.ndim == 2:
            flat |= {f"{key}.{n + 1}": value[:, n] for n in range(value.shape[1])}
        else:
            flat[key] = value
    size = max((length(column) for column in flat.values()), default=0)
    return Frame(
        (key, value if length(value) == size else rep(value, length_out=size))
        for key, value in flat.items()
    )


def seen(columns: Any, name: str, own: Callable[[], Any] | None = None) -> Any:
    """Return what a name stands for within ``with()``: a column, or what the script calls so.

    Raises:
        GapError: it is neither.
    """
    if isinstance(columns, dict) and name in columns:
        return columns[name]
    if own is None:
        raise GapError(f"{name} is no column, and nothing that the script defines")
    return own()
