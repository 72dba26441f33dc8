"""R's own values, as its run recorded them, in the form in which the translated text has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bridge.errors import BridgeError
from bridge.translate.rbase.values import Classed, Factor, Frame, Missing, Named, is_number


class NoValueError(BridgeError, ValueError):
    """R's value is not one that can be had outside R; the message says why."""


def answered(recorded: Mapping[str, Any]) -> Any:
    """Return a value that ``hooks.R`` took apart: numbers, text, a list, an object of Python's.

    A part of a list that cannot be had stands for itself as a missing one.

    Raises:
        NoValueError: the value as a whole cannot be had.
    """
    kind = recorded["kind"]
    if kind == "null":
        return None
    if kind == "python":
        return recorded["value"]
    if kind == "list":
        return _list(recorded)
    if kind == "text":
        return _text(recorded)
    if kind == "numbers":
        return _numbers(recorded)
    why = "it is a function" if kind == "function" else str(recorded.get("text"))
    raise NoValueError(why)


def _part(recorded: Mapping[str, Any]) -> Any:
    try:
        return answered(recorded)
    except NoValueError as error:
        return Missing(f"a part of R's value cannot be had: {error}")


def _list(recorded: Mapping[str, Any]) -> Any:
    items = [_part(each) for each in recorded["items"]]
    names = recorded.get("names")
    if not names:
        return items
    if len(set(names)) < len(names) or "" in names:
        return items
    classes = tuple(map(str, recorded["cls"]))
    kind = Frame if "data.frame" in classes else Classed if classes else dict
    if kind is Frame:
        # A column of one row is a vector all the same.
        items = [
            [each] if isinstance(each, str) else np.array([each]) if is_number(each) else each
            for each in items
        ]
    made = kind(zip(names, items, strict=True))
    if isinstance(made, Classed):
        made.classes = classes
    return made


def _named(recorded: Mapping[str, Any], values: list[Any]) -> Any | None:
    names = recorded.get("names")
    if not names or len(set(names)) < len(names):
        return None
    return Named(zip(names, values, strict=True))


def _text(recorded: Mapping[str, Any]) -> Any:
    values = [str(each) for each in recorded["values"]]
    if recorded.get("dim"):
        return np.array(values, object).reshape(recorded["dim"], order="F")
    found = _named(recorded, values)
    return found if found is not None else values[0] if len(values) == 1 else values


def _numbers(recorded: Mapping[str, Any]) -> Any:
    values = np.asarray(recorded["values"])
    levels = recorded.get("levels")
    if levels is not None:
        codes = np.where(values < 0, 0, values) if values.dtype.kind == "i" else values
        return Factor(np.nan_to_num(codes.ravel()), [str(each) for each in levels])
    if recorded.get("dim"):
        return values.reshape([int(each) for each in recorded["dim"]], order="F")
    values = values.ravel()
    found = _named(recorded, values.tolist())
    if found is not None:
        return found
    return values[0].item() if values.size == 1 else values
