"""Running an R script, unmodified, in a child of a warm process."""

from __future__ import annotations

import io
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge.errors import internal_error
from bridge.facts.r import DRAWING
from bridge.process import job_setup
from bridge.process.jobs import Context
from bridge.process.random_generators import SEED, start_chance
from bridge.runs.levers import pull
from bridge.trace import recorder
from bridge.trace.encoder import Encoder
from bridge.trace.observer import Observer
from bridge.trace.spool import SpoolWriter

#: What a script may print before it is stopped, in characters.
MAX_OUTPUT: Final = 64 * 2**20

#: How much of that is kept, in characters.
KEPT_OUTPUT: Final = 2**20


def run(context: Context, params: dict[str, Any]) -> None:
    """Run ``params["script"]`` and leave everything that it did in ``params["spool"]``."""
    assert context.r is not None, "this warm process was started without R"
    folder = Path(params["spool"])
    plots = folder / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    spool = SpoolWriter(folder)
    encoder = Encoder(spool)
    session = _Session(spool, Path(params["script"]), plots, encoder)
    if params.get("contained"):
        spool.event("note", text=f"Contained: {', '.join(params['contained'])}.")
    for note in pull(params.get("lever") or {}, context.keras):
        spool.event("note", text=note)
    recorder.activate(recorder.Recorder(spool, encoder))
    recorder.listen(session)
    Observer(spool, encoder, recorder.active_call).install(context.keras)
    spool.event("environment", environment=job_setup.describe_environment())
    os.chdir(params["workdir"])
    start_chance()
    job_setup.limit(int(params.get("memory_bytes", 0)))
    context.r.name_script(session.script.name)
    context.r.listen(session.stdout, session.stderr, session.asked)
    sys.argv = [sys.executable]
    sys.stdout = _Heard(session.python)

    def finish() -> None:
        sys.stdout.flush()
        spool.event(
            "situation",
            keras=job_setup.keras_version(context.generation),
            environment=job_setup.describe_environment(),
            **session.situation,
        )
        spool.event("end")

    session.finish = finish
    context.r.run()
    finish()


class _Heard(io.TextIOBase):
    """What stands for Python's standard output, so that its text keeps its place among R's."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, hear: Callable[[str], None]) -> None:
        self._hear = hear
        self.buffer = _HeardBytes(hear)

    def write(self, text: str) -> int:
        self._hear(text)
        return len(text)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1


class _HeardBytes(io.RawIOBase):
    """The same for those that write bytes."""

    def __init__(self, hear: Callable[[str], None]) -> None:
        self._hear = hear

    def write(self, data: Any) -> int:
        self._hear(bytes(data).decode("utf-8", "replace"))
        return len(data)

    def writable(self) -> bool:
        return True


class _Session:
    """One script's life: where it is, what it prints and signals."""

    def __init__(self, spool: SpoolWriter, script: Path, plots: Path, encoder: Encoder) -> None:
        self._spool = spool
        self._encoder = encoder
        self.script = script
        self._plots = plots
        self._line: int | None = None
        self._printed: Counter[str] = Counter()
        self._left_out: set[str] = set()
        self.situation: dict[str, Any] = {}
        self.finish: Callable[[], None] = lambda: None

    def hear(self, event: str, line: int | None, about: dict[str, Any]) -> Any:
        if event == "job":
            return {
                "script": str(self.script),
                "plots": str(self._plots),
                "seed": SEED,
                "drawing": sorted(DRAWING),
                "temporary": str(self._plots.parent),
            }
        try:
            self._hear(event, line, about)
        except Exception as error:
            # It would reach the script as an error of its own.
            internal_error(f"recording that R told of {event!r}", error)
        return None

    def _hear(self, event: str, line: int | None, about: dict[str, Any]) -> None:
        if event == "situation":
            self._situated(about["situation"])
        elif event == "left":
            # Nothing on the stack, neither R's nor Python's, may see that the script has left.
            self.finish()
            os._exit(0)
        elif event == "at":
            self._line = line
            self._spool.event("at", line=line, plots=len(list(self._plots.iterdir())))
        elif event == "draw":
            self._drew(line, **about)
        elif event == "signalled":
            self._signalled(line, **about)
        else:
            self._spool.event(event, line=line, **about)

    def stdout(self, text: str) -> None:
        self._print("stdout", text)

    def stderr(self, text: str) -> None:
        self._print("stderr", text)

    def python(self, text: str) -> None:
        self._print("python", text)

    def asked(self, _prompt: str) -> str:
        self._spool.event("stdin", line=self._line)
        return ""

    def _print(self, stream: str, text: str) -> None:
        # Python's progress bars must not use up the room of what R prints.
        kind = "Python" if stream == "python" else "R"
        self._printed[kind] += len(text)
        if self._printed[kind] > MAX_OUTPUT:
            self._spool.event("status", status="output-limit")
            os._exit(71)
        if self._printed[kind] <= KEPT_OUTPUT:
            self._spool.event("output", stream=stream, text=text, line=self._line)
        elif kind not in self._left_out:
            self._left_out.add(kind)
            kept = f"{KEPT_OUTPUT:,}"
            self._spool.event(
                "note", text=f"Only the first {kept} characters that {kind} printed are kept."
            )

    def _signalled(
        self,
        line: int | None,
        kind: str,
        text: str,
        call: str,
        cls: list[str] | str,
        origin: str,
    ) -> None:
        if kind == "error":
            first = cls if isinstance(cls, str) else cls[0]
            self._spool.event(
                "error",
                error={
                    "language": "r",
                    "cls": first,
                    "message": text,
                    "line": line,
                    "call": call,
                    "origin": origin,
                },
            )
        else:
            self._spool.event("condition", kind=kind, text=text, call=call, line=line)

    def _drew(self, line: int | None, name: str, values: Any, size: Any, text: bool) -> None:
        """Keep what a function of R's drew: another run can only be given the same."""
        flat = values if isinstance(values, list) else [values]
        array, strings = None, []
        if text:
            strings = [str(each) for each in flat]
        else:
            shape = size if isinstance(size, list) else [size]
            found = np.asarray(flat).reshape([int(each) for each in shape], order="F")
            array = self._encoder.array(name, found)
        self._spool.event("draw", name=name, line=line, array=array, strings=strings)

    def _situated(self, situation: dict[str, Any]) -> None:
        names = situation["names"]
        self.situation = {
            "r": situation["r"],
            "r_packages": dict(zip(names, situation["versions"], strict=True)),
            "markers": {
                name: marker
                for name, marker in zip(names, situation["markers"], strict=True)
                if marker
            },
        }
