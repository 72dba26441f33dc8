"""The pool: warm processes, started when they are first needed, and the children they fork.

The pool supervises: time, memory, output. A child that breaks a limit is killed with everything
that it started, and what it had recorded stays.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import psutil

from bridge.capsule import Capsule, write_capsule
from bridge.errors import BridgeError, JobError, keep
from bridge.process.zygote import ZYGOTE, Job, name_of
from bridge.trace.spool import FAILED_CODE, read_failures

MIB: Final = 2**20
_KEPT_OUTPUT: Final = 1 * MIB
_MAX_NATIVE_OUTPUT: Final = 64 * MIB


#: What is left of a capsule for jobs that do not need all of it.
Part = Callable[[Capsule], Capsule]


class PoolError(BridgeError, RuntimeError):
    """A warm process could not be started; the message says what to do."""

    ends_everything = True


@dataclass(frozen=True)
class Limits:
    """What one job may use."""

    seconds: float = 120.0
    memory_bytes: int = 4096 * MIB


@dataclass(frozen=True)
class Warm:
    """Which warm process a job needs; ``env`` is set in its environment before it starts."""

    generation: int
    r: bool = False
    libraries: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How a job's process ended: ``status`` is ``exited`` or the limit that it broke.

    ``cpu_seconds`` is what it used of the processor, which other work on the machine does not
    stretch as it does ``seconds``.
    """

    status: str
    code: int
    signal: int
    seconds: float
    peak_bytes: int
    stdout: str
    stderr: str
    read_stdin: bool = False
    cpu_seconds: float = 0.0


def _tell(params: dict[str, Any], wait_status: int) -> None:
    """Keep the exceptions of ours that a child met.

    Raises:
        JobError: one of them ended it.
    """
    failures = list(read_failures(Path(params["spool"]))) if "spool" in params else []
    for record in failures:
        keep(record)
    if failures and os.WIFEXITED(wait_status) and os.WEXITSTATUS(wait_status) == FAILED_CODE:
        raise JobError(failures[-1])


@dataclass
class _Pending:
    """A job that was given to a warm process: what is known of its child so far."""

    pid: int | None = None
    wait_status: int | None = None
    peak: int = 0
    cpu: float = 0.0
    changed: threading.Event = field(default_factory=threading.Event)


class _Supervisor:
    """Watches one child: reads its pipes, its memory and the clock."""

    def __init__(
        self,
        pending: _Pending,
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
                    if broken:
                        status = broken if status == "exited" else status
                        # Again, until it is gone: at first it may not be known who it is.
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
    for child in process.children(recursive=True) if contained else ():
        with contextlib.suppress(psutil.Error):
            found.append(child.memory_info().rss)
    return int(max(found))


class _Parent:
    """One warm process, seen from the pool."""

    def __init__(self, warm: Warm, log: Path, base: _Parent | None) -> None:
        ours, theirs = socket.socketpair()
        config = {
            "generation": warm.generation,
            "r": warm.r,
            "libraries": warm.libraries,
            "preload": warm.preload,
        }
        self._log = log
        self._base = base
        self._process: subprocess.Popen[bytes] | None = None
        with log.open("wb") as file:
            if base is None:
                self._process = _start(config, warm.env, theirs, file, log.parent)
            else:
                base.fork(config, theirs, file)
        theirs.close()
        self._socket = ours
        self._lock = threading.Lock()
        self._pending: dict[int, _Pending] = {}
        self._ready = threading.Event()
        self._error: str | None = None
        self._jobs = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def fork(self, config: dict[str, Any], connection: socket.socket, log: IO[bytes]) -> None:
        """Ask for a warm process with R, as soon as this one is warm; do not wait for it."""
        line = json.dumps({"parent": config}).encode() + b"\n"
        # Where this one has ended, waiting for either tells why.
        with self._lock, contextlib.suppress(OSError):
            socket.send_fds(self._socket, [line], [connection.fileno(), log.fileno()])

    def wait_ready(self, seconds: float = 180.0) -> None:
        if self._base is not None:
            self._base.wait_ready(seconds)
        if not self._ready.wait(seconds):
            self._error = f"it was not ready after {seconds:.0f} seconds"
        if self._error is not None:
            raise PoolError(
                f"R, TensorFlow or Keras could not be started: {self._error}. "
                "Run 'keras-bridge doctor' to see what is missing."
            )

    def start(self, job: Job, params: dict[str, Any], fds: tuple[int, int, int]) -> _Pending:
        self.wait_ready()
        with self._lock:
            self._jobs += 1
            pending = self._pending[self._jobs] = _Pending()
            asked = {"job": self._jobs, "name": name_of(job), "params": params}
            line = json.dumps(asked).encode() + b"\n"
            socket.send_fds(self._socket, [line], list(fds))
        return pending

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        if self._process is None:
            # Not our child: it ends when its connection does.
            return
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self) -> None:
        buffer = b""
        while True:
            try:
                data = self._socket.recv(1 << 16)
            except OSError:
                data = b""
            if not data:
                break
            buffer += data
            while b"\n" in buffer:
                line, _, buffer = buffer.partition(b"\n")
                self._take_message(json.loads(line))
        if not self._ready.is_set():
            self._error = self._error or self._last_words()
            self._ready.set()
        for pending in self._pending.values():
            if pending.wait_status is None:
                pending.wait_status = -1
            pending.changed.set()

    def _take_message(self, message: dict[str, Any]) -> None:
        if "ready" in message:
            self._error = message.get("error")
            self._ready.set()
            return
        pending = self._pending[message["job"]]
        if "pid" in message:
            pending.pid = message["pid"]
        else:
            pending.peak, pending.cpu = message["peak"], message["cpu"]
            pending.wait_status = message["status"]
        pending.changed.set()

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "the process ended without a word"


