"""What an attribute that Python does not have may have been: where it is, and what is near."""

from __future__ import annotations

import difflib
import inspect
import sys
from typing import Any

from bridge.trace.encoder import public_path


def describe_missing(owner: Any, name: str) -> dict[str, Any]:
    """Describe, as data, what ``owner`` has in the place of an attribute that is not there."""
    bearer = owner if inspect.ismodule(owner) or inspect.isclass(owner) else type(owner)
    names = [each for each in dir(owner) if not each.startswith("_")]
    return {
        "owner": public_path(bearer),
        "name": name,
        "near": difflib.get_close_matches(name, names, n=1),
        "elsewhere": list(_in_old_tensorflow(owner, name)),
    }


def has_counterpart(keras: Any, cls: str, name: str) -> bool:
    """Say whether a class that is called as ``cls`` (``module:qualname``) has ``name`` in Keras.

    Looked up in what Keras has loaded; what its methods give ``self`` counts as well.
    """
    kind = cls.rpartition(":")[2]
    root = f"{keras.__name__}."
    found = {
        id(item): item
        for path, module in list(sys.modules.items())
        if path.startswith(root) and inspect.ismodule(module)
        if inspect.isclass(item := vars(module).get(kind)) and item.__module__.startswith(root)
    }
    return any(hasattr(item, name) or _is_given(item, name) for item in found.values())


def _is_given(kind: type, name: str) -> bool:
    """Say whether a method of a class writes an attribute of this name."""
    import dis

    return any(
        step.opname == "STORE_ATTR" and step.argval == name
        for part in kind.__mro__
        for method in vars(part).values()
        if inspect.isfunction(method)
        for step in dis.get_instructions(method)
    )


def _in_old_tensorflow(owner: Any, name: str) -> list[str]:
    """Return where TensorFlow 1's names, which TensorFlow still has, know the attribute."""
    if not inspect.ismodule(owner) or owner.__name__.partition(".")[0] != "tensorflow":
        return []
    old = getattr(getattr(sys.modules.get("tensorflow"), "compat", None), "v1", None)
    parts = public_path(owner).split(".")[1:]
    for part in parts:
        old = getattr(old, part, None)
    if old is None or "compat" in parts or name not in dir(old):
        return []
    return [".".join(("tf.compat.v1", *parts, name))]
