"""The pool: warm processes, started when they are first needed, and the children they fork.

The pool supervises: time, memory, output. A child that breaks a limit is killed with everything
that it started, and what it had recorded stays.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from bridge.errors import BridgeError, JobError, keep
from bridge.process.job_setup import ZYGOTE
from bridge.process.supervision import MIB, Limits, Pending, Supervisor
from bridge.trace.spool import FAILED_CODE, read_failures

__all__ = ["MIB", "Limits", "Outcome", "Pool", "PoolError", "Warm"]


class PoolError(BridgeError, RuntimeError):
    """A warm process could not be started; the message says what to do."""

    ends_everything = True


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
        self._pending: dict[int, Pending] = {}
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

    def start(self, name: str, params: dict[str, Any], fds: tuple[int, int, int]) -> Pending:
        self.wait_ready()
        with self._lock:
            self._jobs += 1
            job = self._jobs
            pending = self._pending[job] = Pending()
            line = json.dumps({"job": job, "name": name, "params": params}).encode() + b"\n"
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
                self._heard(json.loads(line))
        if not self._ready.is_set():
            self._error = self._error or self._last_words()
            self._ready.set()
        for pending in self._pending.values():
            if pending.wait_status is None:
                pending.wait_status = -1
            pending.changed.set()

    def _heard(self, message: dict[str, Any]) -> None:
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
        self._folder = tempfile.TemporaryDirectory(prefix="keras-bridge-")
        self._parents: dict[Warm, _Parent] = {}
        self._lock = threading.Lock()

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

    def warm(self, *kinds: Warm) -> None:
        """Start warm processes without waiting for them."""
        for kind in kinds:
            self._parent(kind)

    def run(
        self, kind: Warm, name: str, params: dict[str, Any], limits: Limits | None = None
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
                name,
                params | {"memory_bytes": limits.memory_bytes},
                (stdin.fileno(), out_end, err_end),
            )
            os.close(out_end)
            os.close(err_end)
            watch = Supervisor(pending, limits, started, out, err, self._contained)
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
