"""Factors and data frames."""

# Parameters are R's own, also where they make no difference here.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bridge.translate.rbase.values import (
    Frame,
    GapError,
)
from bridge.translate.rbase.vectors import length, rep


def data_frame(**columns: Any) -> Frame:
    """``data.frame(...)``: columns of one length."""
    columns = {key: value for key, value in columns.items() if key != "stringsAsFactors"}
    flat: dict[str, Any] = {}
    for key, value in columns.items():
        if isinstance(value, np.ndarray) and value.ndim == 2:
            flat |= {f"{key}.{n + 1}": value[:, n] for n in range(value.shape[1])}
        else:
            flat[key] = value
    size = max((length(each) for each in flat.values()), default=0)
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
