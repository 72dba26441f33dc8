"""The Python side of the boundary trace.

``hooks.R`` replaces reticulate's ``py_call_impl`` and its siblings by functions that hand every
crossing to :func:`invoke` or :func:`note`. The call is made from here with the very objects that
reticulate converted, so what is recorded is what Python received, and nothing is converted twice.

A call that cannot be described leaves a stub: where it stands and what it is called in R, with
opaque values. What was done inside it, and what comes after it, can then still be told.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final, Protocol

from bridge.errors import internal_error
from bridge.trace.encoder import Data, Encoder
from bridge.trace.missing_attribute import describe_missing
from bridge.trace.safe_attributes import attribute, error_text, qualified
from bridge.trace.spool import SpoolWriter

#: Crossings beyond this are counted but no longer described: a training loop in R makes millions.
MAX_CALLS: Final = 200_000


class Recorder:
    """Writes every crossing of the boundary to a spool."""

    def __init__(self, spool: SpoolWriter, encoder: Encoder) -> None:
        self._spool = spool
        self._encoder = encoder
        self._stack: list[int] = []
        self._count = 0
        self._signatures: dict[Any, dict[str, Any]] = {}

    @property
    def count(self) -> int:
        """How many crossings were recorded."""
        return self._count

    @property
    def current(self) -> int | None:
        """The call that is being made, innermost."""
        return self._stack[-1] if self._stack else None

    def call(self, target: Any, meta: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Record ``target(*args, **kwargs)`` and make it."""
        number = self._begin("call", target, meta, args, kwargs)
        self._stack.append(number)
        try:
            result = target(*args, **kwargs)
        except BaseException as error:
            self._raised(number, meta, error)
            raise
        finally:
            self._stack.pop()
        self._returned(number, result)
        return result

    def note(self, kind: str, owner: Any, name: str, result: Any, meta: Any) -> None:
        """Record that R read or wrote an attribute or an item."""
        number = self._begin(kind, owner, meta, (), {}, name)
        self._returned(number, result)

    def miss(self, owner: Any, name: str, meta: Any) -> None:
        """Record that R read an attribute that is not there."""
        number = self._begin("getattr", owner, meta, (), {}, name)
        try:
            getattr(owner, name)
        except Exception as error:
            described = describe_error(error) | {"missing": describe_missing(owner, name)}
            self._spool.event("raised", id=number, error=described)

    def _begin(
        self,
        kind: str,
        target: Any,
        meta: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        name: str = "",
    ) -> int:
        """Record that a crossing begins, and return its number; nothing is raised."""
        self._count += 1
        number = self._count
        if number > MAX_CALLS:
            return number
        try:
            value = self._encoder.value
            event = _stub(number, self.current, kind, name, meta) | {
                "target": value(target),
                "r_args": _r_values(meta.get("args") if isinstance(meta, dict) else None),
                "args": [value(item) for item in args],
                "kwargs": {str(key): value(item) for key, item in kwargs.items()},
                "defaults": self._defaults(target, kwargs),
            }
            self._spool.event("call", **event)
        except Exception as error:
            internal_error("recording a call", error)
            self._spool.event("call", **_stub(number, self.current, kind, name, meta))
        return number

    def _raised(self, number: int, meta: Any, error: BaseException) -> None:
        if number > MAX_CALLS:
            # What raises is told in any case: it may be what ended the script.
            self._spool.event("call", **_stub(number, None, "call", "", meta))
        self._spool.event("raised", id=number, error=describe_error(error))

    def _defaults(self, target: Any, kwargs: dict[str, Any]) -> list[str]:
        """Name the arguments that are what the signature says they are if they are not given."""
        if not kwargs:
            return []
        key = attribute(target, "__func__", target)
        try:
            known = self._signatures.get(key)
            if known is None:
                parameters = inspect.signature(target).parameters
                known = {name: each.default for name, each in parameters.items()}
                self._signatures[key] = known
        except Exception:
            # It may have none; and hashing, comparing and asking for it run its own code.
            return []
        return [name for name, value in kwargs.items() if _is_same(value, known.get(name, known))]

    def _returned(self, number: int, result: Any) -> None:
        if number == MAX_CALLS + 1:
            self._spool.event("note", text=f"only the first {MAX_CALLS:,} calls are described")
        if number > MAX_CALLS:
            return
        try:
            self._spool.event("returned", id=number, result=self._encoder.value(result))
        except Exception as error:
            internal_error("recording a result", error)


