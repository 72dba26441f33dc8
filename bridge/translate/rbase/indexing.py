"""Indexing: from 1, negative numbers leave out, truth values choose, names find."""

from __future__ import annotations

import copy
import sys
from typing import Any, Final

import numpy as np

from bridge.translate.rbase import values
from bridge.translate.rbase.values import (
    ALL,
    Factor,
    Frame,
    Named,
    is_foreign,
    is_number,
    scalar,
    vector,
)

_TABLES: Final = (Frame,)


def _places(i: Any, size: int, names: list[str] | None = None) -> Any:
    """Return an index as places counted from 0."""
    if i is ALL:
        return np.arange(size)
    if isinstance(i, (Factor,)):
        i = i.codes
    found = vector(i)
    if found.dtype == object:
        if names is None:
            raise KeyError("subscript out of bounds")
        return np.array([names.index(str(name)) for name in found], np.intp)
    if found.dtype.kind == "b":
        return np.flatnonzero(np.resize(found, max(size, len(found))))
    found = np.trunc(found.astype(np.float64))
    if _is_slice(found):
        return found[:-1].astype(np.intp)
    found = found[found != 0]
    if len(found) and bool((found < 0).all()):
        gone = (-found - 1).astype(np.intp)
        return np.setdiff1d(np.arange(size), gone)
    if bool((found < 0).any()):
        raise IndexError("can't mix positive and negative subscripts")
    return (found - 1).astype(np.intp)


def _is_slice(places: Any) -> bool:
    """Say whether a range is read as a slice of Python's: one that began at 0 stood there before.

    R drops the 0, and the first of such slices is the same in both; the next ones are not.
    """
    if len(places) < 2 or places[0] < 0 or values.seen_before is None:
        return False
    if not bool((np.diff(places) == 1).all()):
        return False
    begins = bool(places[0] == 0)
    what = "the range counts from 0, where R counts from 1 and takes the end with it"
    return values.seen_before("zero", begins) and (
        begins or values.is_otherwise("zero", "r-index-base", what)
    )


def index(x: Any, *where: Any, drop: Any = True) -> Any:
    """``x[i]``, ``x[i, j]``: axes of which one place is chosen are dropped."""
    if is_foreign(x):
        return _of_tensor(x, where, drop)
    if x is None:
        return None
    if isinstance(x, Frame):
        return _of_frame(x, where, drop)
    if isinstance(x, Factor):
        return Factor(x.codes[_places(where[0], len(x))], x.levels)
    if isinstance(x, dict):
        names = list(x)
        chosen = [names[place] for place in _places(where[0], len(x), names)]
        if len(set(chosen)) < len(chosen):
            # A dict has a name once: an element that is taken again goes without.
            taken = [x[name] for name in chosen]
            return np.asarray(taken) if isinstance(x, Named) else taken
        return type(x)((name, x[name]) for name in chosen)
    if isinstance(x, (list, tuple)):
        return [x[place] for place in _places(where[0], len(x))]
    found = np.atleast_1d(np.asarray(x))
    if len(where) == 1:
        return _of_vector(found, where[0], x)
    if len(where) != found.ndim:
        raise IndexError("incorrect number of dimensions")
    for axis, i in enumerate(where):
        if i is not ALL:
            found = np.take(found, _places(i, found.shape[axis]), axis=axis)
    if drop is False:
        return found
    kept = tuple(size for size in found.shape if size != 1)
    return found.reshape(kept) if kept else found.reshape(-1)[0].item()


def _of_vector(found: Any, i: Any, x: Any) -> Any:
    if i is ALL:
        return x
    if isinstance(i, np.ndarray) and i.ndim == 2 and found.ndim > 1:
        if i.dtype.kind == "b":
            return found.ravel(order="F")[i.ravel(order="F")]
        if i.shape[1] == found.ndim:
            return found[tuple(i.astype(np.intp).T - 1)]
    flat = found.ravel(order="F")
    places = _places(i, len(flat))
    if len(places) and places.max() >= len(flat):
        outside = flat.astype(np.float64)
        return scalar(np.array([outside[p] if p < len(flat) else np.nan for p in places]))
    chosen = flat[places]
    return scalar(chosen) if not isinstance(x, np.ndarray) or len(chosen) == 1 else chosen


