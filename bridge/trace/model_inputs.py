"""What a model was fed, put together again from the recorded arrays and their names.

The watcher names what a call was given by where it found it: ``x``, ``x[0]``, ``x['a']``. Read
backwards, the names give the lists and dicts that the arrays came in.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from bridge._typing import AnyArray

_PART: Final = re.compile(r"\[((?:\d+)|(?:'(?:[^'\\]|\\.)*')|(?:\"(?:[^\"\\]|\\.)*\"))\]")

Path = tuple[int | str, ...]


def leaves(name: str, item: Any) -> Iterator[tuple[str, Any]]:
    """Yield the arrays in lists and dicts, each with the name that says where it stands."""
    if isinstance(item, dict):
        for key, value in item.items():
            yield from leaves(f"{name}[{key!r}]", value)
    elif isinstance(item, (list, tuple)) and not all(isinstance(v, (int, float)) for v in item):
        for index, value in enumerate(item):
            yield from leaves(f"{name}[{index}]", value)
    elif item is not None:
        yield name, item


def path_of(name: str) -> Path | None:
    """Return where an array stood: ``x['a'][0]`` is ``("a", 0)``; None if it cannot be read."""
    rest = name[1:]
    found: list[int | str] = []
    while rest:
        match = _PART.match(rest)
        if match is None:
            return None
        found.append(ast.literal_eval(match[1]))
        rest = rest[match.end() :]
    return tuple(found)


def assemble(named: Sequence[tuple[str, Any]]) -> Any:
    """Return the lists and dicts whose leaves have these names.

    Raises:
        ValueError: the names do not say how the leaves belong together.
    """
    placed: list[tuple[Path, Any]] = []
    for name, leaf in named:
        path = path_of(name)
        if path is None:
            raise ValueError(f"how {name} was given to the model was not recorded")
        placed.append((path, leaf))
    return _nested(placed)


def _nested(placed: Sequence[tuple[Path, Any]]) -> Any:
    if len(placed) == 1 and not placed[0][0]:
        return placed[0][1]
    groups: dict[int | str, list[tuple[Path, Any]]] = {}
    for path, leaf in placed:
        if not path:
            raise ValueError("an array and a list have the same name")
        groups.setdefault(path[0], []).append((path[1:], leaf))
    parts = {key: _nested(inner) for key, inner in groups.items()}
    if all(isinstance(key, str) for key in parts):
        return parts
    if sorted(parts, key=str) != sorted(range(len(parts)), key=str):
        raise ValueError("not everything that the model was given was recorded")
    return [parts[number] for number in range(len(parts))]


def as_fed(x: AnyArray, wanted: str) -> AnyArray:
    """Return an input as ``predict`` hands it on: R's doubles become Keras' own float type.

    That type is not recorded; the type of the model's input is the same where it is a float.
    """
    if x.dtype.kind != "f":
        return x
    dtype = np.dtype(wanted) if wanted in ("float32", "float64") else np.dtype(np.float32)
    # A double beyond float32's range becomes infinite, in Keras as here.
    with np.errstate(over="ignore"):
        return x.astype(dtype)


def batches(named: Sequence[tuple[str, AnyArray]], rows: int) -> Iterator[list[tuple[str, Any]]]:
    """Cut the arrays into batches of so many rows; one batch if there are no more rows than that.

    Raises:
        ValueError: the arrays have no rows, or not all the same number of them.
    """
    counts = {x.shape[0] if x.ndim else -1 for _, x in named}
    if len(counts) != 1 or -1 in counts:
        raise ValueError("the arrays that the model was given have unlike numbers of rows")
    (count,) = counts
    for start in range(0, max(1, count), rows):
        yield [(name, x[start : start + rows]) for name, x in named]
