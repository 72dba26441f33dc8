"""Putting in order, finding places, and sets."""


# Parameters are R's own, also where they make no difference here.
# ruff: noqa: ARG001

from __future__ import annotations

from typing import Any

import numpy as np

from bridge.translate.rbase.values import (
    Factor,
    Named,
    array,
    scalar,
    vector,
)


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
    """``sort(x)``."""
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
    """``rev(x)``."""
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
    places = [found.index(each) + 1 if each in found else np.nan for each in vector(x).tolist()]
    return scalar(np.array(places))
