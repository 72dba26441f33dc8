"""The Python side of the boundary trace.

``hooks.R`` replaces reticulate's ``py_call_impl`` and its siblings by functions that hand every
crossing to :func:`invoke` or :func:`note`. The call is made from here with the very objects that
reticulate converted, so what is recorded is what Python received, and nothing is converted twice.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final, Protocol

from bridge.runners.encode import Encoder
from bridge.runners.missing import describe_missing
from bridge.runners.spool import SpoolWriter

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
        number = self._count + 1
        self._guarded(self._begin, "call", target, meta, args, kwargs)
        self._stack.append(number)
        try:
            result = target(*args, **kwargs)
        except BaseException as error:
            self._spool.event("raised", id=number, error=describe_error(error))
            raise
        finally:
            self._stack.pop()
        self._guarded(self._returned, number, result)
        return result

    def note(self, kind: str, owner: Any, name: str, result: Any, meta: Any) -> None:
        """Record that R read or wrote an attribute or an item."""
        number = self._count + 1
        self._guarded(self._begin, kind, owner, meta, (), {}, name)
        self._guarded(self._returned, number, result)

    def miss(self, owner: Any, name: str, meta: Any) -> None:
        """Record that R read an attribute that is not there."""
        number = self._count + 1
        self._guarded(self._begin, "getattr", owner, meta, (), {}, name)
        try:
            getattr(owner, name)
        except Exception as error:
            described = describe_error(error) | {"missing": describe_missing(owner, name)}
            self._spool.event("raised", id=number, error=described)

    def _guarded(self, record: Callable[..., None], *args: Any) -> None:
        """Record; whatever goes wrong in that must not reach the script."""
        try:
            record(*args)
        except Exception as error:
            self._spool.event("note", text=f"a call could not be recorded: {error}"[:500])

    def _begin(
        self,
        kind: str,
        target: Any,
        meta: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        name: str = "",
    ) -> None:
        self._count += 1
        number = self._count
        if number > MAX_CALLS:
            return
        value = self._encoder.value
        meta = meta if isinstance(meta, dict) else {}
        self._spool.event(
            "call",
            id=number,
            parent=self.current,
            kind=kind,
            target=value(target),
            name=name,
            line=meta.get("line"),
            r_call=meta.get("call") or "",
            internal=bool(meta.get("internal")),
            r_args=_r_values(meta.get("args")),
            args=[value(item) for item in args],
            assigned=str(meta.get("assigned") or ""),
            kwargs={str(key): value(item) for key, item in kwargs.items()},
            defaults=self._defaults(target, kwargs),
        )

    def _defaults(self, target: Any, kwargs: dict[str, Any]) -> list[str]:
        """Name the arguments that are what the signature says they are if they are not given."""
        if not kwargs:
            return []
        key = getattr(target, "__func__", target)
        try:
            known = self._signatures.get(key)
            if known is None:
                parameters = inspect.signature(target).parameters
                known = {name: each.default for name, each in parameters.items()}
                self._signatures[key] = known
        except (TypeError, ValueError):
            return []
        return [name for name, value in kwargs.items() if _is_same(value, known.get(name, known))]

    def _returned(self, number: int, result: Any) -> None:
        if number <= MAX_CALLS:
            self._spool.event("returned", id=number, result=self._encoder.value(result))
        elif number == MAX_CALLS + 1:
            self._spool.event("note", text=f"only the first {MAX_CALLS:,} calls are described")


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
        "cls": f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins."),
        "message": str(error)[:20_000],
    }


def _is_same(given: Any, default: Any) -> bool:
    plain = (type(None), bool, int, float, str)
    return type(given) is type(default) and isinstance(given, plain) and given == default


def _r_values(args: Any) -> list[dict[str, Any]]:
    """Undo what reticulate does to short vectors: a length-1 vector arrives as a scalar."""
    if isinstance(args, dict):
        args = list(args.values())
    found = []
    for arg in args or ():
        if not isinstance(arg, dict):
            continue
        found.append(
            {
                "name": str(arg.get("name") or ""),
                "type": str(arg.get("type") or ""),
                "cls": _strings(arg.get("cls")),
                "length": int(arg.get("length") or 0),
                "dim": None if arg.get("dim") is None else [int(d) for d in _many(arg["dim"])],
                "names": None if arg.get("names") is None else _strings(arg["names"]),
                "text": str(arg.get("text") or ""),
                "missing": int(arg.get("missing") or 0),
            }
        )
    return found


def _many(item: Any) -> list[Any]:
    return list(item) if isinstance(item, (list, tuple)) else [item]


def _strings(item: Any) -> list[str]:
    return [] if item is None else [str(part) for part in _many(item)]
