"""What crosses from R into Python, written down as the files in tests/data/golden have it.

Imported by R (see driver.R) in the process that runs the script. A callable is named by its public
path; values of small arrays and tensors are kept, everything else by its kind.
"""

from __future__ import annotations

import inspect
import json
import math
import sys
import types
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

_PATHS: dict[int, list[str]] = {}
_KEPT: list[object] = []  # so that no identity is used twice

#: Questions that a package asks on the way; they are no part of what the script asked for.
_HELPERS: Final = frozenset(
    {"is_tensor", "is_keras_tensor", "floatx", "image_data_format", "standardize_dtype"}
    | {"is_tf_type", "as_list"}
)
_QUESTIONS: Final = frozenset(
    {"keras.ops.dtype", "keras.ops.shape", "keras.ops.convert_to_tensor"}
    | {"keras.backend.is_int_dtype", "keras.backend.shape", "keras.backend.dtype"}
    | {"keras.backend.standardize_dtype", "tensorflow.convert_to_tensor", "tensorflow.as_dtype"}
)
_BACKEND_HELPERS: Final = frozenset({"floatx", "backend", "image_data_format", "epsilon"})

#: The largest array of which the values are written down.
_LARGEST = 64


def setup(package: str) -> int:
    """Learn the public paths of Keras, as ``package`` reaches it, and of TensorFlow."""
    import tensorflow as tf

    if package == "keras":
        _walk(tf.keras, "keras", 4)
        _walk(sys.modules["tf_keras"], "keras", 4)
    else:
        import keras

        _walk(keras, "keras", 4, skip=("src",))
    private = ("keras", "compat", "python", "core", "estimator", "tools", "v1", "v2", "raw_ops")
    _walk(tf, "tensorflow", 3, skip=private)
    return len(_PATHS)


def _walk(root: types.ModuleType, name: str, depth: int, skip: tuple[str, ...] = ()) -> None:
    seen: set[int] = set()

    def members(module: types.ModuleType) -> Iterator[tuple[str, Any]]:
        for key in sorted(dir(module)):
            if not key.startswith("_") and key not in skip:
                try:
                    yield key, getattr(module, key)
                except Exception:  # a lazy module may fail in any way
                    continue

    def go(module: types.ModuleType, path: str, left: int) -> None:
        if id(module) in seen or left < 0:
            return
        seen.add(id(module))
        for key, value in members(module):
            here = f"{path}.{key}"
            if isinstance(value, types.ModuleType):
                known = value.__name__.split(".")[0] in ("tf_keras", "keras", "tensorflow")
                if known and ".src" not in here:
                    go(value, here, left - 1)
            elif callable(value):
                _PATHS.setdefault(id(value), []).append(here)
                _KEPT.append(value)

    go(root, name, depth)


def _preference(path: str) -> tuple[object, ...]:
    old = ".legacy." in path, ".experimental." in path
    return (*old, "preprocessing" in path, not path.startswith("keras"), path.count("."), len(path))


def path_of(x: Any) -> str:
    """Return the public path of a callable; of a bound method, its class and name."""
    if paths := _PATHS.get(id(x)):
        name = getattr(x, "__name__", "")
        return min(
            set(paths),
            key=lambda p: (
                not p.startswith("keras."),
                p.rpartition(".")[2] != name,
                *_preference(p),
                p,
            ),
        )
    owner = getattr(x, "__self__", None)
    if inspect.ismethod(x) or (owner is not None and not isinstance(owner, types.ModuleType)):
        if isinstance(owner, type):
            return f"{path_of(owner)}.{x.__name__}"
        return f"{_class_path(type(owner))}.{getattr(x, '__name__', '?')}"
    if type(x).__name__ in ("_ArrayFunctionDispatcher", "ufunc"):
        return f"numpy.{x.__name__}"
    if isinstance(x, type) or inspect.isfunction(x) or inspect.isbuiltin(x):
        return f"{x.__module__ or 'builtins'}.{x.__qualname__}"
    return f"{_class_path(type(x))}.__call__"


def _class_path(cls: type) -> str:
    for base in cls.__mro__:
        if paths := _PATHS.get(id(base)):
            own = base.__name__
            return min(set(paths), key=lambda p: (p.rpartition(".")[2] != own, *_preference(p), p))
    return f"{cls.__module__}.{cls.__qualname__}"