def _of_frame(x: Frame, where: tuple[Any, ...], drop: Any) -> Any:
    names = list(x)
    if len(where) == 1:
        return Frame((names[p], x[names[p]]) for p in _places(where[0], len(names), names))
    rows, columns = where
    chosen = [names[p] for p in _places(columns, len(names), names)]
    picked = Frame((name, x[name] if rows is ALL else index(x[name], rows)) for name in chosen)
    return picked[chosen[0]] if len(chosen) == 1 and drop is not False else picked


def _of_tensor(x: Any, where: tuple[Any, ...], drop: Any) -> Any:
    if hasattr(x, "columns") and hasattr(x, "iloc"):
        return x[where[0]]
    shape = [None if size is None else int(size) for size in x.shape]
    key: list[Any] = []
    gathers: list[tuple[int, Any]] = []
    for axis, i in enumerate(where):
        size = shape[axis] if axis < len(shape) else None
        if i is ALL:
            key.append(slice(None))
        elif is_foreign(i):
            # A tensor counts from 0 by itself.
            key.append(i)
        elif (
            is_number(i)
            and i < 0
            and not values.is_otherwise(
                "negative",
                "r-index-base",
                "a negative index leaves out in R, and counts from the end in a tensor",
            )
        ):
            key.append(int(i) if drop is not False else slice(int(i), int(i) + 1 or None))
        elif is_number(i) and i > 0 and drop is not False:
            key.append(int(i) - 1)
        elif size is None:
            found = vector(i)
            if not (len(found) and bool((np.diff(found) == 1).all()) and found[0] > 0):
                raise IndexError("an axis of unknown length can only be indexed by a range")
            key.append(slice(int(found[0]) - 1, int(found[-1])))
        else:
            key.append(slice(None))
            gathers.append((axis, _places(i, size)))
    for axis, places in gathers:
        x = sys.modules["tensorflow"].gather(x, places, axis=axis)
    part = x[tuple(key)]
    # One column that is left over is a vector, as in R.
    return part if drop is False or not gathers else _dropped(part, gathers)


def _dropped(gathered: Any, gathers: list[tuple[int, Any]]) -> Any:
    axes = [axis for axis, places in gathers if len(places) == 1]
    return sys.modules["tensorflow"].squeeze(gathered, axes) if axes else gathered


def item(x: Any, *where: Any) -> Any:
    """``x[[i]]``: one element, by place (from 1) or by name."""
    i = scalar(where[0])
    if len(where) > 1:
        return index(x, *where)
    if isinstance(x, dict):
        if isinstance(i, str):
            return x.get(i)
        return list(x.values())[_one(i)]
    if isinstance(i, str):
        return member(x, i)
    if isinstance(x, (list, tuple)) or is_foreign(x):
        return x[_one(i)]
    if isinstance(x, Factor):
        return x.text[_one(i)]
    return vector(x)[_one(i)].item()


def _one(i: Any) -> int:
    place = int(i)
    if place < 1:
        raise IndexError("subscript out of bounds")
    return place - 1


def member(x: Any, name: str) -> Any:
    """``x$name``: an element of a list (NULL if there is none), or an attribute."""
    if isinstance(x, dict):
        found = x.get(name)
        if found is None and name not in x:
            near = [key for key in x if key.startswith(name)]
            found = x[near[0]] if len(near) == 1 else None
        return found
    if x is None or isinstance(x, list):
        return None
    if name == "metrics" and hasattr(x, "history") and hasattr(x, "epoch"):
        return {key: np.array(values, np.float64) for key, values in x.history.items()}
    return getattr(x, name)


