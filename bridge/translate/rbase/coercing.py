"""Making one kind of value of another."""


# Parameters are R's own, also where they make no difference here.
# ruff: noqa: ARG001

from __future__ import annotations

from typing import Any

import numpy as np

from bridge.translate.rbase.making import c
from bridge.translate.rbase.values import (
    Factor,
    Named,
    array,
    is_foreign,
    is_number,
    scalar,
    show,
    vector,
)


def as_integer(x: Any) -> Any:
    """``as.integer(x)``: fractions are cut off; a factor gives its codes, from 1."""
    if isinstance(x, Factor):
        return np.where(x.codes == 0, np.nan, x.codes) if 0 in x.codes else np.array(x.codes)
    if is_foreign(x):
        x = array(x)
    found = vector(x)
    if found.dtype == object:
        found = np.array([float(each) for each in found])
    if bool(np.isnan(found.astype(np.float64)).any()):
        return scalar(np.trunc(found.astype(np.float64)))
    return scalar(np.trunc(found).astype(np.int32))


def as_numeric(x: Any) -> Any:
    """``as.numeric(x)``."""
    if isinstance(x, Factor):
        return np.where(x.codes == 0, np.nan, x.codes)
    if is_foreign(x):
        x = array(x)
    found = vector(x)
    if found.dtype == object:
        return scalar(np.array([float(each) for each in found]))
    return scalar(found.astype(np.float64))


def as_logical(x: Any) -> Any:
    """``as.logical(x)``."""
    return scalar(vector(x).astype(np.bool_))


def as_vector(x: Any, mode: Any = "any") -> Any:
    """``as.vector(x)``: the elements by columns."""
    if isinstance(x, list):
        return x
    if isinstance(x, Factor):
        return x.text
    return vector(array(x) if is_foreign(x) else x)


def as_matrix(x: Any) -> Any:
    """``as.matrix(x)``: a vector becomes a column."""
    found = array(x)
    return found if found.ndim > 1 else found.reshape(-1, 1)


def as_character(x: Any) -> Any:
    """``as.character(x)``."""
    if isinstance(x, Factor):
        return x.text
    if is_foreign(x):
        return str(x)
    found = [each if isinstance(each, str) else show(each) for each in vector(x)]
    return found[0] if len(found) == 1 else found


def as_list(x: Any) -> Any:
    """``as.list(x)``."""
    if isinstance(x, Named):
        return dict(x)
    if isinstance(x, (list, dict)):
        return x
    return [each.item() if isinstance(each, np.generic) else each for each in vector(x)]


def unlist(x: Any) -> Any:
    """``unlist(x)``: all elements, one after the other."""
    if isinstance(x, dict) and all(is_number(each) for each in x.values()):
        return Named(x)
    items = list(x.values()) if isinstance(x, dict) else x
    if not isinstance(items, (list, tuple)):
        return items
    flat = [unlist(each) for each in items]
    flat = [list(each.values()) if isinstance(each, Named) else each for each in flat]
    return scalar(c(*flat)) if flat else None


def as_array(x: Any, dim: Any = None) -> Any:
    """``as.array(x)``; other arguments say nothing of a vector."""
    return array(x)
