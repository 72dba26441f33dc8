"""A spool is a run as it happens: a folder to which events are appended.

The process that runs a stranger's script may die at any moment. Whatever it had appended by then
is on disk, and another process, with neither R nor TensorFlow in it, assembles the capsule.

``failures.jsonl`` holds the exceptions of ours that the process met, one JSON object a line;
``events.jsonl`` holds one JSON object a line, ``arrays.bin`` the bytes of the arrays end to end;
an array that occurs again (weights before every prediction) is stored once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import ml_dtypes  # noqa: F401  (registers bfloat16 and the float8 types with NumPy)
import numpy as np

from bridge._typing import AnyArray
from bridge.errors import BridgeError, Errors, InternalError

Event = dict[str, Any]

#: Elements beyond this are not stored, only their SHA-256: a capsule stays a file one can mail.
MAX_SPOOL_BYTES: Final = 4 * 2**30

EVENTS: Final = "events.jsonl"
ARRAYS: Final = "arrays.bin"
#: The code with which a process ends that an exception of ours ended.
FAILED_CODE: Final = 70
FAILURES: Final = "failures.jsonl"


@dataclass
class SpoolWriter:
    """Appends events and arrays; every append reaches the operating system before it returns."""

    folder: Path
    _written: int = 0
    _keys: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._events = os.open(self.folder / EVENTS, flags, 0o600)
        self._arrays = os.open(self.folder / ARRAYS, flags, 0o600)

    def event(self, name: str, /, **fields: Any) -> None:
        """Append one event."""
        line = json.dumps({"e": name, **fields}, allow_nan=True, separators=(",", ":"))
        _write_all(self._events, line.encode("utf-8", "backslashreplace") + b"\n")

    def array(self, values: AnyArray) -> tuple[str | None, str]:
        """Store the elements in C order; return their key (None: not stored) and SHA-256."""
        values = np.asarray(values)
        # bfloat16 and the float8 types are of kind V too, but have names of their own.
        odd = values.dtype.kind in "USMm" or values.dtype.name.startswith("void")
        if values.dtype.hasobject or odd:
            return None, ""
        data = values.tobytes(order="C")
        about = f"{values.dtype.name}{values.shape}".encode()
        digest = hashlib.sha256(about + data).hexdigest()
        key = self._keys.get(digest)
        if key is None:
            if self._written + len(data) > MAX_SPOOL_BYTES:
                return None, digest
            key = f"a{len(self._keys)}"
            self._keys[digest] = key
            _write_all(self._arrays, data)
            self.event(
                "array",
                key=key,
                dtype=values.dtype.name,
                shape=list(values.shape),
                offset=self._written,
            )
            self._written += len(data)
        return key, digest

    def close(self) -> None:
        """Close both files."""
        os.close(self._events)
        os.close(self._arrays)


class SpooledErrors(Errors):
    """Keeps the exceptions of ours that a process meets in its spool, as it meets them."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def add(self, record: InternalError) -> bool:
        """Keep a record, here and in the spool."""
        if not super().add(record):
            return False
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / FAILURES).open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(dataclasses.asdict(record))}\n")
        return True


def read_failures(folder: Path) -> Iterator[InternalError]:
    """Yield the exceptions of ours that a process met; what is no record is left out."""
    path = folder / FAILURES
    if not path.is_file() or path.is_symlink():
        return
    for line in path.read_text("utf-8", errors="replace").splitlines():
        # A script may write where its own spool lies.
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            found = {str(key): str(value) for key, value in json.loads(line).items()}
            yield InternalError(**found)


class SpoolClosedError(BridgeError, OSError):
    """A script closed all that its process had open: the spool ends where it is."""

    is_the_scripts = True


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError as error:
        if error.errno == errno.EBADF:
            raise SpoolClosedError(
                "the script closed the file that its run is written to"
            ) from None
        raise


def read_events(folder: Path) -> Iterator[Event]:
    """Yield the events; a last line that was cut short by a death is left out.

    So is what follows a line that is no event: a script may write where its own events go.
    """
    path = folder / EVENTS
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            try:
                event = json.loads(line)
            except ValueError:
                return
            if not isinstance(event, dict) or "e" not in event:
                return
            yield event


class SpoolArrays(dict[str, AnyArray]):
    """The arrays of a spool by key, mapped from disk."""

    def __init__(self, folder: Path, events: Iterator[Event]) -> None:
        """Map every array that ``events`` announce and that is there in full."""
        super().__init__()
        path = folder / ARRAYS
        size = path.stat().st_size if path.exists() else 0
        for event in events:
            if event["e"] != "array":
                continue
            dtype = np.dtype(event["dtype"])
            shape = tuple(event["shape"])
            count = int(np.prod(shape, dtype=np.int64))
            if event["offset"] + count * dtype.itemsize > size:
                continue
            if count == 0:
                self[event["key"]] = np.empty(shape, dtype)
            else:
                self[event["key"]] = np.memmap(
                    path, dtype=dtype, mode="r", offset=event["offset"], shape=shape
                )
