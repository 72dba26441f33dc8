"""A script as a user runs it by hand: ``Rscript script.R``, with the packages that serve us."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bridge.r.script import Inspection, Served
from bridge.runs.job import lay_beside

LIMIT = 300
#: What stands for the exit code of a script that did not end within :data:`LIMIT` seconds.
LATE = -1


def environment(inspection: Inspection, served: Served) -> dict[str, str]:
    """Return the environment in which plain R finds the same Python, Keras and R packages."""
    return os.environ | {
        "TF_USE_LEGACY_KERAS": "1" if inspection.generation == 2 else "0",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "RETICULATE_PYTHON": sys.executable,
        "R_LIBS": os.pathsep.join([*served.libraries, os.environ.get("R_LIBS", "")]),
    }


@dataclass(frozen=True)
class Told:
    """What a script printed, what went to its standard error, and its exit code."""

    printed: str
    said: str
    code: int


def run(script: Path, inspection: Inspection, served: Served) -> Told:
    """Run a script beside copies of its files."""
    with tempfile.TemporaryDirectory() as work:
        lay_beside(script, Path(work))
        try:
            done = subprocess.run(
                ["Rscript", script.name],
                cwd=work,
                env=environment(inspection, served),
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=LIMIT,
            )
            out, err, code = done.stdout, done.stderr, done.returncode
        except subprocess.TimeoutExpired as late:
            out, err, code = late.stdout or b"", late.stderr or b"", LATE
    return Told(out.decode("utf-8", "replace"), err.decode("utf-8", "replace"), code)
