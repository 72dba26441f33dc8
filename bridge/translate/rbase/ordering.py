"""Putting in order, finding places, and sets."""


# Parameters are R's own, also where they make no difference here.
# ruff: noqa: ARG001

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from bridge.translate.rbase.values import (
    Factor,
    GapError,
    Named,
    array,
    scalar,
    show,
    vector,
)
from bridge.translate.rbase.vectors import c


def which(x: Any) -> Any:
    """``which(x)``: places, from 1."""
    return scalar((np.flatnonzero(vector(x)) + 1).astype(np.int32))


def which_max(x: Any) -> Any:
    """``which.max(x)``: a place, from 1."""
    return int(np.argmax(vector(x))) + 1


def which_min(x: Any) -> Any:
    """``which.min(x)``: a place, from 1."""
    return int(np.argmin(vector(x))) + 1


def max_col(x: Any, ties_method: Any = None) -> Any:
    """``max.col(x)``: of every row the column of its maximum, from 1."""
    return (np.argmax(array(x), axis=1) + 1).astype(np.int32)


def sort(x: Any, decreasing: Any = False) -> Any:
    """``sort(x)``."""
    found = vector(x)
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
    return x[::-1] if isinstance(x, list) else vector(x)[::-1].copy()


def unique(x: Any) -> Any:
    """``unique(x)``: in order of appearance."""
    if isinstance(x, Factor):
        x = x.text
    found = list(dict.fromkeys(vector(x).tolist()))
    return found if found and isinstance(found[0], str) else np.array(found)


def duplicated(x: Any) -> Any:
    """``duplicated(x)``."""
    found = vector(x).tolist()
    return np.array([each in found[:place] for place, each in enumerate(found)])


def match(x: Any, table: Any) -> Any:
    """``match(x, table)``: places, from 1."""
    found = vector(table).tolist()
    places = [found.index(each) + 1 if each in found else np.nan for each in vector(x).tolist()]
    return scalar(np.array(places))


def tabulate(x: Any) -> Any:
    """``table(x)``: how often each value stands there, by name."""
    values = x.text if isinstance(x, Factor) else vector(x).tolist()
    return Named((show(each), values.count(each)) for each in sorted(set(values)))


def rank(x: Any) -> Any:
    """``rank(x)``: equal ones share the mean of their places."""
    found = vector(x)
    below = (found[None, :] < found[:, None]).sum(axis=1)
    equal = (found[None, :] == found[:, None]).sum(axis=1)
    return below + (equal + 1) / 2


def setdiff(x: Any, y: Any) -> Any:
    """``setdiff(x, y)``: each once, in order of appearance."""
    without = set(vector(y).tolist())
    return _kept(x, lambda each: each not in without)


def intersect(x: Any, y: Any) -> Any:
    """``intersect(x, y)``: each once, in order of appearance."""
    within = set(vector(y).tolist())
    return _kept(x, lambda each: each in within)


def union(x: Any, y: Any) -> Any:
    """``union(x, y)``: each once, in order of appearance."""
    return unique(c(x, y))


def _kept(x: Any, wanted: Callable[[Any], bool]) -> Any:
    found = unique(x)
    chosen = [each for each in vector(found).tolist() if wanted(each)]
    return chosen if isinstance(found, list) else np.array(chosen, found.dtype)


def is_element(el: Any, table: Any) -> Any:
    """``is.element(el, table)``."""
    within = set(vector(table).tolist())
    return scalar(np.array([each in within for each in vector(el).tolist()]))


def find_interval(x: Any, vec: Any) -> Any:
    """``findInterval(x, vec)``: how many of the sorted ``vec`` are not above each of ``x``."""
    return scalar(np.searchsorted(vector(vec), vector(x), side="right").astype(np.int32))


def cut(
    x: Any, breaks: Any, labels: Any = None, include_lowest: Any = False, right: Any = True
) -> Any:
    """``cut(x, breaks)``: the interval that each element lies in; with labels FALSE, its number.

    Raises:
        GapError: the breaks are a number of intervals, whose bounds R rounds for the eye.
    """
    edges = np.sort(vector(breaks).astype(np.float64))
    found = vector(x).astype(np.float64)
    if len(edges) < 2:
        raise GapError("cut() into a number of intervals")
    codes = np.searchsorted(edges, found, side="left" if right else "right")
    if include_lowest:
        codes[found == edges[0 if right else -1]] = 1 if right else len(edges) - 1
    codes = np.where((codes < 1) | (codes >= len(edges)) | np.isnan(found), 0, codes)
    if labels is False:
        return scalar(np.where(codes == 0, np.nan, codes) if 0 in codes else codes.astype(np.int32))
    if labels is not None:
        names = [show(each) for each in vector(labels).tolist()]
    else:
        sides = ("(", "]") if right else ("[", ")")
        names = [f"{sides[0]}{a:.3g},{b:.3g}{sides[1]}" for a, b in itertools.pairwise(edges)]
        if include_lowest:
            names[0 if right else -1] = f"[{names[0][1:]}" if right else f"{names[-1][:-1]}]"
    return Factor(codes, names)
