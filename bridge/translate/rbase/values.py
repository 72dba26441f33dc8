"""R's values in Python: what stands for what, and how one becomes the other.

A number of length one is a Python number, a vector a one-dimensional NumPy array (float64, int32 or
bool), a vector of strings a Python list, a matrix an array with R's indices, ``NULL`` is None, a
list is a list or, where it has names, a dict. What comes from Keras or TensorFlow stays what it is.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from bridge.errors import BridgeError

NA: Final = math.nan
#: An index that was left empty: ``x[, 1]``.
ALL: Final = slice(None)


#: Hears where something is read otherwise than R's rules have it (the kind, the cause, and what),
#: and says whether it is to be.
read_otherwise: Callable[[str, str, str], bool] | None = None


#: The same for a place that only looks as if it were read otherwise: says whether it looked so
#: before.
seen_before: Callable[[str, bool], bool] | None = None


def is_otherwise(kind: str, cause: str, what: str) -> bool:
    """Say whether something is read otherwise than R's rules have it."""
    return read_otherwise is None or read_otherwise(kind, cause, what)


class GapError(BridgeError):
    """Something that was not translated was reached; the message names the file and the line."""


class Missing:
    """Stands for a value that was not translated; whatever uses it is not done either."""

    def __init__(self, why: str) -> None:
        object.__setattr__(self, "_why", why)

    def _reached(self, *_: Any, **__: Any) -> Any:
        raise GapError(object.__getattribute__(self, "_why"))

    def __getattr__(self, name: str) -> Any:
        self._reached()

    __call__ = __getitem__ = __setattr__ = __setitem__ = __iter__ = __len__ = _reached
    __bool__ = __float__ = __int__ = __index__ = __contains__ = __array__ = _reached
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = _reached
    __rtruediv__ = __pow__ = __rpow__ = __neg__ = __matmul__ = __rmatmul__ = _reached
    __lt__ = __le__ = __gt__ = __ge__ = _reached


class Named(dict[str, Any]):
    """A vector whose elements have names."""


class Frame(dict[str, Any]):
    """A data frame: columns by name, in order."""


class Classed(dict[str, Any]):
    """A list with a class of the script's own: methods of the script's are found by it."""

    classes: tuple[str, ...] = ()


class Factor:
    """A factor: ``codes`` count levels from 1, as R shows them; 0 is a missing one."""

    def __init__(self, codes: Any, levels: Sequence[str]) -> None:
        self.codes = np.asarray(codes, np.int32)
        self.levels = list(levels)

    def __len__(self) -> int:
        return len(self.codes)

    def __array__(self, dtype: Any = None) -> Any:
        """As data, the classes counted from 0: what Keras calls sparse labels."""
        return np.asarray(self.codes - 1, dtype or np.int32)

    @property
    def text(self) -> list[str]:
        """The level of every element."""
        return [self.levels[code - 1] if code > 0 else "NA" for code in self.codes]


def is_number(x: Any) -> bool:
    """Say whether ``x`` is one number."""
    return isinstance(x, (bool, int, float, complex, np.number, np.bool_))


def is_foreign(x: Any) -> bool:
    """Say whether ``x`` is an object of Python's own: a tensor, a layer, a model."""
    known = (bool, int, float, complex, str, bytes, np.ndarray, np.generic, list, tuple, dict,
             Factor)  # fmt: skip
    return x is not None and not isinstance(x, known)


def vector(x: Any) -> Any:
    """Return the elements of a value as a one-dimensional array, in R's order (by columns)."""
    if isinstance(x, Missing):
        x.__len__()
    if x is None:
        return np.zeros(0)
    if isinstance(x, Factor):
        return x.codes
    if isinstance(x, Frame):
        return np.concatenate([vector(value) for value in x.values()])
    if isinstance(x, dict):
        return vector(list(x.values()))
    if isinstance(x, str):
        return np.array([x], object)
    if isinstance(x, (list, tuple)):
        if any(isinstance(item, str) for item in x):
            return np.array([item if isinstance(item, str) else show(item) for item in x], object)
        if not x:
            return np.zeros(0)
        return np.concatenate([vector(item) for item in x])
    found = np.asarray(x)
    if found.dtype.kind == "f" and found.dtype != np.float64:
        found = found.astype(np.float64)
    elif found.dtype.kind in "iu" and found.dtype != np.int32:
        small = found.size == 0 or (abs(found.max()) < 2**31 and abs(found.min()) < 2**31)
        found = found.astype(np.int32 if small else np.float64)
    return found.ravel(order="F")


