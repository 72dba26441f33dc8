"""Running an R script, unmodified, in a child of a warm process."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge.capsule import Capsule, FrontEnd, Manifest
from bridge.errors import internal_error
from bridge.facts.r import DRAWING
from bridge.process.environment import SEED, describe_environment
from bridge.process.pool import Limits, Pool, Warm
from bridge.process.zygote import Context
from bridge.r.script import Inspection, Served
from bridge.runs.job import Place, begin, finish, lay_beside, run_job
from bridge.runs.levers import Lever, params_for_script
from bridge.trace import recorder
from bridge.trace.capsule_builder import Origin
from bridge.trace.encoder import Encoder
from bridge.trace.observer import Observer
from bridge.trace.r_functions import follow
from bridge.trace.spool import SpoolWriter

#: What a script may print before it is stopped, in characters.
MAX_OUTPUT: Final = 64 * 2**20

#: How much of that is kept, in characters.
KEPT_OUTPUT: Final = 2**20


def warm_for_r(inspection: Inspection, served: Served, lever: Lever | None = None) -> Warm:
    """Return the kind of warm process in which a script runs, under a lever.

    Raises:
        LeverError: the lever cannot be pulled in this generation of Keras.
    """
    env = () if lever is None else lever.environment(inspection.generation)
    return Warm(inspection.generation, True, served.libraries, served.preload, env)


def run_r(
    pool: Pool,
    case: str,
    script: Path,
    inspection: Inspection,
    served: Served,
    limits: Limits,
    lever: Lever | None = None,
    places: Sequence[int] = (),
) -> Capsule:
    """Run an R script, unmodified, under a lever.

    ``places`` are the expressions whose values are kept, by their rows in R's syntax tree.

    Raises:
        LeverError: the lever cannot be pulled for a script.
        PoolError: R, TensorFlow or Keras cannot be started.
    """
    params = params_for_script(lever) | {"script": str(script.resolve()), "places": list(places)}
    private = (str(script.resolve().parent), *served.libraries)
    origin = Origin("r", case, script, inspection.text, "r", served.frontend, private)

    def prepare(place: Place) -> dict[str, Any]:
        lay_beside(script, place.work)
        return {}

    warm = warm_for_r(inspection, served, lever)
    with run_job(pool, warm, r_job, params, limits, prepare=prepare) as left:
        return left.capsule(origin, lever)


def not_run(case: str, script: Path, inspection: Inspection, frontend: FrontEnd) -> Capsule:
    """Return the capsule of a script that was not run: it does not parse, or we failed."""
    manifest = Manifest.model_validate(
        {
            "runner": "r",
            "case": case,
            "status": inspection.problem or "not-run",
            "error": inspection.error,
            "frontend": frontend,
            "script": {
                "name": script.name,
                "language": "r",
                "text": inspection.text,
                "sha256": "",
            },
        }
    )
    return Capsule(manifest, {})


def r_job(context: Context, params: dict[str, Any]) -> None:
    """Run ``params["script"]`` and leave everything that it did in ``params["spool"]``."""
    assert context.r is not None, "this warm process was started without R"
    plots = Path(params["spool"]) / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    spool = begin(context, params, of_script=True)
    encoder = Encoder(spool)
    calls = recorder.Recorder(spool, encoder)
    script, places = Path(params["script"]), list(params["places"])
    session = _RSession(spool, script, places, plots, encoder, calls)
    if params.get("contained"):
        spool.event("note", text=f"Contained: {', '.join(params['contained'])}.")
    recorder.activate(calls)
    recorder.listen(session)
    follow(recorder.active)
    Observer(spool, encoder, recorder.active_call).install(context.keras)
    spool.event("environment", environment=describe_environment())
    context.r.name_script(session.script.name)
    context.r.listen(session.stdout, session.stderr, session.asked)
    sys.argv = [sys.executable]
    sys.stdout = _StandardOutput(session.python)
    _warn_as_without_us()

    def end() -> None:
        sys.stdout.flush()
        finish(spool, context, **session.situation)

    session.finish = end
    context.r.run()
    end()


def _warn_as_without_us() -> None:
    """Let Python tell a warning as where R calls it itself: with no Python above, it is sys:1."""
    own = warnings.formatwarning
    ours = str(Path(recorder.__file__).parent)

    def formatwarning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        line: str | None = None,
    ) -> str:
        if filename.startswith(ours):
            filename, lineno, line = "sys", 1, ""
        return own(message, category, filename, lineno, line)

    warnings.formatwarning = formatwarning


class _StandardOutput(io.TextIOBase):
    """What stands for Python's standard output, so that its text keeps its place among R's."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, hear: Callable[[str], None]) -> None:
        self._hear = hear
        self.buffer = _StandardOutputBytes(hear)

    def write(self, text: str) -> int:
        self._hear(text)
        return len(text)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1


class _StandardOutputBytes(io.RawIOBase):
    """The same for those that write bytes."""

    def __init__(self, hear: Callable[[str], None]) -> None:
        self._hear = hear

    def write(self, data: Any) -> int:
        self._hear(bytes(data).decode("utf-8", "replace"))
        return len(data)

    def writable(self) -> bool:
        return True


class _RSession:
    """One script's life: where it is, what it prints and signals."""

    def __init__(
        self,
        spool: SpoolWriter,
        script: Path,
        places: list[int],
        plots: Path,
        encoder: Encoder,
        calls: recorder.Recorder,
    ) -> None:
        self._spool = spool
        self._calls = calls
        self._encoder = encoder
        self.script = script
        self._places = places
        self._plots = plots
        self._line: int | None = None
        #: The statement at the top of the script that is being run, counted from 1, and the calls
        #: that were recorded before it.
        self._statement = 0
        self._before = 0
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
                "places": self._places,
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
            self._statement += 1
            self._before = self._calls.count
            self._spool.event("at", line=line, plots=len(list(self._plots.iterdir())))
        elif event == "draw":
            self._drew(line, **about)
        elif event == "answered":
            self._answered(**about)
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
            strings = [str(string) for string in flat]
        else:
            shape = size if isinstance(size, list) else [size]
            found = np.asarray(flat).reshape([int(extent) for extent in shape], order="F")
            array = self._encoder.array(name, found)
        self._spool.event(
            "draw",
            name=name,
            line=line,
            array=array,
            strings=strings,
            statement=self._statement,
        )

    def _answered(self, variables: list[dict[str, Any]], places: list[dict[str, Any]]) -> None:
        """Keep what a statement made of the script's variables, and its watched expressions."""
        self._spool.event(
            "answered",
            statement=self._statement,
            line=self._line,
            calls=[self._before + 1, self._calls.count],
            variables=[
                {"name": variable["name"], "value": self._encoder.value(variable["value"])}
                for variable in variables
            ],
            places=[
                {"place": int(place["place"]), "value": self._encoder.value(place["value"])}
                for place in places
            ],
        )

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