def counts(x: Any) -> bool:
    """Whether a call is one that the script asked for, and no question on the way."""
    path = path_of(x)
    owner = getattr(x, "__self__", None)
    inner = type(owner if owner is not None and not isinstance(owner, types.ModuleType) else x)
    if "KerasTensor" in path or path.startswith("keras.Variable"):
        return False
    if (not isinstance(x, type) and not inspect.isroutine(x)) or inspect.ismethod(x):
        public = any(_PATHS.get(id(base)) for base in inner.__mro__)
        top = next((_class_path(b) for b in inner.__mro__ if _PATHS.get(id(b))), "")
        if not public or top.startswith("tensorflow"):
            return False
    if not path.startswith(("keras.", "tensorflow.")) or path.startswith("tensorflow.python."):
        return False
    if path.startswith("tensorflow.experimental.numpy."):
        return False  # how TensorFlow also names NumPy's own, of which reticulate asks
    base = path.rpartition(".")[2]
    if base in _HELPERS or path in _QUESTIONS or path.startswith("keras.config."):
        return False
    return not (path.startswith("keras.backend.") and base in _BACKEND_HELPERS)


def value(x: Any, depth: int = 0) -> Any:
    """Write a value as JSON can hold it."""
    kind = type(x)
    if x is None or kind in (bool, int, str):
        return x
    if kind is float:
        return x if math.isfinite(x) else {"float": repr(x)}
    if depth > 6:
        return {"object": "..."}
    if kind is list:
        return [value(a, depth + 1) for a in x]
    if kind is tuple:
        return {"tuple": [value(a, depth + 1) for a in x]}
    if kind is dict:
        return {"dict": [[value(k, depth + 1), value(a, depth + 1)] for k, a in x.items()]}
    if isinstance(x, np.ndarray):
        return {"ndarray": _array(x)}
    if isinstance(x, np.generic):
        return {"numpy": str(x.dtype), "value": x.item()}
    return _object(x)


def _array(x: Any) -> dict[str, Any]:
    order = ("C" if x.flags.c_contiguous else "") + ("F" if x.flags.f_contiguous else "")
    found = {"dtype": str(x.dtype), "shape": list(x.shape), "order": order or "-"}
    if x.size <= _LARGEST:
        found["values"] = [value(a) for a in x.ravel(order="C").tolist()]
    return found


def _object(x: Any) -> dict[str, Any]:
    import tensorflow as tf

    if _PATHS.get(id(x)):
        return {"public": path_of(x)}
    if isinstance(x, types.MethodType):
        return {"method": path_of(x)}
    if isinstance(x, types.FunctionType | types.BuiltinFunctionType):
        return {"function": x.__name__}
    if isinstance(x, type):
        return {"class": x.__name__}
    if isinstance(x, tf.TensorShape):
        return {"TensorShape": x.as_list() if x.rank is not None else None}
    if isinstance(x, tf.DType):
        return {"DType": x.name}
    if isinstance(x, tf.Tensor):
        return {"tensor": _tensor(x)}
    name = _class_path(type(x))
    if "KerasTensor" in name:
        dtype = getattr(x.dtype, "name", x.dtype)
        return {"keras_tensor": {"shape": list(x.shape), "dtype": dtype}}
    exact = _PATHS.get(id(type(x)))
    if not exact and any(_PATHS.get(id(base)) for base in type(x).__mro__):
        name += "*"
    if name.split(".")[0] not in ("keras", "tensorflow", "builtins"):
        name = type(x).__name__
    return {"object": name}


def _tensor(x: Any) -> dict[str, Any]:
    import tensorflow as tf

    known = x.shape.rank is not None
    found = {"dtype": x.dtype.name, "shape": x.shape.as_list() if known else None}
    count = x.shape.num_elements()
    if hasattr(x, "numpy") and count is not None and count <= _LARGEST and x.dtype != tf.string:
        found["values"] = [value(a) for a in x.numpy().ravel().tolist()]
    return found


def record(x: Any, /, *args: Any, **kwargs: Any) -> str:
    """Write a call as JSON; nothing for one that does not count."""
    if not counts(x):
        return ""
    return json.dumps(
        {
            "path": path_of(x),
            "args": [value(a) for a in args],
            "kwargs": {name: value(a) for name, a in kwargs.items()},
        }
    )