def put(x: Any, value: Any, *where: Any) -> Any:
    """``x[i] <- value``: a changed copy, as in R; a tensor or model is changed itself."""
    if is_foreign(x):
        x[tuple(int(scalar(i)) - 1 if i is not ALL else i for i in where)] = value
        return x
    if isinstance(x, Frame) and len(where) == 2:
        names = list(x)
        frame = Frame(x)
        for p in _places(where[1], len(names), names):
            frame[names[p]] = put(x[names[p]], value, where[0])
        return frame
    if isinstance(x, (dict, list)) or (x is None and not is_number(value)):
        for place in vector(where[0]).tolist():
            x = put_item(x, value, place)
        return x
    found = np.zeros(0) if x is None else np.array(np.atleast_1d(np.asarray(x)))
    if not where:
        return np.resize(np.ravel(value), found.size).reshape(found.shape, order="F")
    made_value = vector(value) if isinstance(value, (dict, Factor)) else np.asarray(value)
    kind = np.result_type(found.dtype, made_value.dtype) if found.size else made_value.dtype
    if found.dtype == np.int32 and made_value.dtype.kind == "i":
        kind = np.dtype(np.int32)
    found = found.astype(kind)
    if len(where) == 1:
        i = where[0]
        if isinstance(i, np.ndarray) and i.dtype.kind == "b" and i.shape == found.shape:
            flat = found.ravel(order="F")
            flat[i.ravel(order="F")] = _fill(made_value, int(i.sum()))
            return flat.reshape(found.shape, order="F")
        flat = found.ravel(order="F")
        places = _places(i, len(flat))
        if len(places) and places.max() >= len(flat):
            more = np.full(int(places.max()) + 1 - len(flat), np.nan)
            flat = np.concatenate([flat, more]) if len(flat) or len(more) > 1 else more
            if kind.kind != "f" and not np.isnan(flat[: int(places.max())]).any():
                flat = np.nan_to_num(flat).astype(kind)
            found = flat
        flat[places] = _fill(made_value, len(places))
        return flat.reshape(found.shape, order="F")
    places = [_places(i, size) for i, size in zip(where, found.shape, strict=True)]
    shape = tuple(len(place) for place in places)
    found[np.ix_(*places)] = _fill(made_value, int(np.prod(shape))).reshape(shape, order="F")
    return found


def _fill(value: Any, size: int) -> Any:
    return np.resize(value.ravel(order="F"), size)


def put_item(x: Any, value: Any, i: Any) -> Any:
    i = scalar(i)
    if isinstance(i, str):
        return put_member(x, value, i)
    if isinstance(x, dict):
        copied = type(x)(x)
        copied[list(copied)[_one(i)]] = value
        return copied
    if is_foreign(x):
        x[_one(i)] = value
        return x
    if isinstance(x, np.ndarray) and is_number(value):
        return put(x, value, i)
    found = [] if x is None else list(x)
    found += [None] * (_one(i) + 1 - len(found))
    found[_one(i)] = value
    return found


def changed(x: Any, value: Any, name: Any) -> Any:
    """``x[[name]] <- value`` as Python has it: a dict itself is changed, and no copy of it."""
    if not isinstance(x, dict) or not isinstance(name, str):
        return put_item(x, value, name)
    x[name] = value
    return x


def put_member(x: Any, value: Any, name: str) -> Any:
    """``x$name <- value``: a changed copy of a list; an attribute of an object is set."""
    if is_foreign(x):
        setattr(x, name, value)
        return x
    copied = copy.copy(x) if isinstance(x, dict) else {}
    if value is None:
        copied.pop(name, None)
    else:
        copied[name] = value
    return copied


def put_dim(x: Any, dim: Any, by_columns: bool = False) -> Any:
    """``dim(x) <- dim``: what was a vector is filled by rows, as NumPy reshapes, and that is told.

    ``by_columns`` is for numbers that are in no order of their own: R's way is as good as any.
    """
    if dim is None:
        return vector(x)
    found = np.asarray(x)
    shape = tuple(int(size) for size in vector(dim))
    reshaped = found.reshape(-1, order="F").reshape(shape, order="F")
    by_rows = found.reshape(shape)
    if by_columns or found.ndim > 1 or np.array_equal(reshaped, by_rows, equal_nan=_is_real(found)):
        return reshaped
    what = "dim<- fills an array by columns in R, NumPy's reshape by rows"
    return by_rows if values.is_otherwise("dim", "r-semantics", what) else reshaped


def _is_real(x: Any) -> bool:
    return bool(x.dtype.kind in "fc")


def named(x: Any) -> bool:
    """Say whether a value has names."""
    return isinstance(x, (dict, Named))
