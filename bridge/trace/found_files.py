"""Files that a call found where it looked: a run without R has to find the same.

What Python wrote itself is made again with the call that wrote it. What lay there before, or was
written by R between two calls, is recorded when a call first names it.
"""

from __future__ import annotations

import bisect
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge.trace.spool import SpoolWriter

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
