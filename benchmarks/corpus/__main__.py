"""Check every script of the corpus and write how that went into ``benchmarks/SCRIPTS.md``.

    python -m benchmarks.corpus [NAME ...] [--frontend cran --frontend standin] [--part tuned]

Each script is run by plain ``Rscript`` and by ``keras-bridge check``, each from cold, and what all
their processes cost is measured. ``--recorded`` takes from the corpus what plain ``Rscript`` prints
and costs. What was measured is kept (``--out``) and not measured again: empty that folder after a
change. ``--record`` writes the ``.out`` files and the costs of plain ``Rscript`` instead. QUICK=1
takes every sixth script. On a machine that is shared, ``--through`` names a command that each
measurement is run through.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import plain
from benchmarks.corpus.cost import Cost
from benchmarks.corpus.judge import Judged, judge
from benchmarks.corpus.script import EXPECTED, PARTS, Script, read_scripts
from benchmarks.corpus.table import looked_at, section
from benchmarks.sections import put_section
from benchmarks.transparent import changes, lines_of, printed
from bridge.capsule import read_capsule
from bridge.r.script import inspect, serve

PAGE: Final = Path(__file__).parent.parent / "SCRIPTS.md"
HEADING: Final = "Realistic scripts"
QUICK: Final = bool(os.environ.get("QUICK"))
#: Seconds after which a check is stopped, and after which plain R is.
CHECK_LIMIT: Final = 600
PLAIN_LIMIT: Final = 300


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    frontends: tuple[str, ...]
    recorded: bool
    out: Path
    through: tuple[str, ...]


def main() -> None:
    """Measure, and write the section of the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="scripts of the corpus; all, if none is named")
    parser.add_argument("--frontend", action="append", choices=["cran", "standin", "auto"])
    parser.add_argument("--part", choices=PARTS)
    parser.add_argument("--recorded", action="store_true", help="do not run plain Rscript")
    parser.add_argument("--record", action="store_true", help="write what plain Rscript prints")
    parser.add_argument("--out", type=Path, default=Path("build/corpus"), help="what is kept")
    parser.add_argument("--through", default="", help="a command to run each measurement through")
    told = parser.parse_args()
    scripts = chosen(told.names, told.part)
    frontends = tuple(told.frontend or ["auto"])
    options = Options(frontends, told.recorded, told.out, tuple(told.through.split()))
    if told.record:
        record(scripts, options)
        return
    whole = not (told.names or told.part or QUICK)
    sections = []
    for frontend in options.frontends:
        judged = []
        for number, script in enumerate(scripts, start=1):
            judged.append(measured(script, frontend, options))
            print(f"{number} of {len(scripts)}: {script.name}", file=sys.stderr)
        sections.append(section(judged, frontend))
        if listed := looked_at(judged):
            print(f"Not right, of the tuned part:\n{listed}\n")
    text = "\n\n".join([_ABOUT, *sections])
    if whole:
        put_section(PAGE, HEADING, text)
    print(text)


_ABOUT: Final = """\
`make bench-scripts` wrote this section: scripts of 40 to 120 lines as people write them
([corpus](corpus)), each checked from cold. Half are clean, half have one planted surprise; of the
"held-out" part nobody looks at more than these totals. In brackets: Wilson's 95% interval. A script
may cost twice what plain `Rscript` does if that is over 10 s of CPU, or else 10 s more."""


def chosen(names: Sequence[str], part: str | None) -> list[Script]:
    """Return the scripts that are asked for.

    Raises:
        SystemExit: a script is not in the corpus.
    """
    scripts = [script for script in read_scripts() if part in (None, script.part)]
    if unknown := set(names) - {script.name for script in scripts}:
        sys.exit(f"not in the corpus: {', '.join(sorted(unknown))}")
    if names:
        return [script for script in scripts if script.name in names]
    return scripts[::6] if QUICK else scripts


def measured(script: Script, frontend: str, options: Options) -> Judged:
    """Check one script, or take what is kept of it, and judge the answer."""
    folder = options.out / frontend / script.name
    cost = _kept(folder / "check.json")
    if cost is None:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["check", str(script.path), "--out", str(folder.resolve())]
        cost = _cost(
            [sys.executable, "-m", "bridge", *command, "--frontend", frontend],
            folder / "check.json",
            folder / "check.txt",
            CHECK_LIMIT,
            options.through,
        )
    by_hand = script.cpu_seconds
    theirs = script.printed.read_text("utf-8")
    if not options.recorded:
        plain_cost = _plain(script, frontend, folder, options.through)
        by_hand, theirs = plain_cost.cpu, (folder / "plain.txt").read_text("utf-8", "replace")
    report = _report(folder / script.name / "report.json")
    capsule = folder / script.name / "r.capsule"
    same = _prints_the_same(capsule, theirs) if capsule.is_file() else None
    return judge(script, report, same, cost.cpu, by_hand, cost.peak_mib)


def _report(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    report: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return report


def _prints_the_same(capsule: Path, theirs: str) -> bool:
    ours = printed(read_capsule(capsule).manifest)
    return not changes(lines_of(theirs), lines_of(ours))


def record(scripts: Sequence[Script], options: Options) -> None:
    """Write what plain ``Rscript`` prints with the genuine packages, and what it costs."""
    known = json.loads(EXPECTED.read_text("utf-8"))
    with tempfile.TemporaryDirectory() as kept:
        for script in scripts:
            cost = _plain(script, "cran", Path(kept) / script.name, options.through)
            script.printed.write_bytes((Path(kept) / script.name / "plain.txt").read_bytes())
            known[script.name] |= {"exit": cost.code, "cpu_seconds": round(cost.cpu, 1)}
            print(f"{script.name}: exit {cost.code}, {cost.cpu:.1f} s", file=sys.stderr)
    EXPECTED.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _plain(script: Script, frontend: Any, folder: Path, through: Sequence[str]) -> Cost:
    kept = _kept(folder / "plain.json")
    if kept is not None:
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    installed, (inspection,) = inspect([script.path])
    served = serve(inspection.package, frontend, installed)
    return _cost(
        ["Rscript", str(script.path.resolve())],
        folder / "plain.json",
        folder / "plain.txt",
        PLAIN_LIMIT,
        through,
        plain.environment(inspection, served),
    )


def _kept(path: Path) -> Cost | None:
    return Cost(**json.loads(path.read_text())) if path.is_file() else None


def _cost(
    command: Sequence[str],
    file: Path,
    output: Path,
    limit: int,
    through: Sequence[str],
    environment: dict[str, str] | None = None,
) -> Cost:
    """Run a command in a folder of its own, keep what it printed, and return what it cost."""
    root = str(Path(__file__).parents[2])
    environment = dict(environment or os.environ)
    environment["PYTHONPATH"] = os.pathsep.join([root, environment.get("PYTHONPATH", "")])
    measure = [sys.executable, "-m", "benchmarks.corpus.cost", str(file.resolve())]
    with tempfile.TemporaryDirectory() as work, output.open("wb") as stdout:
        try:
            subprocess.run(
                [*through, *measure, "timeout", str(limit), *command],
                cwd=work,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.DEVNULL,
                check=False,
            )
        except OSError as error:
            sys.exit(f"{command[0]} can not be run: {error}")
    found = _kept(file)
    return found if found is not None else Cost(0.0, 0.0, 0.0, -1)


if __name__ == "__main__":
    main()
