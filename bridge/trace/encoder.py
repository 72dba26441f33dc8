"""Python objects as values of a capsule, in the process where they live; strangers' objects too."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import types
import weakref
from typing import Any, Final

import numpy as np

from bridge.trace.r_functions import handle_of, r_function, signature_of
from bridge.trace.spool import SpoolWriter

_MISSING: Final = object()
#: How Python itself reads a class: a metaclass may have properties of these names.
_NAME, _QUALNAME, _MODULE = (
    type.__dict__[name].__get__ for name in ("__name__", "__qualname__", "__module__")
)


def attribute(item: Any, name: str, default: Any = None) -> Any:
    """Return an attribute, or ``default`` where it cannot be read."""
    try:
        return getattr(item, name, default)
    except Exception:  # a property or __getattr__ of a stranger's
        return default


def has_attribute(item: Any, name: str) -> bool:
    """Say whether an attribute can be read."""
    return attribute(item, name, _MISSING) is not _MISSING


def is_instance(item: Any, kinds: Any) -> bool:
    """Say whether ``item`` is, or says that it is, one of ``kinds``."""
    try:
        return isinstance(item, kinds)
    except Exception:
        # What it is counts where it does not tell what it says that it is.
        return issubclass(type(item), kinds)


def error_text(error: BaseException) -> str:
    """Return the message of an exception, or what stands for it where it has none to give."""
    try:
        return str(error)
    except Exception as raised:  # a stranger's __str__
        return f"<its message could not be read: str() raised {type(raised).__name__}>"


def qualified(kind: type) -> str:
    """Return ``module:qualname``, whatever a metaclass would answer."""
    return f"{_MODULE(kind)}:{_QUALNAME(kind)}"


def class_name(item: Any) -> str:
    """Return the name of an object's class, whatever a metaclass would answer."""
    return str(_NAME(type(item)))


# Python objects as :data:`bridge.capsule.Value` data, in the process where they live.

Data = dict[str, Any]

_MAX_DEPTH: Final = 24
_MAX_ITEMS: Final = 10_000


