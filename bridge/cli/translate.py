"""Translating a script, or a recorded run of one, from what R asked of Python."""

from __future__ import annotations

from pathlib import Path

from bridge.capsule import Capsule, read_capsule
from bridge.cases.case import read_case
from bridge.process.pool import Limits, Pool
from bridge.r.script import Wanted, inspect, serve
from bridge.runs.r import not_run, run_r
from bridge.runs.twin import script_of
from bridge.translate.replayed import Replayed


def translate_trace(
    what: Path, frontend: Wanted, limits: Limits, stem: str = "replay"
) -> tuple[Replayed, Capsule]:
    """Return the Python that does what a script asked of Python, and the run it was made from.

    Args:
        what: an R script, which is run, or a capsule of one.
        frontend: who answers ``library(keras)``.
        limits: what the run may use.
        stem: the name of the file that the Python will be written to, without its ending.

    Raises:
        CapsuleError: it is no capsule.
        CaseError: it cannot be read.
        NoRError, NoFrontEndError, StandinError, PoolError: the script cannot be run here.
    """
    recorded = _record(what, frontend, limits) if what.suffix in (".R", ".r") else None
    recorded = recorded or read_capsule(what)
    return script_of(recorded, stem), recorded


def _record(script: Path, frontend: Wanted, limits: Limits) -> Capsule:
    case = read_case(script)
    installed, (inspection,) = inspect([case.script])
    served = serve(inspection.package, frontend, installed)
    if inspection.problem:
        return not_run(case.name, case.script, inspection, served.frontend)
    with Pool() as pool:
        return run_r(pool, case.name, case.script, inspection, served, limits)