def _start(
    config: dict[str, Any],
    env: tuple[tuple[str, str], ...],
    connection: socket.socket,
    log: IO[bytes],
    temporary: Path,
) -> subprocess.Popen[bytes]:
    words = [
        *ZYGOTE,
        str(connection.fileno()),
        json.dumps(config),
    ]
    return subprocess.Popen(
        words,
        pass_fds=[connection.fileno()],
        # Keras 3's back end is ours to choose, and not the one of the user's shell. TensorFlow
        # leaves a file for every function that it converts: they go with the pool.
        env=os.environ | {"KERAS_BACKEND": "tensorflow", "TMPDIR": str(temporary)} | dict(env),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


class Pool:
    """Runs jobs in children of warm processes; use it as a context manager.

    Args:
        contained: every job gets no network, no process but its own, and may write to no folder
            but the one that its spool lies in.
    """

    def __init__(self, contained: bool = False) -> None:
        self._contained = contained
        self._folder = tempfile.TemporaryDirectory(
            prefix="keras-bridge-", ignore_cleanup_errors=True
        )
        self._parents: dict[Warm, _Parent] = {}
        self._lock = threading.Lock()
        self._files: dict[tuple[int, Part | None], Path] = {}
        self._writing = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every warm process and remove the pool's folder."""
        for parent in self._parents.values():
            parent.close()
        self._parents.clear()
        self._folder.cleanup()

    @property
    def folder(self) -> Path:
        """A folder of the pool's own, removed at the end."""
        return Path(self._folder.name)

    def file_of(self, capsule: Capsule, part: Part | None = None) -> str:
        """Return the path of a file with ``capsule``, or with ``part`` of it, for jobs to read.

        It is written once, and goes with the capsule.
        """
        key = (id(capsule), part)
        with self._writing:
            if key not in self._files:
                handle, name = tempfile.mkstemp(".capsule", dir=self.folder)
                os.close(handle)
                write_capsule(capsule if part is None else part(capsule), Path(name))
                self._files[key] = Path(name)
                weakref.finalize(capsule, self._forget, key)
            return str(self._files[key])

    def _forget(self, key: tuple[int, Part | None]) -> None:
        # The whole folder may be gone by then.
        self._files.pop(key).unlink(missing_ok=True)

    def warm(self, *kinds: Warm) -> None:
        """Start warm processes without waiting for them."""
        for kind in kinds:
            self._parent(kind)

    def run(
        self, kind: Warm, job: Job, params: dict[str, Any], limits: Limits | None = None
    ) -> Outcome:
        """Do one job in a fresh child and return how it ended.

        Raises:
            JobError: an exception of ours ended the child.
            PoolError: the warm process could not be started.
        """
        limits = limits or Limits()
        if self._contained:
            params = params | {"contain": str(Path(params["spool"]).parent)}
        parent = self._parent(kind)
        parent.wait_ready()
        with tempfile.TemporaryFile(dir=self.folder) as stdin:
            # One line to read: a script that asks gets an answer, and that it asked shows in
            # the position of the file.
            stdin.write(b"\n")
            stdin.flush()
            os.lseek(stdin.fileno(), 0, os.SEEK_SET)
            out, out_end = os.pipe()
            err, err_end = os.pipe()
            started = time.monotonic()
            pending = parent.start(
                job,
                params | {"memory_bytes": limits.memory_bytes},
                (stdin.fileno(), out_end, err_end),
            )
            os.close(out_end)
            os.close(err_end)
            watch = _Supervisor(pending, limits, started, out, err, self._contained)
            status = watch.until_it_ends()
            read_stdin = os.lseek(stdin.fileno(), 0, os.SEEK_CUR) > 0
        code = pending.wait_status or 0
        _tell(params, code)
        return Outcome(
            status=status,
            code=os.WEXITSTATUS(code) if code >= 0 and os.WIFEXITED(code) else -1,
            signal=os.WTERMSIG(code) if code > 0 and os.WIFSIGNALED(code) else 0,
            seconds=time.monotonic() - started,
            peak_bytes=max(pending.peak, watch.peak),
            stdout=watch.text(out),
            stderr=watch.text(err),
            read_stdin=read_stdin,
            cpu_seconds=pending.cpu,
        )

    def _parent(self, kind: Warm) -> _Parent:
        with self._lock:
            return self._parents.get(kind) or self._begin(kind)

    def _begin(self, kind: Warm) -> _Parent:
        """Start a warm process; one with R is forked from the one without."""
        without = Warm(kind.generation, env=kind.env)
        base = self._parents.get(without) or self._begin(without) if kind.r else None
        log = self.folder / f"warm-{len(self._parents)}.log"
        parent = self._parents[kind] = _Parent(kind, log, base)
        return parent