class Encoder:
    """Turns objects into data; arrays go to the spool."""

    def __init__(self, spool: SpoolWriter) -> None:
        self._spool = spool
        self._count = 0
        self._numbers: dict[int, int] = {}
        self._kept: list[object] = []

    def number(self, item: object) -> int:
        """Return the number of ``item``; the same object has the same number."""
        found = self._numbers.get(id(item))
        if found is not None:
            return found
        self._count += 1
        self._numbers[id(item)] = self._count
        try:
            weakref.finalize(item, self._numbers.pop, id(item), None).atexit = False
        except TypeError:
            # It cannot say when it dies, so it must not die: its id could be used again.
            self._kept.append(item)
        return self._count

    def handle_number(self, handle: object, function: object | None = None) -> int:
        """Return the number of an R function, by what its wrappers hold of it.

        ``function`` is the wrapper, with which what it holds dies.
        """
        found = self._numbers.get(id(handle))
        if found is not None:
            return found
        self._count += 1
        self._numbers[id(handle)] = self._count
        if function is None:
            self._kept.append(handle)
        else:
            weakref.finalize(function, self._numbers.pop, id(handle), None).atexit = False
        return self._count

    def array(self, name: str, item: Any) -> Data:
        """Describe ``item``, an array or tensor, as a named array of the capsule."""
        values = to_numpy(item)
        key, _ = self._spool.array(values)
        return {
            "name": name,
            "key": key,
            "dtype": values.dtype.name,
            "shape": list(values.shape),
        }

    def value(self, item: Any, depth: int = 0) -> Data:
        """Describe any object; whatever it does when it is looked at, nothing is raised."""
        try:
            return self._value(item, depth)
        except Exception as error:
            # A stranger's code may have run, as that of a dict which cannot be walked through.
            text = f"{class_name(item)}, which raised {class_name(error)} when it was looked at"
            return {"t": "opaque", "text": text, "id": self.number(item)}

    def _value(self, item: Any, depth: int) -> Data:
        scalar = _scalar(item)
        if scalar is not None:
            return scalar
        if is_instance(item, (np.ndarray, np.generic)):
            return self._array(np.asarray(item), "array", None)
        if depth >= _MAX_DEPTH:
            return {"t": "opaque", "text": "nested too deep to record"}
        if is_instance(item, (list, tuple, set, frozenset, dict)):
            return self._container(item, depth)
        if is_instance(item, slice):
            parts = (self.value(part, depth + 1) for part in (item.start, item.stop, item.step))
            return dict(zip(("t", "start", "stop", "step"), ("slice", *parts), strict=True))
        if _is_tensor(item):
            return self._tensor(item)
        return self._reference(item, depth)

    def _container(self, item: Any, depth: int) -> Data:
        if len(item) > _MAX_ITEMS:
            return {"t": "opaque", "text": f"{class_name(item)} of {len(item)} items"}
        if is_instance(item, dict):
            pairs = [
                [self.value(key, depth + 1), self.value(value, depth + 1)]
                for key, value in item.items()
            ]
            return {"t": "dict", "items": pairs}
        kind = "tuple" if is_instance(item, tuple) else "list" if is_instance(item, list) else "set"
        return {"t": kind, "items": [self.value(part, depth + 1) for part in item]}

    def _tensor(self, item: Any) -> Data:
        number = self.number(item)
        kind = "variable" if has_attribute(type(item), "assign") else "tensor"
        try:
            return self._array(to_numpy(item), kind, number)
        except Exception:
            # A symbolic tensor has no elements; it is known by its number alone.
            return {"t": "object", "id": number, "cls": qualified(type(item))}

    def _array(self, values: np.ndarray[Any, Any], kind: str, number: int | None) -> Data:
        flags = values.flags
        order = ("C" if flags.c_contiguous else "") + ("F" if flags.f_contiguous else "")
        key, digest = self._spool.array(values)
        return {
            "t": kind,
            "dtype": values.dtype.name,
            "shape": list(values.shape),
            "order": order,
            "key": key,
            "id": number,
            "digest": digest or None,
        }

    def _reference(self, item: Any, depth: int) -> Data:
        wrapped = r_function(item)
        if wrapped is not None:
            return self._closure(item, *wrapped, depth)
        if is_instance(item, types.MethodType) or _is_builtin_method(item):
            owner = self.value(item.__self__, depth + 1)
            found_in = _found_in(item)
            of = {} if found_in is None else {"of": self.value(found_in, depth + 1)}
            return {"t": "method", "owner": owner, "name": item.__name__, **of}
        if is_instance(item, functools.partial) or not callable(item):
            path = _dtype_path(item) or (item.__name__ if _is_module(item) else None)
        else:
            path = importable(item)
        if path is not None:
            return {"t": "symbol", "path": path, "public": public_path(item)}
        if type(item) is types.GeneratorType:
            return self._generator(item, depth)
        if isinstance(item, type) and id(item) not in self._numbers:
            return self._class(item, depth)
        return {"t": "object", "id": self.number(item), "cls": qualified(type(item))}

    def _closure(
        self, item: types.FunctionType, inner: types.FunctionType, passing: str, depth: int
    ) -> Data:
        found = signature_of(item, inner)
        parameters = None if found is None else [
            {
                "name": parameter.name,
                "kind": _KINDS[parameter.kind],
                "default": None
                if parameter.default is parameter.empty
                else self.value(parameter.default, depth + 1),
            }
            for parameter in found.parameters.values()
        ]  # fmt: skip
        return {
            "t": "closure",
            "id": self.handle_number(handle_of(inner), inner),
            "name": str(attribute(item, "__name__", "")),
            "module": str(attribute(item, "__module__", "") or ""),
            "parameters": parameters,
            "spelled": parameters is not None and "__signature__" not in vars(item),
            "passing": passing,
        }

    def _class(self, item: type, depth: int) -> Data:
        """Describe a class that cannot be imported; from then on its number stands for it."""
        number = self.number(item)
        members = [
            [name, self._member(value, depth + 1)]
            for name, value in vars(item).items()
            if name not in _OF_EVERY_CLASS
        ]
        return {
            "t": "class",
            "id": number,
            "name": str(_NAME(item)),
            "module": str(_MODULE(item)),
            "bases": [self.value(base, depth + 1) for base in item.__bases__],
            "members": members,
        }

    def _member(self, value: Any, depth: int) -> Data:
        if type(value) is property:
            functions: list[Any] = [value.fget, value.fset]
        elif type(value) in (staticmethod, classmethod):
            functions = [value.__func__]
        else:
            return self.value(value, depth)
        given = [
            None if function is None else self.value(function, depth) for function in functions
        ]
        return {"t": "descriptor", "kind": type(value).__name__, "functions": given}

    def _generator(self, item: types.GeneratorType[Any, Any, Any], depth: int) -> Data:
        """Describe a generator that only hands on what a generator of R's gives."""
        held = [] if item.gi_frame is None else list(item.gi_frame.f_locals.values())
        number = self.number(item)
        if len(held) == 1 and type(held[0]).__module__ == "rpytools.generator":
            return {"t": "generator", "id": number, "source": self.value(held[0], depth + 1)}
        return {"t": "object", "id": number, "cls": qualified(type(item))}


