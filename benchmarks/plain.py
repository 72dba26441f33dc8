"""A script as a user runs it by hand: ``Rscript script.R``, with the packages that serve us."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
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


def run(script: Path, inspection: Inspection, served: Served) -> tuple[str, int]:
    """Run a script beside copies of its files; return what it printed and its exit code."""
    with tempfile.TemporaryDirectory() as work:
        lay_beside(script, Path(work))
        try:
            done = subprocess.run(
                ["Rscript", script.name],
                cwd=work,
                env=environment(inspection, served),
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=LIMIT,
            )
        except subprocess.TimeoutExpired as late:
            return (late.stdout or b"").decode("utf-8", "replace"), LATE
    return done.stdout.decode("utf-8", "replace"), done.returncode
