"""Whether looking changes anything: what a script prints under us and under plain ``Rscript``.

``python -m benchmarks.transparent`` runs every script of the suite both ways, with the same R
packages, compares what was printed line by line, and writes ``benchmarks/TRANSPARENT.md``;
``QUICK=1`` takes every sixth script. Folders and scripts can be given instead: then the page is
only printed.

Times, addresses and paths are masked by general patterns, and of a line that is written over only
the last state counts. Where a line still differs, plain R runs a second time: what differs there as
well is drawn without a seed, and says nothing of us.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from benchmarks import plain
from bridge.capsule import Manifest
from bridge.cases.case import suite_folders
from bridge.process.pool import Limits, Pool
from bridge.r.script import Inspection, Served, Wanted, inspect, serve
from bridge.runs.r import run_r

HERE = Path(__file__).parent
QUICK = bool(os.environ.get("QUICK"))
SHOWN: Final = 3

_MASKS: Final = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?"), "<time>"),
    (re.compile(r"\b\d+:\d\d(:\d\d)?\b"), "<time>"),
    (
        re.compile(r"\b\d+(\.\d+)? ?(ns|us|µs|ms|s|secs?|mins?|hours?)(/\w+)?\b(?!\.)"),
        "<time>",
    ),
    (re.compile(r"\b0x[0-9a-f]{6,}\b"), "<address>"),
    (re.compile(r"(<\w+>|~)?(/[\w.+%-]+)+/[\w.+%-]*|<work>[\w./+%-]*"), "<path>"),
)

Verdict = Literal["same", "unseeded", "differs", "unmeasured"]


@dataclass(frozen=True)
class Compared:
    """One script: how the two outputs compare, and the first lines that differ by our doing."""

    script: str
    verdict: Verdict
    lines: int
    differing: tuple[tuple[str, str], ...] = ()
    #: How plain R and how our run ended, where that is not alike.
    ends: str = ""


def printed(manifest: Manifest) -> str:
    """Return what a run printed to its standard output, R and Python in order."""
    return "".join(each.text for each in manifest.output if each.stream in ("stdout", "python"))


def lines_of(text: str) -> list[str]:
    """Return the lines as they are read, without what differs from one process to the next."""
    return [_masked(_last_state(line)) for line in text.split("\n")]


def _last_state(line: str) -> str:
    """Return a line as a terminal shows it in the end."""
    states = [state for state in re.split(r"[\r\b]+", line) if state]
    return states[-1] if states else ""


def _masked(line: str) -> str:
    for pattern, name in _MASKS:
        line = pattern.sub(name, line)
    # Columns are as wide as their longest entry, and that may be a path or a time.
    return re.sub(r"[ \t]+", " ", line).rstrip() if "<" in line else line


def changes(left: Sequence[str], right: Sequence[str]) -> dict[int, tuple[str, str]]:
    """Return where ``right`` differs, by the line of ``left``: both texts."""
    found = {}
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            continue
        for step in range(max(b - a, d - c)):
            mine = left[a + step] if a + step < b else ""
            its = right[c + step] if c + step < d else ""
            place = a + step if a + step < b else b
            found.setdefault(place, (mine, its))
    return found


def compare(script: Path, inspection: Inspection, served: Served, pool: Pool) -> Compared:
    """Run a script both ways, and say whether it prints the same."""
    limits = Limits(seconds=plain.LIMIT)
    try:
        manifest = run_r(pool, script.stem, script, inspection, served, limits).manifest
    except Exception as error:
        # One script that we cannot run must not hide what the others print.
        return Compared(script.stem, "unmeasured", 0, (), f"no run here: {error!r}")
    ours = lines_of(printed(manifest))
    text, code = plain.run(script, inspection, served)
    theirs = lines_of(text)
    if code == plain.LATE:
        return Compared(script.stem, "unmeasured", 0, (), "plain Rscript came to no end in time")
    well = manifest.status in ("ok", "quit")
    ends = "" if well == (code == 0) else f"Rscript {code}, here {manifest.status}"
    found = changes(theirs, ours)
    if not found:
        return Compared(script.stem, "same", len(theirs), (), ends)
    again, code = plain.run(script, inspection, served)
    # What a run that was cut short did not print is no draw.
    drawn = changes(theirs, lines_of(again)) if code != plain.LATE else {}
    left = tuple(each for place, each in found.items() if place not in drawn)
    verdict: Verdict = "differs" if left else "unseeded"
    return Compared(script.stem, verdict, len(theirs), left, ends)


def measure(scripts: Sequence[Path], wanted: Wanted, jobs: int) -> list[Compared]:
    """Compare every script that R can parse."""
    installed, inspections = inspect(scripts)
    readable = [
        (script, inspection)
        for script, inspection in zip(scripts, inspections, strict=True)
        if not inspection.problem
    ]
    found: list[Compared] = []
    with Pool() as pool, ThreadPoolExecutor(jobs) as threads:
        made = [
            threads.submit(compare, script, seen, serve(seen.package, wanted, installed), pool)
            for script, seen in readable
        ]
        for number, each in enumerate(made, start=1):
            compared = each.result()
            print(
                f"{number} of {len(made)}: {compared.script}: {compared.verdict}", file=sys.stderr
            )
            found.append(compared)
    return found


def page(found: Sequence[Compared], wanted: str) -> str:
    """Write the page."""
    count = {
        name: sum(each.verdict == name for each in found)
        for name in ("same", "unseeded", "unmeasured")
    }
    differing = [each for each in found if each.verdict == "differs"]
    ends = [each for each in found if each.ends]
    return (
        "\n".join(
            [
                "# Whether looking changes what a script prints",
                "",
                "`make bench-transparent` wrote this page: every script is run by plain `Rscript`",
                f"and by keras-bridge with the same R packages (`--frontend {wanted}`), and what",
                "it prints is compared line by line. Times, addresses and paths are masked.",
                "",
                "| scripts | lines | same | unseeded | different | not measured | other end |",
                "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
                f"| {len(found)} | {sum(each.lines for each in found):,} | {count['same']} "
                f"| {count['unseeded']} | {len(differing)} | {count['unmeasured']} | {len(ends)} |",
                "",
                "A line counts as an unseeded draw if it differs between two runs of plain",
                "`Rscript` as well. Wanted: nothing different.",
                "",
                *_differences(differing),
                *(f"- {each.script} ended otherwise: {each.ends}" for each in ends),
            ]
        ).rstrip("\n")
        + "\n"
    )


def _differences(differing: Iterable[Compared]) -> Iterable[str]:
    for each in differing:
        yield f"## {each.script}: {len(each.differing)} lines"
        yield ""
        yield "```"
        for mine, ours in each.differing[:SHOWN]:
            yield f"Rscript: {mine[:150]}"
            yield f"here:    {ours[:150]}"
        yield "```"
        yield ""


def scripts_in(places: Sequence[Path]) -> list[Path]:
    """Return the scripts of folders, and those that are named themselves."""
    return [
        script
        for place in places
        for script in (sorted(place.glob("*.[rR]")) if place.is_dir() else [place])
    ]


def main() -> None:
    """Measure, print the page, and keep that of the suite."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("places", nargs="*", type=Path, help="folders and scripts")
    parser.add_argument("--frontend", default="auto", choices=["auto", "cran", "standin"])
    parser.add_argument("--jobs", type=int, default=1)
    told = parser.parse_args()
    places = told.places or [folder for folder, _ in suite_folders()]
    scripts = scripts_in(places)
    scripts = scripts[::6] if QUICK else scripts
    text = page(measure(scripts, told.frontend, told.jobs), told.frontend)
    if not told.places:
        (HERE / "TRANSPARENT.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
