"""What many small scripts cost: one suite beside plain R and plain Python for each, in one run.

``python -m benchmarks.scripts`` writes a section of ``benchmarks/SCRIPTS.md``; ``QUICK=1`` takes
every sixth script. The scripts are those of the suite that have no twin, for a twin's claims have
no counterpart in plain R; the "equivalent Python" is the readable replay that the suite writes for
each. Times on a busy machine say little by themselves, the ratios do.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import plain as by_hand
from benchmarks.run import Memory
from benchmarks.sections import put_section
from bridge.cases.case import Case, find_cases, suite_folders
from bridge.pipeline.examine_case import Settings, Suite, write
from bridge.r.script import inspect, serve
from bridge.report.schema import CaseReport

HERE = Path(__file__).parent
QUICK = bool(os.environ.get("QUICK"))
CHECKED = 5
LIMIT = 300
HEADING = "What many small scripts cost"


@dataclass(frozen=True)
class Plain:
    """One script as a user would run it by hand: seconds, and whether both processes ended well."""

    seconds: float
    r: int
    python: int | None


def main() -> None:
    """Measure and write the page."""
    cases = [case for case in find_cases(suite_folders()) if case.twin is None]
    cases = cases[::6] if QUICK else cases
    folder = Path(tempfile.mkdtemp(prefix="bench-scripts-"))
    out = folder / "suite"
    print(f"run over {len(cases)} scripts, from cold", file=sys.stderr)
    with Memory() as memory:
        started = time.perf_counter()
        _keras_bridge("run", *(case.name for case in cases), "--out", str(out))
        together = time.perf_counter() - started
    reports = [_report(out / case.name) for case in cases]
    plain = []
    for number, case in enumerate(cases, start=1):
        print(f"plain R and Python: {number} of {len(cases)}", file=sys.stderr)
        plain.append(_plain(case, out / case.name))
    ran = [case for case, each in zip(cases, plain, strict=True) if each.r == 0][:CHECKED]
    cold, warm = _checks(ran, folder)
    page = _page(reports, plain, together, memory.peak, cold, warm)
    put_section(HERE / "SCRIPTS.md", HEADING, page)
    print(page)


def _keras_bridge(*words: str) -> None:
    # Exit code 1 says that a case is not as expected: a result here, not a failure.
    done = subprocess.run(
        [sys.executable, "-m", "bridge", *words], capture_output=True, check=False, text=True
    )
    if done.returncode not in (0, 1):
        sys.exit(done.stderr)


def _report(folder: Path) -> CaseReport | None:
    path = folder / "report.json"
    return CaseReport.model_validate_json(path.read_text("utf-8")) if path.is_file() else None


def _plain(case: Case, folder: Path) -> Plain:
    """Run a script with Rscript, and its replay with Python, one after the other from cold."""
    installed, (inspection,) = inspect([case.script])
    served = serve(inspection.package, "auto", installed)
    environment = by_hand.environment(inspection, served)
    with tempfile.TemporaryDirectory() as work:
        started = time.perf_counter()
        r = _code(["Rscript", str(case.script.resolve())], work, environment)
        replay = folder / "replay.py"
        python = (
            _code([sys.executable, str(replay.resolve())], work, None) if replay.is_file() else None
        )
        return Plain(time.perf_counter() - started, r, python)


def _code(command: Sequence[str], folder: str, environment: dict[str, str] | None) -> int:
    try:
        return subprocess.run(
            command, cwd=folder, env=environment, check=False, capture_output=True, timeout=LIMIT
        ).returncode
    except subprocess.TimeoutExpired:
        return -1


def _checks(cases: Sequence[Case], folder: Path) -> tuple[list[float], list[float]]:
    """Return the seconds of checking scripts from cold, and in a suite that is loaded."""
    cold = []
    for case in cases:
        started = time.perf_counter()
        _keras_bridge("check", str(case.script), "--out", str(folder / "cold"))
        cold.append(time.perf_counter() - started)
    warm = []
    with Suite(Settings()) as suite:
        for case in cases:
            write(list(suite.examine([case])), folder / "warm")
            started = time.perf_counter()
            write(list(suite.examine([case])), folder / "warm")
            warm.append(time.perf_counter() - started)
    return cold, warm


def _page(
    reports: Iterable[CaseReport | None],
    plain: Sequence[Plain],
    together: float,
    peak: float,
    cold: Sequence[float],
    warm: Sequence[float],
) -> str:
    one_by_one = sum(each.seconds for each in plain)
    verdicts = Counter("no report" if each is None else each.verdict for each in reports)
    ends = Counter("ended well" if each.r == 0 else "stopped" for each in plain)
    replayed = sum(each.python is not None for each in plain)
    return "\n".join(
        [
            "`make bench-scripts` wrote this section: every script of the suite that has no twin,",
            f"{len(plain)} of them, on {os.cpu_count()} cores.",
            "",
            "| what | seconds | per script |",
            "| --- | ---: | ---: |",
            f"| `keras-bridge run` over all, from cold | {together:.0f} "
            f"| {together / len(plain):.1f} |",
            f"| `Rscript script.R`, then `python replay.py`, one after the other "
            f"| {one_by_one:.0f} | {one_by_one / len(plain):.1f} |",
            f"| `keras-bridge check` of one script, from cold (median of {len(cold)}) "
            f"| {statistics.median(cold):.1f} | |",
            f"| the same in a suite that is loaded (median of {len(warm)}) "
            f"| {statistics.median(warm):.1f} | |",
            "",
            f"- The suite is **{one_by_one / together:.1f}** times as fast (wanted: 5), though it",
            "  runs each script, replays, looks into layers, compares, explains and draws.",
            f"- Largest process: **{peak:,.0f} MiB** (wanted: at most 1,536).",
            f"- Plain R: {_listed(ends)}; {replayed} of {len(plain)} scripts have a replay.",
            f"- Verdicts of the suite: {_listed(verdicts)}.",
            "",
        ]
    )


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


if __name__ == "__main__":
    main()
