"""Binding vectors, matrices and data frames together."""


# Parameters are R's own, also where they make no difference here.

from __future__ import annotations

from typing import Any

import numpy as np

from bridge.translate.rbase.making import c
from bridge.translate.rbase.values import (
    Frame,
    array,
    scalar,
)


def _bound(parts: tuple[Any, ...], names: dict[str, Any], axis: int) -> Any:
    items = [each for each in (*parts, *names.values()) if each is not None]
    if items and all(isinstance(each, Frame) for each in items):
        if axis == 0:
            return Frame((key, c(*(each[key] for each in items))) for key in items[0])
        return Frame({key: value for each in items for key, value in each.items()})
    found = [array(each) for each in items]
    size = max((each.shape[1 - axis] if each.ndim == 2 else each.size) for each in found)
    if any(each.ndim == 2 for each in found):
        size = next(each.shape[1 - axis] for each in found if each.ndim == 2)
    grown = []
    for each in found:
        if each.ndim < 2:
            line = np.resize(each, size)
            each = line.reshape(1, -1) if axis == 0 else line.reshape(-1, 1)
        grown.append(each)
    return np.concatenate(grown, axis=axis)


def rbind(*parts: Any, **names: Any) -> Any:
    """``rbind(...)``."""
    if names and all(isinstance(each, list) for each in names.values()):
        return list(names.values())
    return _bound(parts, names, 0)


def cbind(*parts: Any, **names: Any) -> Any:
    """``cbind(...)``."""
    return _bound(parts, names, 1)


def abind(*parts: Any, along: Any = None) -> Any:
    """``abind::abind(...)``: arrays joined along an axis, counted from 1."""
    arrays = [array(each) for each in parts]
    axis = arrays[0].ndim if along is None else int(scalar(along))
    return np.concatenate(arrays, axis - 1)
