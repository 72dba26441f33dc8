"""The warm parent: it loads TensorFlow and Keras once, and forks a child for every job.

Where R is wanted as well, a parent without R forks one that loads it: TensorFlow takes seconds.

It runs no operation of TensorFlow itself (threads do not survive a fork) and supervises nothing:
the pool, in another process, gives it jobs over a socket and watches the children.

Protocol, one JSON object a line. In: ``{"job": n, "name": ..., "params": {...}}`` with three
descriptors (stdin, stdout, stderr), or ``{"parent": config}`` with a socket and a log, for a warm
parent with R. Out: ``{"ready": true, ...}``, ``{"job": n, "pid": ...}``,
``{"job": n, "status": wait-status, "peak": bytes, "cpu": seconds}``.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from bridge.errors import BridgeError, internal_error, watch
from bridge.process.environment import keras_of, parse_within_finalisers, redirect, versions
from bridge.process.sandbox import contain
from bridge.r.embed import EmbeddedR
from bridge.trace.spool import FAILED_CODE, SpooledErrors

Params = dict[str, Any]

#: How a warm process is started. ``-P``: not with the folder of the user, where a ``keras.py``
#: would be ours. Not as a module: Python's ``__main__`` is the script's, with no names of ours.
ZYGOTE: Final = (
    sys.executable, "-P", "-c", "__import__('bridge.process.zygote').process.zygote.main()",
)  # fmt: skip
#: The modules of most jobs, without R and with it: what they load, a warm process has for all of
#: its children. One that needs more has a function ``preload()``.
_SHARED: Final = {
    False: ("experiments", "layer_capture", "replay", "rerun", "twin"),
    True: ("r",),
}


@dataclass(frozen=True)
class Context:
    """What a warm process has loaded."""

    generation: int
    keras: Any
    r: EmbeddedR | None


#: A job is a function at the top of its module, and is known by both names.
Job = Callable[[Context, Params], None]


def name_of(job: Job) -> str:
    """Return the name by which a warm process finds a job."""
    return f"{job.__module__}:{job.__name__}"


def _find(name: str) -> Job:
    module, _, function = name.partition(":")
    job: Job = getattr(importlib.import_module(module), function)
    return job


class Zygote:
    """A warm process that forks; ``config`` says which generation of Keras, with R or without."""

    def __init__(self, connection: socket.socket, config: Params) -> None:
        self._connection = connection
        self._config = config
        self._children: dict[int, int] = {}
        self._buffer = b""
        self._fds: list[int] = []

    def warm_up(self) -> None:
        """Load everything that the children share."""
        # What is imported here is no garbage: to look through it again and again takes long.
        gc.disable()
        generation = int(self._config["generation"])
        # TensorFlow reads this when it is imported, and R cannot set it: Sys.setenv() does not
        # reach os.environ.
        os.environ["TF_USE_LEGACY_KERAS"] = "1" if generation == 2 else "0"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
        os.environ.setdefault("KERAS_BACKEND", "tensorflow")
        parse_within_finalisers()
        embedded = None
        if self._config.get("r"):
            embedded = EmbeddedR(tuple(self._config["libraries"]), tuple(self._config["preload"]))
            embedded.prepare(lambda: keras_of(generation))
        keras = keras_of(generation)
        self._stay_forkable()
        self._context = Context(generation=generation, keras=keras, r=embedded)
        for name in _SHARED[embedded is not None]:
            module = importlib.import_module(f"bridge.runs.{name}")
            if hasattr(module, "preload"):
                module.preload()
        versions()
        gc.collect()
        gc.freeze()
        gc.enable()

    def _stay_forkable(self) -> None:
        """Begin again without the front end if loading it made TensorFlow start its threads.

        They do not survive a fork, and a child would wait for them for ever: CRAN's keras3 enters
        a device scope while it is loaded (measured). Each child then loads the front end itself.
        """
        from tensorflow.python.eager import context

        if context._context is None or not context.context()._initialized:
            return
        if not self._config["preload"]:
            raise RuntimeError("TensorFlow started its threads while it was loaded")
        os.set_inheritable(self._connection.fileno(), True)
        config = json.dumps(self._config | {"preload": []})
        fd = str(self._connection.fileno())
        os.execv(sys.executable, [*ZYGOTE, fd, config])

    def serve(self) -> None:
        """Fork for every job until the pool closes the connection."""
        wake, alarm = os.pipe()
        os.set_blocking(alarm, False)
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._own = (wake, alarm)
        self._say({"ready": True, "pid": os.getpid()})
        while True:
            listened: list[Any] = [self._connection, wake]
            ready, _, _ = select.select(listened, [], [], 1.0)
            if wake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake, 4096)
            self._reap()
            if self._connection in ready and not self._receive():
                self._end_children()
                return

    def _receive(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._connection, 1 << 20, 3)
        if not data:
            return False
        self._buffer += data
        self._fds += fds
        while b"\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\n")
            message = json.loads(line)
            count = 2 if "parent" in message else 3
            given, self._fds = self._fds[:count], self._fds[count:]
            if "parent" in message:
                self._fork_parent(message["parent"], given)
            else:
                self._fork(message, given)
        return True

    def _fork_parent(self, config: Params, fds: list[int]) -> None:
        """Fork a warm parent that loads R as well; it has a connection of its own."""
        if os.fork() == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.setsid()
            self._connection.close()
            for fd in self._own:
                os.close(fd)
            connection, log = fds
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.close(log)
            work(socket.socket(fileno=connection), config)
        for fd in fds:
            os.close(fd)

    def _fork(self, job: Params, fds: list[int]) -> None:
        pid = os.fork()
        if pid == 0:
            self._child(job, fds)
        for fd in fds:
            os.close(fd)
        self._children[pid] = int(job["job"])
        self._say({"job": job["job"], "pid": pid})

    def _child(self, job: Params, fds: list[int]) -> None:
        code = FAILED_CODE
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            self._connection.close()
            for fd in self._own:
                os.close(fd)
            redirect(*fds)
            params = job["params"]
            if params.get("spool"):
                watch(SpooledErrors(Path(params["spool"])))
            if params.get("contain"):
                params["contained"] = contain(Path(params["contain"]))
            _find(job["name"])(self._context, params)
            code = 0
        except BaseException as error:  # whatever ends the job, the child ends below
            traceback.print_exc()
            # A limit, or a refusal that says what to do, is no defect of ours.
            if isinstance(error, Exception) and not isinstance(error, (MemoryError, BridgeError)):
                internal_error(f"the job {job['name'].partition(':')[2]}", error)
        finally:
            # A script may have put anything in their place.
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            # Not sys.exit: R's clean-up aborts or hangs, and threads may be left behind.
            os._exit(code)

    def _end_children(self) -> None:
        """Nobody watches the children any more: their limits are gone, so they go too."""
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)

    def _reap(self) -> None:
        while self._children:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            job = self._children.pop(pid, None)
            if job is not None:
                unit = 1 if sys.platform == "darwin" else 1024
                peak, cpu = usage.ru_maxrss * unit, usage.ru_utime + usage.ru_stime
                self._say({"job": job, "status": status, "peak": peak, "cpu": cpu})

    def _say(self, message: Params) -> None:
        self._connection.sendall(json.dumps(message).encode() + b"\n")


def work(connection: socket.socket, config: Params) -> NoReturn:
    """Warm up and serve; ends with the process when the pool goes away."""
    zygote = Zygote(connection, config)
    try:
        zygote.warm_up()
        zygote.serve()
    except BaseException as error:  # R, TensorFlow and what they load may raise anything
        with contextlib.suppress(OSError):
            message = {"ready": False, "error": f"{type(error).__name__}: {error}"}
            connection.sendall(json.dumps(message).encode() + b"\n")
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(0)


def main() -> None:
    """Run as ``ZYGOTE FD CONFIG``."""
    work(socket.socket(fileno=int(sys.argv[1])), json.loads(sys.argv[2]))
