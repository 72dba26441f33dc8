"""R inside this process, through rpy2.

R is started once, in a parent that is then forked for each script, and is never ended: leaving
R through rpy2 aborts or hangs, so the children end with ``os._exit`` after they have flushed.

Once reticulate holds Python objects, R must be entered with Python's global lock held: R's garbage
collector runs reticulate's finalisers, they drop references to Python objects, and cffi, through
which rpy2 calls R, lets go of the lock first (measured: the process aborts with "the GIL is
released"). So rpy2 starts R and parses everything that we shall ever evaluate; after that R is
entered through ``ctypes.PyDLL``, which keeps the lock, and R speaks to us through reticulate.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import platform
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bridge.errors import BridgeError
from bridge.trace import recorder

_HOOKS: Final = Path(__file__).with_name("hooks.R")
#: The functions of hooks.R that run a script, in the order in which they are first called.
_STEPS: Final = ("begin", "take", "show", "warned", "failed", "recovers", "ended", "after")
#: What R puts before warnings that it tells together with an error.
_IN_ADDITION: Final = "In addition: "
_LIBRARY: Final = {"Darwin": "libR.dylib", "Windows": "R.dll"}


class RError(BridgeError, RuntimeError):
    """R raised an error outside the script: while it was started or prepared."""


class EmbeddedR:
    """The one R of this process, prepared to run one script."""

    def __init__(self, libraries: tuple[str, ...], preload: tuple[str, ...]) -> None:
        # reticulate must use this very Python, and decides when it is loaded.
        os.environ["RETICULATE_PYTHON"] = sys.executable
        import rpy2.rinterface as ri
        from rpy2.rinterface_lib import embedded

        # What Rscript says to R: a script can read it, and R's options follow from it.
        embedded.set_initoptions(("R", "--no-echo", "--no-restore"))
        # rpy2 switches R's own guard against too deep recursion off; then it ends in a crash.
        ri.initr(interactive=False, _c_stack_limit=_stack_bytes())
        # From here on R's own clean-up would abort or hang the process.
        atexit.unregister(ri.endr)
        from rpy2.rinterface_lib import callbacks, openrlib

        self._callbacks = callbacks
        self._ffi = openrlib.ffi
        self._base = self._hooks = self._pointer(ri.baseenv)
        self._home = Path(openrlib.R_HOME)
        name = _LIBRARY.get(platform.system(), "libR.so")
        self._library = library = ctypes.PyDLL(str(self._home / "lib" / name))
        self._try_eval = library.R_tryEval
        self._try_eval.restype = ctypes.c_void_p
        self._try_eval.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int)]
        library.Rf_asLogical.argtypes = library.R_PreserveObject.argtypes = [ctypes.c_void_p]
        paths = "".join(f"{_quote(library)}, " for library in libraries)
        packages = "".join(f"loadNamespace({_quote(package)}); " for package in preload)
        texts = {
            "libraries": f".libPaths(c({paths}.libPaths()))",
            "reticulate": "loadNamespace('reticulate'); reticulate::py_config()",
            "preload": f"suppressMessages(suppressWarnings({{ {packages} NULL }}))",
            "hooks": f"local({{ sys.source({_quote(str(_HOOKS))}, environment()); "
            f"bridge$install({_quote(recorder.__name__)}); bridge }}, "
            "envir = new.env(parent = baseenv()))",
        }
        texts = {key: f"{{ {text} }}" for key, text in texts.items()}
        # Those of hooks.R, evaluated in its environment. `pending` is a promise: what is evaluated
        # for it stands below no call, as what Rscript evaluates does.
        texts |= {name: f"{name}()" for name in _STEPS} | {"pending": "pending"}
        self._calls = {key: ri.parse(text)[0] for key, text in texts.items()}

    def prepare(self, before_preload: Callable[[], object]) -> None:
        """Load reticulate and the front end, and install the trace; it stays silent.

        Raises:
            RError: R could not do it.
        """
        self._do("libraries")
        self._do("reticulate")
        before_preload()
        # Before the front end, which copies what it imports from reticulate when it is loaded.
        self._hooks = self._do("hooks")
        self._library.R_PreserveObject(self._hooks)
        self._do("preload")

    def name_script(self, name: str) -> None:
        """Tell R that it was started as ``Rscript name``: ``commandArgs()`` says so."""
        words = (f"{self._home}/bin/exec/R", "--no-echo", "--no-restore", f"--file={name}")
        given = (ctypes.c_char_p * len(words))(*(os.fsencode(word) for word in words))
        self._library.R_set_command_line_arguments(len(words), given)

    def run(self) -> None:
        """Run the script that :data:`bridge.trace.recorder.session` names, as Rscript would.

        Every expression is evaluated, and what is visible printed, with nothing of ours on R's
        stack: the script sees its own calls only, and R tells of its warnings after each.
        """
        try:
            self._do("begin")
            while self._says("take"):
                try:
                    self._do("pending")
                    if self._says("show"):
                        self._do("pending")
                except RError:
                    if not self._says("recovers"):
                        raise
                self._warned()
            self._do("ended")
        except RError:
            self._do("failed")
        self._do("after")

    def listen(
        self,
        out: Callable[[str], None],
        err: Callable[[str], None],
        ask: Callable[[str], str],
    ) -> None:
        """Send what R prints to ``out`` and ``err``; ``ask`` answers what R reads."""
        self._callbacks.consolewrite_print = out
        self._callbacks.consolewrite_warnerror = err
        self._callbacks.showmessage = err
        self._callbacks.consoleread = ask

    def _do(self, name: str) -> int:
        """Evaluate one of the prepared calls, and return where R keeps what came out."""
        heard: list[str] = []
        running = name in (*_STEPS, "pending")
        if not running:
            self.listen(heard.append, heard.append, lambda _prompt: "")
        failed = ctypes.c_int(0)
        environment = self._hooks if running else self._base
        value = self._try_eval(self._pointer(self._calls[name]), environment, ctypes.byref(failed))
        if failed.value:
            raise RError(" ".join("".join(heard).split()) or f"R failed to {name}")
        return int(value or 0)

    def _warned(self) -> None:
        """Let R tell of its warnings; where we ask for them, R takes us for an error's message."""
        tell = self._callbacks.consolewrite_warnerror
        self._callbacks.consolewrite_warnerror = lambda text: tell(text.removeprefix(_IN_ADDITION))
        self._do("warned")
        self._callbacks.consolewrite_warnerror = tell

    def _says(self, name: str) -> bool:
        return bool(self._library.Rf_asLogical(self._do(name)) == 1)

    def _pointer(self, item: Any) -> int:
        return int(self._ffi.cast("uintptr_t", item.__sexp__._cdata))


def _stack_bytes() -> int:
    """Return how much of the C stack R may use: three quarters of what there is."""
    soft, _ = resource.getrlimit(resource.RLIMIT_STACK)
    there = 64 * 2**20 if soft == resource.RLIM_INFINITY else soft
    return there // 4 * 3


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
