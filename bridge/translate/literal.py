"""Numbers and arrays as Python text that gives the same bits again."""

from __future__ import annotations

import math
from collections.abc import Sequence as Many
from typing import Any, Final

import ml_dtypes  # noqa: F401  (registers bfloat16 and the float8 types with NumPy)
import numpy as np

from bridge._typing import AnyArray
from bridge.capsule.values import Items, Scalar
from bridge.translate.expression import Apply, Expression, Sequence, Text

#: Arrays of more elements than this are kept beside the script: a reader does not read them.
MAX_INLINE: Final = 32

_BRACKETS: Final = {"list": ("[", "]"), "tuple": ("(", ")"), "set": ("{", "}")}
#: The types that NumPy has of its own; others are not written to .npz files as they are.
_NATIVE: Final = frozenset("biufc")


def number(value: Any) -> str:
    """Return the text of a number: a bool, int, float or complex."""
    if isinstance(value, complex):
        return f"complex({number(value.real)}, {number(value.imag)})"
    if isinstance(value, float) and not math.isfinite(value):
        return "np.nan" if math.isnan(value) else "np.inf" if value > 0 else "-np.inf"
    return repr(value)


def text(value: str) -> str:
    """Return a string as Python, in double quotes where that needs no escapes."""
    said = repr(value)
    return f'"{said[1:-1]}"' if said[0] == "'" and '"' not in said else said


def scalar(value: Scalar) -> str:
    """Return the text of a scalar that crossed the boundary.

    Raises:
        ValueError: it is not what it says it is.
    """
    match value.t:
        case "none":
            return "None"
        case "ellipsis":
            return "..."
        case "str":
            return text(value.v)
        case "bytes":
            return repr(bytes.fromhex(value.v))
        case "bool":
            return "True" if value.v == "True" else "False"
        case "int":
            return repr(int(value.v))
        case "float":
            return number(float(value.v))
    return number(complex(value.v))


def brackets(kind: str, items: tuple[Expression, ...]) -> Expression:
    """Return a list, tuple or set of these."""
    if kind == "set" and not items:
        return Text("set()")
    return Sequence(*_BRACKETS[kind], items)


def numbers(items: Items) -> AnyArray | None:
    """Return a long list of numbers of one kind as an array, whose ``tolist()`` it is."""
    kinds = {item.t if isinstance(item, Scalar) else "" for item in items.items}
    if len(items.items) <= MAX_INLINE or len(kinds) != 1:
        return None
    texts = [item.v for item in items.items if isinstance(item, Scalar)]
    match kinds.pop():
        case "float":
            return np.array([float(text) for text in texts], np.float64)
        case "bool":
            return np.array([text == "True" for text in texts])
        case "int":
            found = [int(text) for text in texts]
            return np.array(found, np.int64) if all(abs(each) < 2**63 for each in found) else None
    return None


def count_up(values: Many[Any]) -> str | None:
    """Return the ``start, stop, step`` of whole numbers that go up or down evenly."""
    if len(values) < 4:
        return None
    first, step = int(values[0]), int(values[1]) - int(values[0])
    if not step or list(values) != list(range(first, first + step * len(values), step)):
        return None
    stop = first + step * len(values)
    return f"{first}, {stop}" if step == 1 else f"{first}, {stop}, {step}"


def array(values: AnyArray, order: str = "") -> Expression | None:
    """Return an array as Python; None where it is too large, or its bits cannot be written."""
    kind = values.dtype.kind
    if kind not in _NATIVE or values.dtype.byteorder == ">":
        return None
    if _odd_nan(values):
        return None
    dtype = Text(text(values.dtype.name))
    fortran = (("order", Text('"F"')),) if order == "F" else ()
    if values.size > 4 and (same := _constant(values, dtype)) is not None:
        return Apply(same.function, same.args, (*same.kwargs, *fortran))
    if values.ndim == 1 and kind in "iu" and (span := count_up(values.tolist())):
        return Apply(Text("np.arange"), (Text(span),), (("dtype", dtype),))
    if not 0 < values.size <= MAX_INLINE or values.ndim > 4:
        return _empty(values, dtype) if values.size == 0 else None
    nested = values.tolist()
    default = _default_type(values)
    if kind == "f" and values.dtype.itemsize < 8:
        nested = _shortest(values)
    if np.array(nested, values.dtype).tobytes() != values.tobytes(order="C"):
        return None
    typed = () if default else (("dtype", dtype),)
    return Apply(Text("np.array"), (_nested(nested),), (*typed, *fortran))


def storable(values: AnyArray) -> tuple[AnyArray, str]:
    """Return what is put in a .npz file, and what restores it there ("" where nothing has to)."""
    if values.dtype.kind in _NATIVE:
        return values, ""
    raw = np.ascontiguousarray(values).view(np.dtype(f"u{values.dtype.itemsize}"))
    return raw, f".view(tf.{values.dtype.name}.as_numpy_dtype)"


def _odd_nan(values: AnyArray) -> bool:
    """Say whether there is a NaN with bits of its own, such as R's NA: it cannot be written."""
    if values.dtype.kind not in "fc" or not np.isnan(values).any():
        return False
    plain = np.where(np.isnan(values), np.array(np.nan, values.dtype), values)
    return values.dtype.kind == "c" or plain.tobytes() != values.tobytes()


def _constant(values: AnyArray, dtype: Text) -> Apply | None:
    first = values.reshape(-1)[:1]
    if values.tobytes() != np.broadcast_to(first, values.shape).tobytes():
        return None
    one = first[0].item()
    shape = Text(repr(values.shape if values.ndim != 1 else values.shape[0]))
    typed = () if values.dtype == np.float64 else (("dtype", dtype),)
    if first.tobytes() == np.zeros(1, values.dtype).tobytes():
        return Apply(Text("np.zeros"), (shape,), typed)
    if first.tobytes() == np.ones(1, values.dtype).tobytes():
        return Apply(Text("np.ones"), (shape,), typed)
    if np.array([one], values.dtype).tobytes() != first.tobytes():
        return None
    return Apply(Text("np.full"), (shape, Text(number(one))), (("dtype", dtype),))


def _empty(values: AnyArray, dtype: Text) -> Apply:
    return Apply(Text("np.zeros"), (Text(repr(values.shape)),), (("dtype", dtype),))


def _default_type(values: AnyArray) -> bool:
    """Say whether NumPy chooses this type by itself for such numbers."""
    return values.dtype in (np.float64, np.bool_) or values.dtype == np.int64


def _shortest(values: AnyArray) -> Any:
    """Numbers of a short type, with no more digits than it has."""
    flat = [float(str(each)) for each in values.reshape(-1)]
    return np.array(flat, np.float64).reshape(values.shape).tolist()


def _nested(item: Any) -> Expression:
    if isinstance(item, list):
        return Sequence("[", "]", tuple(_nested(each) for each in item))
    return Text(number(item))