def array(x: Any) -> Any:
    """Return a value as an array of at least one dimension, with its dimensions.

    What comes back from Python is double in R, so that is what it is here.
    """
    if isinstance(x, Frame):
        return np.stack([vector(column) for column in x.values()], axis=1)
    if isinstance(x, np.ndarray) or hasattr(x, "__array__") or hasattr(x, "numpy"):
        found = np.asarray(x.numpy() if hasattr(x, "numpy") else x)
        if isinstance(x, Factor):
            return x.codes
        if found.dtype.kind == "f" and found.dtype != np.float64:
            found = found.astype(np.float64)
        return found if found.ndim else found.reshape(1)
    return vector(x)


def back(x: Any) -> Any:
    """Return what Python made as R has it: doubles, and numbers instead of arrays of none."""
    if isinstance(x, (list, tuple)):
        found = [back(item) for item in x]
        if found and all(is_number(item) for item in found):
            return np.array(found)
        return found
    if isinstance(x, dict):
        return {str(key): back(value) for key, value in x.items()}
    if isinstance(x, np.generic):
        return x.item()
    return array(x) if isinstance(x, np.ndarray) else x


def simple(x: Any) -> Any:
    """Return an array of one element and no dimensions of its own as that element."""
    if isinstance(x, np.ndarray) and x.ndim == 0:
        return x.item()
    if isinstance(x, np.ndarray) and x.ndim == 1 and x.dtype == object:
        return str(x[0]) if len(x) == 1 else [str(item) for item in x]
    return x.item() if isinstance(x, np.generic) else x


def scalar(x: Any) -> Any:
    """Return the one element of a vector of length one; anything else as it is."""
    if isinstance(x, Named) and len(x) == 1:
        return next(iter(x.values()))
    if isinstance(x, np.ndarray) and x.size == 1 and x.ndim <= 1:
        return x.item()
    if isinstance(x, list) and len(x) == 1 and isinstance(x[0], str):
        return x[0]
    return simple(x)


def whole(x: Any) -> Any:
    """Return a number that is whole as an int: ``64.0`` units are 64 units; 3.7 stays 3.7."""
    if isinstance(x, (list, tuple)):
        return type(x)(whole(item) for item in x)
    if isinstance(x, np.ndarray) and x.dtype.kind in "fiub" and x.ndim <= 1:
        return [whole(item) for item in x.tolist()] if x.ndim else whole(x.item())
    if isinstance(x, np.generic):
        x = x.item()
    if isinstance(x, float) and math.isnan(x):
        return None
    return int(x) if isinstance(x, float) and x.is_integer() else x


def axis(x: Any) -> Any:
    """Return an axis, or several, that are counted from 1 as Python counts; -1 is the last."""
    if isinstance(x, (list, tuple)):
        return [axis(item) for item in x]
    return x - 1 if is_number(x) and x > 0 else x


def sizes(x: Any) -> Any:
    """Return a shape: whole numbers as ints, a missing one as None."""
    found = whole(x)
    return tuple(found) if isinstance(found, list) else (found,) if is_number(found) else found


def data(x: Any) -> Any:
    """Return data as Keras takes it: a number is an array of one, a data frame a matrix."""
    if isinstance(x, Frame):
        return array(x)
    if isinstance(x, Named):
        return vector(x)
    if isinstance(x, Factor):
        return np.asarray(x)
    if is_number(x):
        return np.array([x])
    return batches(x) if isinstance(x, types.FunctionType) else x


def batches(function: Callable[[], Any]) -> Iterator[Any]:
    """Yield what a function gives, call by call, until that is NULL: a generator of R's."""
    while (batch := function()) is not None:
        yield tuple(_arrays(part) for part in batch) if isinstance(batch, (list, tuple)) else batch