def _stub(number: int, parent: int | None, kind: str, name: str, meta: Any) -> Data:
    """Describe a crossing without its values."""
    meta = meta if isinstance(meta, dict) else {}
    return {
        "id": number,
        "parent": parent,
        "kind": kind,
        "target": {"t": "opaque", "text": "it could not be described"},
        "name": str(name),
        "line": meta.get("line"),
        "r_call": str(meta.get("call") or ""),
        "assigned": str(meta.get("assigned") or ""),
        "internal": bool(meta.get("internal")),
    }


_active: Recorder | None = None


def activate(recorder: Recorder | None) -> None:
    """Make ``recorder`` the one that the hooks in R write to; None stops recording."""
    global _active
    _active = recorder


def active_call() -> int | None:
    """Return the number of the boundary call that is being made, if any."""
    return _active.current if _active is not None else None


def invoke(target: Callable[..., Any], meta: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Call ``target`` for R, and record it."""
    if _active is None:
        return target(*args, **kwargs)
    return _active.call(target, meta, args, kwargs)


def note(kind: str, owner: Any, name: str, result: Any, meta: Any) -> None:
    """Record the read or write of an attribute or item that R made."""
    if _active is not None:
        _active.note(kind, owner, name, result, meta)


def miss(owner: Any, name: str, meta: Any) -> None:
    """Record the read of an attribute that is not there and that ended the script."""
    if _active is not None:
        _active.miss(owner, name, meta)


class Session(Protocol):
    """What a running script tells of itself, and where it is."""

    def hear(self, event: str, line: int | None, about: dict[str, Any]) -> Any:
        """Take note of ``event``; the answer to ``job`` is what to run."""
        ...


_session: Session | None = None


def listen(session: Session) -> None:
    """Make ``session`` the one that R's hooks speak to."""
    global _session
    _session = session


def hear(event: str, line: int | None = None, **about: Any) -> Any:
    """Pass on what R's hooks say."""
    return None if _session is None else _session.hear(event, line, about)


def describe_error(error: BaseException, language: str = "python") -> dict[str, Any]:
    """Describe an exception as data."""
    return {
        "language": language,
        "cls": qualified(type(error)).replace(":", ".", 1).removeprefix("builtins."),
        "message": error_text(error)[:20_000],
    }


def _is_same(given: Any, default: Any) -> bool:
    plain = (type(None), bool, int, float, str)
    if type(given) is not type(default) or not issubclass(type(given), plain):
        return False
    try:
        return bool(given == default)
    except Exception:
        # A subclass of a number may compare as it likes.
        return False


def _r_values(args: Any) -> list[dict[str, Any]]:
    """Undo what reticulate does to short vectors: a length-1 vector arrives as a scalar."""
    if isinstance(args, dict):
        args = list(args.values())
    return [_r_value(arg) for arg in args or () if isinstance(arg, dict)]


def _r_value(arg: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": str(arg.get("name") or ""),
        "type": str(arg.get("type") or ""),
        "cls": _strings(arg.get("cls")),
        "length": _whole(arg.get("length")),
        "dim": None if arg.get("dim") is None else [_whole(d) for d in _many(arg["dim"])],
        "names": None if arg.get("names") is None else _strings(arg["names"]),
        "text": str(arg.get("text") or ""),
        "missing": _whole(arg.get("missing")),
    }


def _whole(item: Any) -> int:
    """Return a length: a method of the script's for ``length()`` may have answered anything."""
    try:
        return int(item or 0)
    except (TypeError, ValueError, OverflowError):
        return 0


def _many(item: Any) -> list[Any]:
    return list(item) if isinstance(item, (list, tuple)) else [item]


def _strings(item: Any) -> list[str]:
    return [] if item is None else [str(part) for part in _many(item)]
