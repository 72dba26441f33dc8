"""Asking objects of a stranger's about themselves: whatever they do when asked, asking goes on.

Any question may run the stranger's code. ``__getattr__`` may raise something other than
AttributeError, so that ``hasattr`` raises; ``isinstance`` reads ``__class__``; ``str`` of an
exception may raise another. The functions here answer as the built-in ones do, and where those
raise, as if the object had nothing to say.
"""

from __future__ import annotations

from typing import Any, Final

_MISSING: Final = object()
#: How Python itself reads a class: a metaclass may have properties of these names.
_NAME, _QUALNAME, _MODULE = (
    type.__dict__[name].__get__ for name in ("__name__", "__qualname__", "__module__")
)


def attribute(item: Any, name: str, default: Any = None) -> Any:
    """Return an attribute, or ``default`` where it cannot be read."""
    try:
        return getattr(item, name, default)
    except Exception:
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
    except Exception as raised:
        return f"<its message could not be read: str() raised {type(raised).__name__}>"


def qualified(kind: type) -> str:
    """Return ``module:qualname``, whatever a metaclass would answer."""
    return f"{_MODULE(kind)}:{_QUALNAME(kind)}"


def class_name(item: Any) -> str:
    """Return the name of an object's class, whatever a metaclass would answer."""
    return str(_NAME(type(item)))
