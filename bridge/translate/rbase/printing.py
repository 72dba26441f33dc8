"""Printing, and telling what was printed."""

# Parameters are R's own, also where they make no difference here.
# ruff: noqa: ARG001, SIM101

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bridge.translate.rbase.text import text_of
from bridge.translate.rbase.values import (
    Factor,
    Frame,
    is_foreign,
    is_number,
    items,
    show,
)

#: Hears every number that is printed: the runner sets it to compare what R printed.
heard: Callable[[list[Any]], None] | None = None


def _numbers(x: Any) -> list[Any]:
    if x is None or isinstance(x, BaseException):
        return []
    if isinstance(x, str):
        return [x]
    if isinstance(x, Frame):
        return []
    if isinstance(x, dict) or isinstance(x, (list, tuple)):
        return [part for each in items(x) for part in _numbers(each)]
    if isinstance(x, Factor):
        return list(x.text)
    if is_foreign(x):
        return []
    found = np.asarray(x)
    if found.ndim > 2:
        # R prints matrix after matrix; the last axis changes slowest.
        moved = np.moveaxis(found, (0, 1), (-2, -1))
        order = moved.transpose(*reversed(range(found.ndim - 2)), -2, -1)
        return list(order.ravel().tolist())
    return list(found.ravel().tolist())


def hear(x: Any) -> None:
    """Tell whoever listens which numbers are printed, row by row."""
    if heard is not None:
        heard(_numbers(x))


def print_(x: Any = None, *_args: Any, **_kwargs: Any) -> Any:
    """``print(x)``."""
    hear(x)
    if isinstance(x, (np.ndarray, list)) and not is_foreign(x):
        print(np.array2string(np.asarray(x), precision=7) if isinstance(x, np.ndarray) else x)
    else:
        print(show(x) if is_number(x) or x is None else x)
    return x


def cat(*parts: Any, sep: Any = " ", fill: Any = None, file: Any = None) -> None:
    """``cat(...)``."""
    for each in parts:
        hear(each)
    print(str(sep).join(text_of(each) for each in parts), end="")


def shown(x: Any) -> Any:
    """What R prints by itself at the top of a script."""
    return x if x is None or is_foreign(x) else print_(x)
