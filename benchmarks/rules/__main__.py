"""Plant faults of known kinds, run the scripts and their mended twins, and count right answers.

    python -m benchmarks.rules [--seed N] [--models N] [--kinds L01,M03] [--list] [--fresh]

(or: make bench-rules, QUICK=1)

The scripts are made again from the seed; what was measured is kept in build/, so that a run that
was stopped goes on where it was. ``--fresh`` forgets the answers; ``--list`` only names what is not
right. The page is written when all kinds were asked.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.rules.judge import Judged, read
from benchmarks.rules.kinds import KINDS, sampled, scripts
from benchmarks.rules.published import TOOLS, said
from benchmarks.rules.table import page
from benchmarks.sections import put_section

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PAGE: Final = ROOT / "benchmarks" / "RULES.md"
#: Cases that one process runs: what is lost if it is stopped.
_TOGETHER: Final = 24
_QUICK: Final = os.environ.get("QUICK", "") not in ("", "0")


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models", type=int, default=1 if _QUICK else 10, help="of each kind")
    parser.add_argument("--kinds", default="", help="codes with commas; all, if none is named")
    parser.add_argument("--list", action="store_true", help="of what was measured; run nothing")
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    asked = parser.parse_args()
    kinds = [each for each in asked.kinds.split(",") if each] or list(KINDS)
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"no such kind: {', '.join(sorted(unknown))}")
    folder = ROOT / "build" / "bench-rules" / f"seed-{asked.seed}"
    pairs = [
        (code, f"{code.lower()}_{number:03}", number)
        for code in kinds
        for number in sampled(asked.seed, code, asked.models)
    ]
    names = list(_written(folder, asked.seed, pairs, asked.fresh))
    if not asked.list:
        _run(folder, names)
    judged = list(_judged(folder, pairs))
    text = page(judged, asked.seed, len(pairs))
    if set(kinds) == set(KINDS) and not (asked.list or _QUICK):
        put_section(PAGE, "Planted faults", text)
    print(text)
    print(*(line for each in judged if (line := each.line())), sep="\n")


def _judged(folder: Path, pairs: Iterable[tuple[str, str, int]]) -> Iterator[Judged]:
    for code, name, _ in pairs:
        both = [folder / "reports" / each for each in (name, f"{name}_mended")]
        if all((path / "report.json").is_file() for path in both):
            fault, twin = (read(json.loads((path / "report.json").read_text())) for path in both)
            theirs = [said(path / "r.capsule") for path in both]
            others = {tool: (theirs[0][tool], theirs[1][tool]) for tool in TOOLS}
            yield Judged(code, name, KINDS[code].accepted, fault, twin, others)


def _written(
    folder: Path, seed: int, pairs: Iterable[tuple[str, str, int]], fresh: bool
) -> Iterable[str]:
    """Write the scripts, forget the answers to those that changed, and yield their names."""
    place = folder / "r_scripts"
    place.mkdir(parents=True, exist_ok=True)
    for code, name, number in pairs:
        for case, text in zip((name, f"{name}_mended"), scripts(code, seed, number), strict=True):
            path, report = place / f"{case}.R", folder / "reports" / case
            if fresh or not path.is_file() or path.read_text("utf-8") != text:
                shutil.rmtree(report, ignore_errors=True)
            path.write_text(text, "utf-8")
            yield case


def _run(folder: Path, names: Sequence[str]) -> None:
    left = [name for name in names if not (folder / "reports" / name / "report.json").is_file()]
    for start in range(0, len(left), _TOGETHER):
        print(f"{start} of {len(left)} scripts", file=sys.stderr, flush=True)
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "bridge",
                "run",
                *left[start : start + _TOGETHER],
                "--out",
                "reports",
            ],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        # Exit code 1 says that a case is not as expected: a result here, not a failure.
        if done.returncode not in (0, 1):
            sys.exit(done.stderr)


if __name__ == "__main__":
    main()
