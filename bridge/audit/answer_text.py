"""What arrived in Python as the coercion tables write it: one line of text for any value."""

from __future__ import annotations

import inspect
from typing import Any, Final

import numpy as np

#: Where Keras and TensorFlow keep the public names of what they export, and what precedes them.
_NAMES: Final = {"_keras_api_names": "", "_api_export_path": "", "_tf_api_names": "tensorflow."}
_MOST: Final = 64


def public_name(target: Any) -> str:
    """Return the public path of a callable; a method is named by the first class that has it."""
    owner = getattr(target, "__self__", None)
    if owner is not None and not isinstance(owner, type) and not inspect.ismodule(owner):
        name = target.__name__
        owners = [cls for cls in type(owner).__mro__ if _exported(cls) and hasattr(cls, name)]
        return f"{_exported(owners[-1])}.{name}" if owners else _private(target)
    return _exported(target) or _private(target)


def spell(value: Any) -> str:
    """Return a value as the tables write it: arrays with dtype, shape, order; objects by class."""
    if isinstance(value, np.ndarray):
        flags = value.flags
        order = {(True, True): "CF", (True, False): "C", (False, True): "F"}
        kept = order.get((flags.c_contiguous, flags.f_contiguous), "-")
        return f"ndarray({value.dtype}, {value.shape}, {kept}, {_numbers(value)})"
    if isinstance(value, np.generic):
        return f"numpy({value.dtype}, {value})"
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(map(spell, value))}]"
    if type(value) is tuple:
        return f"({', '.join(map(spell, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {spell(item)}' for key, item in value.items())}}}"
    return _object(value)


def _object(value: Any) -> str:
    name = type(value).__name__
    if name == "EagerTensor":
        return f"Tensor({value.dtype.name}, {tuple(value.shape)}, {_numbers(value.numpy())})"
    if name == "TensorShape":
        return str(value.as_list()).join(("TensorShape(", ")"))
    if name == "PyCapsule":
        return name
    if isinstance(value, type) or inspect.isroutine(value):
        exported = _exported(value)
        if exported:
            return f"@{exported}"
        return f"function {value.__name__}{_signature(value)}"
    public = next((each for each in type(value).__mro__ if _exported(each)), None)
    if public is None:
        return f"<{type(value).__module__}.{type(value).__qualname__}>"
    return f"<{_exported(public)}{'' if public is type(value) else '*'}>"


def _signature(function: Any) -> str:
    try:
        return str(inspect.signature(function))
    except (TypeError, ValueError):
        return "(?)"


def _numbers(array: np.ndarray[Any, Any]) -> str:
    if array.size > _MOST:
        return "..."
    return str(array.tolist())


def _exported(target: Any) -> str:
    """Return the shortest public name that an object itself has, "" if it has none.

    Of aliases (``MaxPool1D``) the one counts that the object itself is called by.
    """
    for attribute, before in _NAMES.items():
        # A subclass inherits the attribute, and is not what is exported under it.
        own = vars(target).get(attribute) if isinstance(target, type) else None
        names = own if isinstance(target, type) else getattr(target, attribute, None)
        if isinstance(names, str):
            names = (names,)
        if names:
            own_name = getattr(target, "__name__", "")
            return before + min(
                names, key=lambda name: (not name.endswith(f".{own_name}"), name.count("."), name)
            )
    return ""


def _private(target: Any) -> str:
    module = (getattr(target, "__module__", "") or "").partition(".")[0]
    return f"{module}.{getattr(target, '__qualname__', '')}"