_KINDS: Final = {
    inspect.Parameter.POSITIONAL_ONLY: "positional-only",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "any",
    inspect.Parameter.VAR_POSITIONAL: "rest",
    inspect.Parameter.KEYWORD_ONLY: "keyword",
    inspect.Parameter.VAR_KEYWORD: "keywords",
}
_OF_EVERY_CLASS: Final = frozenset(
    {"__dict__", "__weakref__", "__abstractmethods__", "_abc_impl", "__module__", "__parameters__"}
)


def _found_in(method: Any) -> type | None:
    """Return the class that a method is of, where its object's class has another of that name."""
    function, name = attribute(method, "__func__"), method.__name__
    if function is None or isinstance(method.__self__, type):
        return None
    classes = type(method.__self__).__mro__
    there = [kind for kind in classes if name in vars(kind)]
    if not there or vars(there[0])[name] is function:
        return None
    return next((kind for kind in there if vars(kind)[name] is function), None)


def _scalar(item: Any) -> Data | None:
    kind = type(item)
    if item is None:
        return {"t": "none"}
    if kind in (bool, int, float, complex):
        return {"t": kind.__name__, "v": repr(item)}
    if kind is str:
        return {"t": "str", "v": item}
    if kind in (bytes, bytearray):
        return {"t": "bytes", "v": bytes(item).hex()}
    if item is Ellipsis:
        return {"t": "ellipsis"}
    return None


def _is_builtin_method(item: Any) -> bool:
    if not is_instance(item, types.BuiltinMethodType):
        return False
    return item.__self__ is not None and not _is_module(item.__self__)


def _is_module(item: Any) -> bool:
    return is_instance(item, types.ModuleType)


def _is_tensor(item: Any) -> bool:
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None:
        return False
    # Asked of the class: an object of a stranger's may do anything where it is asked itself.
    return is_instance(item, (tensorflow.Tensor, tensorflow.Variable)) or all(
        has_attribute(type(item), name) for name in ("assign", "numpy", "dtype")
    )


def to_numpy(item: Any) -> np.ndarray[Any, Any]:
    """Return the elements of an array, tensor or number, without changing their type."""
    if is_instance(item, np.ndarray):
        return np.asarray(item)
    method = attribute(item, "numpy")
    return np.asarray(method() if callable(method) else item)


def importable(item: Any) -> str | None:
    """Return ``module:qualname`` if importing that gives this very object, else None."""
    module = attribute(item, "__module__")
    name = attribute(item, "__qualname__")
    if type(module) is not str or type(name) is not str or "<" in name:
        return None
    return f"{module}:{name}" if resolve(f"{module}:{name}") is item else None


def resolve(path: str) -> Any:
    """Return what ``module:qualname`` names, or None."""
    module, _, name = path.partition(":")
    try:
        found: Any = sys.modules.get(module) or importlib.import_module(module)
        for part in name.split(".") if name else ():
            found = getattr(found, part)
    except Exception:  # importing a module, or asking one for a name, runs its code
        return None
    return found


def _dtype_path(item: Any) -> str | None:
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and is_instance(item, tensorflow.DType):
        name = str(item.name)
        return f"tensorflow:{name}" if getattr(tensorflow, name, None) == item else None
    return None


def public_path(item: Any) -> str:
    """Return the documented spelling of a Keras or TensorFlow symbol, for people.

    Keras and TensorFlow note the names that they export on the objects themselves.
    """
    if _is_module(item):
        name: str = item.__name__
        return name.replace(".api.", ".").replace(".api", "").replace("._v2", "")
    dtype = _dtype_path(item)
    if dtype is not None:
        return dtype.replace("tensorflow:", "tf.")
    bare = inspect.unwrap(item) if callable(item) else item
    own = (vars(bare) if hasattr(bare, "__dict__") else {}) | (
        vars(item) if hasattr(item, "__dict__") else {}
    )
    names = own.get("_keras_api_names") or own.get("_api_export_path")
    if names:
        listed = [names] if isinstance(names, str) else list(names)
        return min(listed, key=lambda name: (len(name.split(".")), len(name)))
    names = own.get("_tf_api_names")
    if names:
        return f"tf.{min(names, key=len)}"
    return _documented(item)


def _documented(item: Any) -> str:
    """Guess the documented path from the private one, and believe it only if it leads there."""
    module = getattr(item, "__module__", "") or ""
    name = getattr(item, "__qualname__", "")
    parts = [part for part in module.split(".") if part not in ("src", "python")]
    for count in range(len(parts), 0, -1):
        found: Any = sys.modules.get(parts[0])
        for part in (*parts[1:count], *name.split(".")):
            found = getattr(found, part, None)
        if found is item:
            path = ".".join((*parts[:count], name))
            return path.replace("tf_keras.", "keras.", 1).replace("tensorflow.", "tf.", 1)
    return f"{module}.{name}" if module else ""
