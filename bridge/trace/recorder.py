"""The Python side of the boundary trace: every call that R makes, and attributes it misses."""

from __future__ import annotations

import bisect
import difflib
import inspect
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from bridge.errors import internal_error
from bridge.trace.encoder import Data, Encoder, attribute, error_text, public_path, qualified
from bridge.trace.r_functions import is_looking
from bridge.trace.spool import SpoolWriter

# Files that a call found where it looked: a run without R has to find the same.
#
# What Python wrote itself is made again with the call that wrote it. What lay there before, or was
# written by R between two calls, is recorded when a call first names it.

#: What is recorded of one file, and of all of them, in bytes.
MAX_FILE_BYTES: Final = 64 * 2**20
MAX_BYTES: Final = 256 * 2**20
MAX_FILES: Final = 5000
#: How far the clock of files lies behind, in seconds: a tick of the kernel.
_TICK: Final = 0.01
_LONGEST: Final = 1000
_MOST_TEXTS: Final = 50
#: What R cannot write.
_OF_PYTHON: Final = (
    *(".keras", ".h5", ".hdf5", ".index", ".pb", ".npy", ".npz", ".pkl", ".tfrecord"),
    ".data-00000-of-00001",
)
#: What is no data.
_CODE: Final = frozenset({".py", ".pyc", ".so", ".R"})


class FoundFiles:
    """Writes to the spool the files that calls find and that no call had written."""

    def __init__(self, spool: SpoolWriter) -> None:
        self._spool = spool
        self._known: dict[str, tuple[int, int]] = {}
        self._starts: list[float] = []
        self._ends: list[float] = []
        self._bytes = 0

    def begin(self, number: int, arguments: tuple[Any, ...]) -> None:
        """Take note that a call begins, and record the files that its arguments name."""
        texts = [text for text in _texts(arguments) if _may_be_path(text)][:_MOST_TEXTS]
        for text in texts:
            for spelled, path in _files(text):
                self._find(number, spelled, path)

    def made(self, start: float, end: float) -> None:
        """Take note of the time during which Python was at work for R."""
        if self._ends and start - self._ends[-1] < _TICK / 100:
            self._ends[-1] = end
            return
        self._starts.append(start)
        self._ends.append(end)

    def _find(self, number: int, spelled: str, path: Path) -> None:
        about = path.stat()
        look = about.st_mtime_ns, about.st_size
        if self._known.get(str(path)) == look:
            return
        self._known[str(path)] = look
        if self._by_python(path, about.st_mtime):
            return
        key = None
        if about.st_size <= MAX_FILE_BYTES and self._bytes + about.st_size <= MAX_BYTES:
            self._bytes += about.st_size
            key, _ = self._spool.array(np.frombuffer(path.read_bytes(), np.uint8))
        self._spool.event("file", call=number, path=spelled, key=key)

    def _by_python(self, path: Path, when: float) -> bool:
        """Say whether a file was written while Python was at work."""
        place = bisect.bisect_right(self._starts, when + _TICK) - 1
        if place < 0 or when > self._ends[place]:
            return False
        late = when > self._ends[place] - _TICK
        return not late or path.name.endswith(_OF_PYTHON)


def now() -> float:
    """Return the time of day by the clock of files."""
    return time.time()


def _texts(item: Any, depth: int = 3) -> Iterator[str]:
    """Yield the texts in plain lists and dicts; a stranger's may do anything where it is walked."""
    kind = type(item)
    if kind is str:
        yield item
    elif depth and kind in (list, tuple) and len(item) <= MAX_FILES:
        for part in item:
            yield from _texts(part, depth - 1)
    elif depth and kind is dict and len(item) <= MAX_FILES:
        for part in item.values():
            yield from _texts(part, depth - 1)


def _may_be_path(text: str) -> bool:
    return 0 < len(text) <= _LONGEST and not {"\n", "\0"} & set(text)


def _files(text: str) -> Iterator[tuple[str, Path]]:
    """Yield the files that a text names, as it spells them and as they are found.

    Of folders only those of the run itself are looked into: no library of R's or Python's.
    """
    path = Path(text).expanduser().resolve()
    here = Path.cwd().resolve()
    if path.is_file() and path.suffix not in _CODE:
        yield text, path
        return
    homes = (here, here.parent, Path(tempfile.gettempdir()).resolve())
    if path in homes or not path.is_dir() or not any(map(path.is_relative_to, homes)):
        return
    for count, inside in enumerate(sorted(path.rglob("*"))):
        if count > MAX_FILES:
            return
        if inside.is_file():
            yield f"{text}/{inside.relative_to(path)}", inside


