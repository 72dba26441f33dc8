"""Running a Python file, in a child of a warm process that has no R."""

from __future__ import annotations

import os
import runpy
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

from bridge.cases.probe_label import on_error
from bridge.process import job_setup
from bridge.process.jobs import Context
from bridge.process.random_generators import start_chance
from bridge.runs.levers import pull
from bridge.trace.encoder import Encoder
from bridge.trace.observer import Observer
from bridge.trace.recorder import describe_error
from bridge.trace.spool import SpoolWriter


def run(context: Context, params: dict[str, Any]) -> None:
    """Run the file; if it defines ``twin()``, that is called."""
    path = Path(params["script"])
    spool = SpoolWriter(Path(params["spool"]))
    for note in pull(params.get("lever") or {}, context.keras):
        spool.event("note", text=note)
    Observer(spool, Encoder(spool)).install(context.keras)
    on_error(
        lambda label, error: spool.event("caught", error=describe_error(error) | {"label": label})
    )
    job_setup.find_neighbours(path)
    os.chdir(params["workdir"])
    start_chance()
    job_setup.limit(int(params.get("memory_bytes", 0)))
    status = "ok"
    sys.argv = [str(path)]
    try:
        with warnings.catch_warnings(record=True):
            names = runpy.run_path(str(path), run_name="__twin__")
            twin = names.get("twin")
            if callable(twin):
                twin()
    except SystemExit as leaving:
        status = "quit"
        spool.event("quit", code=str(leaving.code), line=None)
    except BaseException as error:
        status = "error"
        spool.event("error", error=describe_error(error) | {"line": _line(error, path)})
    spool.event("status", status=status)
    spool.event(
        "situation",
        keras=job_setup.keras_version(context.generation),
        environment=job_setup.describe_environment(),
    )
    spool.event("end")


def _line(error: BaseException, path: Path) -> int | None:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return lines[-1] if lines else getattr(error, "lineno", None)
