"""Running a Python file, such as the twin of a script, in a process that has no R."""

from __future__ import annotations

import runpy
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

from bridge.capsule import Capsule
from bridge.cases.probe_label import on_error
from bridge.process.job_setup import find_neighbours
from bridge.process.pool import Limits, Pool
from bridge.process.zygote import Context
from bridge.runs.job import begin, finish, ran, run_job
from bridge.runs.levers import Lever, params_for_script, warm_for
from bridge.trace.capsule_builder import Origin
from bridge.trace.encoder import Encoder
from bridge.trace.observer import Observer
from bridge.trace.recorder import describe_error


def run_twin(
    pool: Pool,
    case: str,
    twin: Path,
    generation: int,
    limits: Limits,
    lever: Lever | None = None,
) -> Capsule:
    """Run the Python equivalent of a script under a lever.

    Raises:
        LeverError: the lever cannot be pulled for a script.
        PoolError: TensorFlow or Keras cannot be started.
    """
    params = params_for_script(lever) | {"script": str(twin.resolve())}
    text = twin.read_text("utf-8", errors="replace")
    origin = Origin("twin", case, twin, text, "python", None, (str(twin.resolve().parent),))
    with run_job(pool, warm_for(lever, generation), twin_job, params, limits) as left:
        return left.capsule(origin, lever)


def twin_job(context: Context, params: dict[str, Any]) -> None:
    """Run ``params["script"]``; if it defines ``twin()``, that is called."""
    path = Path(params["script"])
    spool = begin(context, params, of_script=True)
    Observer(spool, Encoder(spool)).install(context.keras)
    on_error(
        lambda label, error: spool.event("caught", error=describe_error(error) | {"label": label})
    )
    find_neighbours(path)
    sys.argv = [str(path)]

    def script() -> None:
        with warnings.catch_warnings(record=True):
            names = runpy.run_path(str(path), run_name="__twin__")
            twin = names.get("twin")
            if callable(twin):
                twin()

    finish(spool, context, ran(spool, script, lambda error: _line(error, path)))


def _line(error: BaseException, path: Path) -> int | None:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return lines[-1] if lines else getattr(error, "lineno", None)
