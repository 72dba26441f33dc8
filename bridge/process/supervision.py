"""Supervising one child: its pipes, its memory and the clock."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import Final

import psutil

MIB: Final = 2**20
_KEPT_OUTPUT: Final = 1 * MIB
_MAX_NATIVE_OUTPUT: Final = 64 * MIB


@dataclass(frozen=True)
class Limits:
    """What one job may use."""

    seconds: float = 120.0
    memory_bytes: int = 4096 * MIB


@dataclass
class Pending:
    """A job that was given to a warm process: what is known of its child so far."""

    pid: int | None = None
    wait_status: int | None = None
    peak: int = 0
    cpu: float = 0.0
    changed: threading.Event = field(default_factory=threading.Event)


class Supervisor:
    """Watches one child: reads its pipes, its memory and the clock."""

    def __init__(
        self,
        pending: Pending,
        limits: Limits,
        started: float,
        out: int,
        err: int,
        contained: bool,
    ) -> None:
        self._contained = contained
        self._pending = pending
        self._limits = limits
        self._started = started
        self._kept: dict[int, bytearray] = {out: bytearray(), err: bytearray()}
        self._total = 0
        self.peak = 0

    def text(self, descriptor: int) -> str:
        """Return what the child wrote to a pipe, up to a limit."""
        return self._kept[descriptor].decode("utf-8", "replace")

    def until_it_ends(self) -> str:
        """Return ``exited``, or the limit that the child broke; it is gone then."""
        status = "exited"
        with selectors.DefaultSelector() as selector:
            for descriptor in self._kept:
                selector.register(descriptor, selectors.EVENT_READ)
            ended_at: float | None = None
            while selector.get_map() or self._pending.wait_status is None:
                if selector.get_map():
                    for key, _ in selector.select(0.05):
                        self._read(selector, key.fd)
                else:
                    self._pending.changed.wait(0.05)
                    self._pending.changed.clear()
                if self._pending.wait_status is None:
                    broken = self._broken_limit()
                    if broken and status == "exited":
                        status = broken
                        self._kill()
                else:
                    # Something that the child started may hold the pipes open for ever.
                    ended_at = ended_at or time.monotonic()
                    if time.monotonic() - ended_at > 0.5:
                        self._kill()
                        break
        for descriptor in self._kept:
            os.close(descriptor)
        self._kill()
        return status

    def _read(self, selector: selectors.BaseSelector, descriptor: int) -> None:
        data = os.read(descriptor, 1 << 16)
        if not data:
            selector.unregister(descriptor)
            return
        self._total += len(data)
        kept = self._kept[descriptor]
        kept += data[: max(0, _KEPT_OUTPUT - len(kept))]

    def _broken_limit(self) -> str:
        if time.monotonic() - self._started > self._limits.seconds:
            return "time-limit"
        if self._total > _MAX_NATIVE_OUTPUT:
            return "output-limit"
        if self._pending.pid is not None:
            with contextlib.suppress(psutil.Error):
                # Pages shared with the warm parent are not the child's doing.
                used = _own_bytes(self._pending.pid, self._contained)
                self.peak = max(self.peak, used)
                if used > self._limits.memory_bytes:
                    return "memory-limit"
        return ""

    def _kill(self) -> None:
        if self._pending.pid is not None:
            # The child leads a session of its own: the whole group goes with it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pending.pid, signal.SIGKILL)


def _own_bytes(pid: int, contained: bool) -> int:
    process = psutil.Process(pid)
    found = [process.memory_info().rss]
    # Where it is contained, the job is not the child itself, but a grandchild of it.
    for each in process.children(recursive=True) if contained else ():
        with contextlib.suppress(psutil.Error):
            found.append(each.memory_info().rss)
    return int(max(found))