def describe_missing(owner: Any, name: str) -> dict[str, Any]:
    """Describe, as data, what ``owner`` has in the place of an attribute that is not there."""
    bearer = owner if inspect.ismodule(owner) or inspect.isclass(owner) else type(owner)
    names = [member for member in dir(owner) if not member.startswith("_")]
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


# The Python side of the boundary trace.

#: Crossings beyond this are counted but no longer described: a training loop in R makes millions.
MAX_CALLS: Final = 200_000


class Recorder:
    """Writes every crossing of the boundary to a spool."""

    def __init__(self, spool: SpoolWriter, encoder: Encoder) -> None:
        self._spool = spool
        self._encoder = encoder
        self._files = FoundFiles(spool)
        self._stack: list[int] = []
        self._inside: list[int] = []
        self._count = 0
        self._invocations = 0
        self._describing = False
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
        self._look_for_files(number, args, kwargs)
        self._stack.append(number)
        start = now()
        try:
            result = target(*args, **kwargs)
        except BaseException as error:  # whatever the call raises, R is to get
            self._raised(number, meta, error)
            raise
        finally:
            self._stack.pop()
            if not self._stack:
                self._files.made(start, now())
        self._returned(number, result)
        return result

    def _look_for_files(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if number > MAX_CALLS:
            return
        try:
            self._files.begin(number, (args, kwargs))
        except OSError:
            # The file is gone again, or may not be read: the call will say so.
            return
        except Exception as error:  # it would reach the script as an error of its own
            internal_error("recording the files of a call", error)

    def enter(self, handle: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
        """Record that Python begins to call a function of R's, and return the call's number.

        It is 0 where only our own looking had R asked.
        """
        if self._describing:
            return 0
        self._invocations += 1
        number = self._invocations
        if number <= MAX_CALLS:
            try:
                value = self._value
                self._spool.event(
                    "enter",
                    id=number,
                    closure=self._encoder.handle_number(handle),
                    parent=self.current,
                    args=[value(item) for item in args],
                    kwargs={str(key): value(item) for key, item in kwargs.items()},
                    looked=is_looking(),
                )
            except Exception as error:  # it would reach the script as an error of its own
                internal_error("recording a call of a function of R's", error)
        self._inside.append(number)
        return number

    def leave(self, number: int, result: Any, error: BaseException | None) -> None:
        """Record how a call of a function of R's ended."""
        if not number:
            return
        self._inside.pop()
        if number > MAX_CALLS:
            return
        try:
            ended = (
                {"result": self._value(result)}
                if error is None
                else {"error": describe_error(error)}
            )
            self._spool.event("left", id=number, **ended)
        except Exception as failed:  # as above
            internal_error("recording what a function of R's gave", failed)

    def note(self, kind: str, owner: Any, name: str, result: Any, meta: Any) -> None:
        """Record that R read or wrote an attribute or an item."""
        number = self._begin(kind, owner, meta, (), {}, name)
        self._returned(number, result)

    def miss(self, owner: Any, name: str, meta: Any) -> None:
        """Record that R read an attribute that is not there."""
        number = self._begin("getattr", owner, meta, (), {}, name)
        try:
            getattr(owner, name)
        except Exception as error:  # a __getattr__ may raise anything
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
            value = self._value
            event = self._stub(number, kind, name, meta) | {
                "target": value(target),
                "r_args": _r_values(meta.get("args") if isinstance(meta, dict) else None),
                "args": [value(item) for item in args],
                "kwargs": {str(key): value(item) for key, item in kwargs.items()},
                "defaults": self._defaults(target, kwargs),
            }
            self._spool.event("call", **event)
        except Exception as error:  # it would reach the script as an error of its own
            internal_error("recording a call", error)
            self._spool.event("call", **self._stub(number, kind, name, meta))
        return number

    def _value(self, item: Any) -> Data:
        before, self._describing = self._describing, True
        try:
            return self._encoder.value(item)
        finally:
            self._describing = before

    def _stub(self, number: int, kind: str, name: str, meta: Any) -> Data:
        within = self._inside[-1] if self._inside else None
        return _stub(number, self.current, kind, name, meta) | {"within": within}

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
                known = {name: parameter.default for name, parameter in parameters.items()}
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
            self._spool.event("returned", id=number, result=self._value(result))
        except Exception as error:  # as above
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


def active() -> Recorder | None:
    """Return the recorder that the hooks in R write to, if any."""
    return _active


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
