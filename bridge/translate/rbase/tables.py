"""Factors and data frames."""

# Parameters are R's own, also where they make no difference here.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bridge.translate.rbase.indexing import index
from bridge.translate.rbase.values import (
    Factor,
    Frame,
    GapError,
    array,
    factor,
    vector,
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


def frame(columns: dict[str, Any]) -> Frame:
    """Make a data frame of R's own from its recorded columns."""
    made: dict[str, Any] = {}
    for name, column in columns.items():
        if "levels" in column:
            made[name] = Factor([code or 0 for code in column["codes"]], column["levels"])
        elif "strings" in column:
            made[name] = list(column["strings"])
        else:
            values = [np.nan if each is None else each for each in column["values"]]
            exact = column["type"] == "integer" and None not in column["values"]
            made[name] = np.array(values, np.int32 if exact else np.float64)
    return Frame(made)


def dataset(about: dict[str, Any]) -> Any:
    """Make a data set of R's own from its recorded values."""
    if "frame" in about:
        return frame(about["frame"])
    values = [np.nan if each is None else each for each in about["array"]]
    kind = np.int32 if about["type"] == "integer" and None not in about["array"] else np.float64
    shape = tuple(int(each) for each in about["dim"])
    return np.array(values, kind).reshape(shape, order="F")


def expand_grid(**columns: Any) -> Frame:
    """``expand.grid(...)``: every combination, the first column varying fastest."""
    columns = {key: value for key, value in columns.items() if key != "stringsAsFactors"}
    total, before = 1, 1
    for value in columns.values():
        total *= length(value)
    made: dict[str, Any] = {}
    for key, value in columns.items():
        each = length(value)
        texts = isinstance(vector(value).tolist()[0], str) if each else False
        # Its texts become factors, with levels in the order in which they are given.
        whole = factor(value, levels=value) if texts else value
        made[key] = rep(rep(whole, each=before), times=total // (before * each))
        before *= each
    return Frame(made)


def as_data_frame(x: Any) -> Any:
    """``as.data.frame(x)``: the columns of a matrix are V1, V2 and so on."""
    if isinstance(x, dict):
        return x if isinstance(x, Frame) else Frame(x)
    found = array(x)
    if found.ndim == 1:
        return Frame({"x": found})
    return Frame((f"V{n + 1}", found[:, n].copy()) for n in range(found.shape[1]))


def split(x: Any, f: Any) -> Any:
    """``split(x, f)``: the elements, or the rows of a data frame, by group."""
    by = f if isinstance(f, Factor) else factor(f)
    codes = np.resize(by.codes, len(next(iter(x.values()))) if isinstance(x, Frame) else length(x))
    groups = {name: codes == n for n, name in enumerate(by.levels, start=1)}
    if not isinstance(x, Frame):
        flat = x if isinstance(x, (list, Factor)) else vector(x)
        return {name: index(flat, chosen) for name, chosen in groups.items()}
    return {
        name: Frame((key, index(column, chosen)) for key, column in x.items())
        for name, chosen in groups.items()
    }


def complete_cases(x: Any) -> Any:
    """``complete.cases(x)``: which rows lack nothing."""
    columns = list(x.values()) if isinstance(x, Frame) else list(array(x).reshape(length(x), -1).T)
    return ~np.any([_missing(each) for each in columns], axis=0)


def na_omit(x: Any) -> Any:
    """``na.omit(x)``: without the rows, or the elements, that lack something."""
    if isinstance(x, Frame):
        whole = complete_cases(x)
        return Frame((key, index(column, whole)) for key, column in x.items())
    found = vector(x)
    return found[~_missing(found)]


def _missing(column: Any) -> Any:
    if isinstance(column, Factor):
        return column.codes == 0
    found = vector(column)
    return np.zeros(len(found), bool) if found.dtype == object else np.isnan(
        found.astype(np.float64))  # fmt: skip


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
