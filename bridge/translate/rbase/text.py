"""R's text: pasting, formatting and printing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bridge.translate.rbase.values import (
    Classed,
    Factor,
    Frame,
    is_foreign,
    is_number,
    items,
    show,
    vector,
)

# Parameters are R's own, also where they make no difference here.


def text_of(x: Any) -> str:
    """Return what ``cat()`` writes of a value."""
    if isinstance(x, str):
        return x
    if isinstance(x, (list, tuple, np.ndarray, Factor)):
        found = x.text if isinstance(x, Factor) else vector(x)
        return " ".join(value if isinstance(value, str) else show(value) for value in found)
    return show(x)


def texts_of(x: Any) -> list[str]:
    """Return what ``paste()`` makes of each element."""
    if isinstance(x, Factor):
        return x.text
    if isinstance(x, dict):
        return [text_of(value) for value in x.values()]
    if is_foreign(x):
        return [str(x)]
    if isinstance(x, (list, tuple)):
        return [text_of(value) for value in x]
    return [value if isinstance(value, str) else _long(value) for value in vector(x)]


def _long(x: Any) -> str:
    """Return a number as ``paste()`` writes it, to fifteen digits."""
    if isinstance(x, (float, np.floating)) and np.isfinite(x):
        return f"{float(x):.15g}"
    return show(x)


def tempfile(pattern: Any = "file", tmpdir: Any = None, fileext: Any = "") -> str:
    """``tempfile(...)``: a name that no file has yet, in the folder of the run."""
    import tempfile as own

    folder = own.mkdtemp(dir=".") if tmpdir is None else str(tmpdir)
    return str(Path(folder) / f"{pattern}0{fileext}")


def tempdir() -> str:
    """``tempdir()``: a folder of the run."""
    import tempfile as own

    return own.mkdtemp(dir=".")


def file_path(*parts: Any) -> str:
    return "/".join(str(part) for part in parts)


def file_exists(*names: Any) -> Any:
    found = [Path(str(name)).exists() for name in names]
    return found[0] if len(found) == 1 else np.array(found)


def paste(*parts: Any, sep: Any = " ", collapse: Any = None) -> Any:
    columns = [texts_of(part) for part in parts if part is not None]
    columns = [column for column in columns if column]
    size = max((len(column) for column in columns), default=0)
    found = [sep.join(column[n % len(column)] for column in columns) for n in range(size)]
    if collapse is not None:
        return str(collapse).join(found)
    return found[0] if len(found) == 1 else found


def paste0(*parts: Any, collapse: Any = None) -> Any:
    return paste(*parts, sep="", collapse=collapse)


def sprintf(form: Any, *args: Any) -> Any:
    columns = [
        items(argument) if not isinstance(argument, str) else [argument] for argument in args
    ]
    size = max([1, *(len(column) for column in columns)])
    found = []
    for n in range(size):
        given = [column[n % len(column)] for column in columns]
        kinds = re.findall(r"%[-+ 0#]*[\d*]*(?:\.\d+)?([diouxXeEfgGs%])", form)
        kinds = [kind for kind in kinds if kind != "%"]
        values = [int(v) if kind in "dioxX" else show(v) if kind == "s" and not isinstance(v, str)
                else v for kind, v in zip(kinds, given, strict=False)]  # fmt: skip
        found.append(form % tuple(values))
    return found[0] if len(found) == 1 else found


def format_(x: Any, digits: Any = 7, nsmall: Any = 0, **_: Any) -> Any:
    found = []
    for item in items(x):
        if isinstance(item, str):
            found.append(item)
            continue
        text = f"{item:.{int(digits)}g}" if isinstance(item, float) else show(item)
        places = len(text.partition(".")[2])
        if isinstance(item, float) and places < int(nsmall):
            text = f"{item:.{int(nsmall)}f}"
        found.append(text)
    return found[0] if len(found) == 1 else found


# Printing, and telling what was printed.

# Parameters are R's own, also where they make no difference here.
# ruff: noqa: ARG001, SIM101


#: Hears every number that is printed: the runner sets it to compare what R printed.
heard: Callable[[list[Any]], None] | None = None


def _numbers(x: Any) -> list[Any]:
    if x is None or isinstance(x, BaseException):
        return []
    if isinstance(x, str):
        return [x]
    if isinstance(x, (Frame, Classed)):
        # Tables are not compared, and what the script's own method prints is not this.
        return []
    if isinstance(x, dict) or isinstance(x, (list, tuple)):
        return [part for item in items(x) for part in _numbers(item)]
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
    hear(x)
    if isinstance(x, (np.ndarray, list)) and not is_foreign(x):
        print(np.array2string(np.asarray(x), precision=7) if isinstance(x, np.ndarray) else x)
    else:
        print(show(x) if is_number(x) or x is None else x)
    return x


def cat(*parts: Any, sep: Any = " ", fill: Any = None, file: Any = None) -> None:
    for part in parts:
        hear(part)
    print(str(sep).join(text_of(part) for part in parts), end="")


def shown(x: Any) -> Any:
    """What R prints by itself at the top of a script."""
    return x if x is None or is_foreign(x) else print_(x)
