"""The command ``translate``: the Python of a script's text, or of what it asked of Python."""

from __future__ import annotations

import sys
from pathlib import Path

from bridge.capsule import Capsule, CapsuleError, read_capsule
from bridge.cases.case import CaseError, read_case
from bridge.cli.options import OK, Progress, environment_errors, stop
from bridge.pipeline.case_run import Settings
from bridge.process.pool import Pool
from bridge.r.script import inspect, serve
from bridge.report.text import one_line
from bridge.runs.intent import translated
from bridge.runs.r import not_run, run_r
from bridge.runs.twin import script_of


def print_intent(what: Path, output: Path | None) -> int:
    """Print or write what a script's text says in Python; return the exit code."""
    with environment_errors():
        found = translated(what)
    if output is None:
        print(found.text, end="")
    else:
        output.write_text(found.text, "utf-8")
        print(output)
    for gap in found.gaps:
        print(f"Not translated: {one_line(gap.sentence)}", file=sys.stderr)
    return OK


def print_replay(what: Path, output: Path | None, options: Settings) -> int:
    """Print or write what a script, or a recorded run of one, asked of Python."""
    try:
        with Progress("starting R and TensorFlow"), environment_errors():
            is_script = what.suffix in (".R", ".r")
            recorded = _record(what, options) if is_script else read_capsule(what)
    except (CapsuleError, CaseError) as error:
        stop(str(error))
    if not recorded.manifest.calls:
        stop(f"{what} asked nothing of Python: there is nothing to translate.")
    found = script_of(recorded, output.stem if output is not None else "replay")
    if output is None:
        print(found.source, end="")
    else:
        found.save(output)
        print(output)
    said = [f"Left out: {one_line(gap)}" for gap in found.gaps]
    if output is None and found.arrays:
        said.append("Its large arrays are not written: use -o FILE to have them beside it.")
    for line in said:
        print(line, file=sys.stderr)
    return OK


def _record(script: Path, options: Settings) -> Capsule:
    case = read_case(script)
    installed, (inspection,) = inspect([case.script])
    served = serve(inspection.package, options.frontend, installed)
    if inspection.problem:
        return not_run(case.name, case.script, inspection, served.frontend)
    with Pool() as pool:
        return run_r(pool, case.name, case.script, inspection, served, options.limits)
