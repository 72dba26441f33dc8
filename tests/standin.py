"""Running R scripts on the stand-in packages in tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bridge.r.standin import build

HAS_R = shutil.which("Rscript") is not None

needs_r = [
    pytest.mark.r,
    pytest.mark.skipif(not HAS_R, reason="R is not on the PATH"),
]

#: Gives R a function note(name, value), which hands a JSON value to the test.
PRELUDE = """
note <- function(name, value) {
  text <- jsonlite::toJSON(value, auto_unbox = TRUE, null = "null", na = "null", digits = 12)
  cat("NOTE", jsonlite::toJSON(name, auto_unbox = TRUE), text, "\\n", sep = "\\x1f")
}
error_of <- function(expression) {
  tryCatch({ expression; "no error" }, error = conditionMessage)
}
"""


def rscript(
    script: str, folder: Path, *arguments: str, timeout: float = 200
) -> subprocess.CompletedProcess[str]:
    """Run an R script with the stand-in packages in front of all others."""
    path = folder / "script.R"
    path.write_text(script, encoding="utf-8")
    library = build.ensure_standin()
    environment = {key: value for key, value in os.environ.items() if key != "TF_USE_LEGACY_KERAS"}
    environment |= {
        "R_LIBS": str(library),
        "RETICULATE_PYTHON": sys.executable,
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    return subprocess.run(
        ["Rscript", "--no-save", "--no-init-file", str(path), *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
    )


def notes(script: str, folder: Path) -> dict[str, Any]:
    """Run ``script`` after the prelude; what it noted, name -> value."""
    done = rscript(PRELUDE + script, folder)
    found: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        if line.startswith("NOTE\x1f"):
            _, name, value, *_ = line.split("\x1f")
            found[json.loads(name)] = json.loads(value)
    found["stdout"] = done.stdout
    found["stderr"] = done.stderr
    found["exit"] = done.returncode
    return found
