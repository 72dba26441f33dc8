"""Scripts make the same calls of Python on the stand-in as they made on the real packages.

The scripts and the calls in tests/data/golden were recorded with CRAN's packages. Here each script
runs on the stand-in, and its calls are compared one by one: what was called, and with which
arguments. The names of temporary files aside, they must be equal. Where a recording says so, what
the script printed is compared as well: values, warnings and the words of errors.
"""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from bridge.r.standin import build
from tests.standin import needs_r

pytestmark = [*needs_r, pytest.mark.tf, pytest.mark.slow]

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
DRIVER = Path(__file__).parents[1] / "golden"

CASES = sorted(GOLDEN.glob("*/*.json"))


@functools.cache
def recorded(folder: Path) -> dict[str, dict[str, Any]]:
    """Run every script of a folder on the stand-in, in one session; name -> what it did."""
    package = folder.name.split("-")[0]
    environment = os.environ | {
        "R_LIBS": str(build.ensure_standin()),
        "RETICULATE_PYTHON": sys.executable,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_USE_LEGACY_KERAS": "1" if package == "keras" else "0",
    }
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "scripts").mkdir()
        (work / "out").mkdir()
        for path in folder.glob("*.json"):
            lines = json.loads(path.read_text(encoding="utf-8"))["script"]
            (work / "scripts" / f"{path.stem}.R").write_text("\n".join(lines) + "\n", "utf-8")
        command = ["Rscript", "--no-init-file", str(DRIVER / "driver.R"), package]
        done = subprocess.run(
            [*command, str(work / "scripts"), str(work / "out"), str(DRIVER)],
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=280,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return {p.stem: json.loads(_clean(p)) for p in (work / "out").glob("*.json")}


@functools.cache
def has_package(name: str) -> bool:
    paths = build.library_paths(build.r_home(), os.environ)
    return any((path / name / "DESCRIPTION").is_file() for path in paths)


def _without_addresses(lines: list[str]) -> list[str]:
    return [re.sub(r"0x[0-9a-f]+", "0x", line) for line in lines]


def _clean(path: Path) -> str:
    return re.sub(r"/[\w./-]*/Rtmp\w+/[\w.]+", "<temporary file>", path.read_text("utf-8"))


@pytest.mark.parametrize("path", CASES, ids=[f"{p.parent.name}-{p.stem}" for p in CASES])
def test_a_script_makes_the_calls_that_it_made_on_the_real_package(path: Path) -> None:
    real = json.loads(path.read_text(encoding="utf-8"))
    if real.get("needs") and not has_package(real["needs"]):
        pytest.skip(f"R has no package {real['needs']}")
    here = recorded(path.parent)[path.stem]
    for number, (expected, call) in enumerate(zip(real["calls"], here["calls"], strict=False)):
        assert call == expected, f"call {number} of {len(real['calls'])}"
    assert len(here["calls"]) == len(real["calls"]), here["about"]["message"]
    assert here["about"]["status"] == real["status"], here["about"]["message"]
    if real.get("printed"):
        printed = (_without_addresses(each["output"]) for each in (here["about"], real))
        assert next(printed) == next(printed)


def test_there_are_golden_calls_of_both_packages() -> None:
    assert {path.parent.name.split("-")[0] for path in CASES} == {"keras", "keras3"}