def _arrays(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return tuple(_arrays(item) for item in x)
    if isinstance(x, dict) and not isinstance(x, (Named, Frame)):
        return {key: _arrays(item) for key, item in x.items()}
    return data(x)


def weights(x: Any) -> Any:
    """Return a list of weights as arrays; a number is an array of one."""
    return [data(weight) for weight in x] if isinstance(x, (list, tuple)) else x


def class_weight(x: Any) -> Any:
    """Return weights of classes by the class's number, counted from 0."""
    if x is None:
        return None
    if isinstance(x, dict):
        return {int(key): float(value) for key, value in x.items()}
    return {place: float(value) for place, value in enumerate(vector(x))}


def gap(why: str, *_: Any) -> Any:
    """Say that something was reached that is not translated; ``why`` names the file and the line.

    Raises:
        GapError: always.
    """
    raise GapError(why)


def show(x: Any) -> str:
    """Return a number as R prints it, to seven digits."""
    if isinstance(x, (bool, np.bool_)):
        return "TRUE" if x else "FALSE"
    if isinstance(x, (int, np.integer)):
        return str(int(x))
    if isinstance(x, (float, np.floating)):
        if math.isnan(x):
            return "NaN"
        if math.isinf(x):
            return "Inf" if x > 0 else "-Inf"
        text = f"{float(x):.7g}"
        return text.replace("e+0", "e+0")
    if x is None:
        return "NULL"
    return str(x)


def items(x: Any) -> list[Any]:
    """Return what a loop over a value goes through."""
    if isinstance(x, Missing):
        len(x)
    if x is None:
        return []
    if isinstance(x, dict):
        return list(x.values())
    if isinstance(x, (list, tuple)):
        return list(x)
    if isinstance(x, Factor):
        return x.text
    if is_foreign(x) and not hasattr(x, "dtype"):
        return list(x)
    return [value.item() if isinstance(value, np.generic) else value for value in vector(x)]


def factor(x: Any, levels: Any = None, labels: Any = None) -> Factor:
    """``factor(x)``: levels in the order of the alphabet, or as given."""
    if isinstance(x, Factor):
        x = x.text
    elements = vector(x)
    found = sorted(set(elements.tolist())) if levels is None else vector(levels).tolist()
    places = {value: place for place, value in enumerate(found, start=1)}
    names = [show(level) for level in found] if labels is None else [
        str(label) for label in vector(labels)]  # fmt: skip
    return Factor([places.get(item, 0) for item in elements.tolist()], names)


def levels(x: Any) -> Any:
    return list(x.levels) if isinstance(x, Factor) else None


def nlevels(x: Any) -> Any:
    return len(x.levels)


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
    items = [_part(item) for item in recorded["items"]]
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
            [item] if isinstance(item, str) else np.array([item]) if is_number(item) else item
            for item in items
        ]
    result = kind(zip(names, items, strict=True))
    if isinstance(result, Classed):
        result.classes = classes
    return result


def _named(recorded: Mapping[str, Any], values: list[Any]) -> Any | None:
    names = recorded.get("names")
    if not names or len(set(names)) < len(names):
        return None
    return Named(zip(names, values, strict=True))


def _text(recorded: Mapping[str, Any]) -> Any:
    values = [str(value) for value in recorded["values"]]
    if recorded.get("dim"):
        return np.array(values, object).reshape(recorded["dim"], order="F")
    found = _named(recorded, values)
    return found if found is not None else values[0] if len(values) == 1 else values


def _numbers(recorded: Mapping[str, Any]) -> Any:
    values = np.asarray(recorded["values"])
    levels = recorded.get("levels")
    if levels is not None:
        codes = np.where(values < 0, 0, values) if values.dtype.kind == "i" else values
        return Factor(np.nan_to_num(codes.ravel()), [str(level) for level in levels])
    if recorded.get("dim"):
        return values.reshape([int(size) for size in recorded["dim"]], order="F")
    values = values.ravel()
    found = _named(recorded, values.tolist())
    if found is not None:
        return found
    return values[0].item() if values.size == 1 else values
