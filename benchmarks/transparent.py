"""Whether looking changes anything: what a script prints under us and under plain ``Rscript``.

``python -m benchmarks.transparent`` runs every script of the suite both ways, with the same R
packages, compares what was printed line by line, and writes ``benchmarks/TRANSPARENT.md``;
``QUICK=1`` takes every sixth script. Folders and scripts can be given instead; ``--keep NAME``
puts them into the page as well, and ``--left`` measures only what the page does not have.
``--reports OUT`` takes our side from what ``keras-bridge run --out OUT`` recorded.

Times, addresses, paths and the numbers that TensorFlow gives to functions as it traces them are
masked by general patterns, and of a line that is written over only the last state counts. An
unfinished state of Keras' progress bar is left out: the bar is drawn again when the clock says so.
Where a line still differs, plain R runs a second time: what differs there as well is drawn without
a seed, and says nothing of us.

What goes to the standard error is compared as a heap of lines: R's own text and what libraries
write past it come over two channels here, and their order is not known.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from benchmarks import plain
from bridge.capsule import Manifest, read_capsule
from bridge.cases.case import suite_folders
from bridge.process.pool import Limits, Pool
from bridge.r.script import Inspection, Served, Wanted, inspect, serve
from bridge.runs.r import run_r

HERE = Path(__file__).parent
QUICK = bool(os.environ.get("QUICK"))
SHOWN: Final = 3
#: What was measured, a row for each script and front end.
ROWS: Final = HERE / "transparent.json"
PAGE: Final = HERE / "TRANSPARENT.md"

_MASKS: Final = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?"), "<time>"),
    (re.compile(r"\b\d+:\d\d(:\d\d)?\b"), "<time>"),
    (
        re.compile(r"\b\d+(\.\d+)? ?(ns|us|µs|ms|s|secs?|mins?|hours?)(/\w+)?\b(?!\.)"),
        "<time>",
    ),
    (re.compile(r"\b0x[0-9a-f]{6,}\b"), "<address>"),
    (re.compile(r"\b__(inference|forward|backward)_(\w+?)_\d+\b"), r"__\1_\2_<number>"),
    (re.compile(r"(<\w+>|~)?(/[\w.+%-]+)+/[\w.+%-]*|<work>[\w./+%-]*"), "<path>"),
)

#: A progress bar of Keras at step n of m, or of an unknown number, up to its last metric.
_PROGRESS: Final = re.compile(
    r"^ *(\d+)/(\d+|Unknown) .*?<time>( *<time>)*( - [\w ]+: -?(nan|inf|[\d.]+(e[-+]\d+)?))* *"
)
#: What TensorFlow's and XLA's loggers write; only some of it is written in a process that was
#: warm before.
_LOGGED: Final = re.compile(
    # The second line of a message names the node of a graph.
    r"^(WARNING: All log messages before absl|\s*\[\[\{\{node |<time>\S*: [IWEF] |[IWEF]\d{4} "
    r"|To enable the following instructions)"
)

#: Rscript's last word where an error ends a script: how scripts end is compared by itself.
_HALTED: Final = "Execution halted"

Verdict = Literal["same", "unseeded", "differs", "unmeasured"]


@dataclass(frozen=True)
class Compared:
    """One script: how the two outputs compare, and the first lines that differ by our doing.

    ``said`` are lines of the standard error that only one side has: "Rscript: ..." or "here: ...".
    """

    script: str
    verdict: Verdict
    lines: int
    differing: tuple[tuple[str, str], ...] = ()
    #: How plain R and how our run ended, where that is not alike.
    ends: str = ""
    said: tuple[str, ...] = ()


def printed(manifest: Manifest) -> str:
    """Return what a run printed to its standard output, R and Python in order."""
    return "".join(each.text for each in manifest.output if each.stream in ("stdout", "python"))


def said(manifest: Manifest) -> str:
    """Return what a run wrote to its standard error, and libraries past R and Python."""
    return "\n".join(each.text for each in manifest.output if each.stream in ("stderr", "native"))


def lines_of(text: str) -> list[str]:
    """Return the lines as they are read, without what differs from one process to the next."""
    return [_shown(_masked(_last_state(line))) for line in text.split("\n")]


def _shown(line: str) -> str:
    """Return a line without an unfinished progress bar at its beginning."""
    bar = _PROGRESS.match(line)
    if bar is None or bar[1] == bar[2]:
        return line
    return line[bar.end() :]


def told_apart(theirs: str, ours: str) -> tuple[Counter[str], Counter[str]]:
    """Return the lines of a standard error that only plain R has, and those that only we have."""
    left, right = (
        Counter(
            line for line in lines_of(text) if line not in ("", _HALTED) and not _LOGGED.match(line)
        )
        for text in (theirs, ours)
    )
    return left - right, right - left


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


def compare(
    script: Path, inspection: Inspection, served: Served, pool: Pool, reports: Path | None
) -> Compared:
    """Run a script both ways, and say whether it prints the same."""
    limits = Limits(seconds=plain.LIMIT)
    try:
        if reports is not None:
            manifest = read_capsule(reports / script.stem / "r.capsule").manifest
        else:
            manifest = run_r(pool, script.stem, script, inspection, served, limits).manifest
    except Exception as error:
        # One script that we cannot run must not hide what the others print.
        return Compared(script.stem, "unmeasured", 0, (), f"no run here: {error!r}")
    if manifest.status == "time-limit":
        return Compared(script.stem, "unmeasured", 0, (), "no end here within the time limit")
    ours = lines_of(printed(manifest))
    first = plain.run(script, inspection, served)
    theirs = lines_of(first.printed)
    if first.code == plain.LATE:
        return Compared(script.stem, "unmeasured", 0, (), "plain Rscript came to no end in time")
    well = manifest.status in ("ok", "quit")
    ends = "" if well == (first.code == 0) else f"Rscript {first.code}, here {manifest.status}"
    found = changes(theirs, ours)
    missing, added = told_apart(first.said, said(manifest))
    if not (found or missing or added):
        return Compared(script.stem, "same", len(theirs), (), ends)
    again = plain.run(script, inspection, served)
    # What a run that was cut short did not print is no draw.
    cut = again.code == plain.LATE
    drawn = {} if cut else changes(theirs, lines_of(again.printed))
    left = tuple(each for place, each in found.items() if place not in drawn)
    verdict: Verdict = "differs" if left else "unseeded" if found else "same"
    # Of lines that vary in plain R, as many may differ here.
    gone, new = (Counter[str](), Counter[str]()) if cut else told_apart(first.said, again.said)
    missing -= gone
    for _ in range(new.total()):
        if added:
            added -= Counter([next(iter(added))])
    heard = (
        *(f"Rscript: {line}" for line in missing.elements()),
        *(f"here: {line}" for line in added.elements()),
    )
    return Compared(script.stem, verdict, len(theirs), left, ends, heard)


def measure(
    scripts: Sequence[Path],
    wanted: Wanted,
    jobs: int,
    reports: Path | None,
    keep: Callable[[Compared], None],
) -> None:
    """Compare every script that R can parse, and keep what was found of each."""
    installed, inspections = inspect(scripts)
    readable = [
        (script, inspection)
        for script, inspection in zip(scripts, inspections, strict=True)
        if not inspection.problem
    ]
    with Pool() as pool, ThreadPoolExecutor(jobs) as threads:
        made = [
            threads.submit(
                compare, script, seen, serve(seen.package, wanted, installed), pool, reports
            )
            for script, seen in readable
        ]
        for number, each in enumerate(as_completed(made), start=1):
            compared = each.result()
            print(
                f"{number} of {len(made)}: {compared.script}: {compared.verdict}", file=sys.stderr
            )
            keep(compared)


#: Where a script stands, and who answered it.
Kind = tuple[str, str]


def read() -> dict[Kind, dict[str, Compared]]:
    """Return what was measured, by the name of the scripts' set, the front end, and the script."""
    found: dict[Kind, dict[str, Compared]] = {}
    rows: list[dict[str, Any]] = json.loads(ROWS.read_text("utf-8")) if ROWS.exists() else []
    for row in rows:
        kind = (row.pop("set"), row.pop("frontend"))
        pairs = tuple((mine, ours) for mine, ours in row.pop("differing"))
        compared = Compared(**row | {"differing": pairs, "said": tuple(row["said"])})
        found.setdefault(kind, {})[compared.script] = compared
    return found


def write(found: dict[Kind, dict[str, Compared]]) -> None:
    """Write what was measured, and the page."""
    rows = [
        {"set": kind[0], "frontend": kind[1], **asdict(compared)}
        for kind, scripts in sorted(found.items())
        for _name, compared in sorted(scripts.items())
    ]
    text = ",\n".join(json.dumps(row) for row in rows)
    ROWS.write_text(f"[\n{text}\n]\n", "utf-8")
    PAGE.write_text(page(found), "utf-8")


def page(found: dict[Kind, dict[str, Compared]]) -> str:
    """Write the page."""
    kinds = [(kind, list(scripts.values())) for kind, scripts in sorted(found.items())]
    return (
        "\n".join(
            [
                "# Whether looking changes what a script prints",
                "",
                "`make bench-transparent` wrote this page: every script is run by plain `Rscript`",
                "and by keras-bridge with the same R packages, and what it prints is compared line",
                "by line. Times, addresses, paths and the numbers that TensorFlow gives to",
                "functions as it traces them are masked, and unfinished states of Keras' progress",
                "bar left out, for it is drawn again when the clock says so.",
                "",
                "| scripts | front end | how many | lines | same | unseeded | different "
                "| other standard error | not measured | other end |",
                "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
                *(_row(kind, scripts) for kind, scripts in kinds),
                "",
                "A line counts as an unseeded draw if it differs between two runs of plain",
                "`Rscript` as well. Of the standard error, whose order here is not known, all",
                "lines but those of TensorFlow's loggers count. Wanted: nothing different.",
                "",
                *(line for kind, scripts in kinds for line in _differences(kind, scripts)),
            ]
        ).rstrip("\n")
        + "\n"
    )


def _row(kind: Kind, scripts: Sequence[Compared]) -> str:
    count = Counter(each.verdict for each in scripts)
    numbers = (
        len(scripts), sum(each.lines for each in scripts), count["same"], count["unseeded"],
        count["differs"], sum(bool(each.said) for each in scripts), count["unmeasured"],
        sum(bool(each.ends) for each in scripts),
    )  # fmt: skip
    return f"| {kind[0]} | {kind[1]} | {' | '.join(f'{number:,}' for number in numbers)} |"


def _differences(kind: Kind, scripts: Sequence[Compared]) -> Iterable[str]:
    for each in scripts:
        if not (each.differing or each.said or each.ends):
            continue
        yield f"## {each.script} ({', '.join(kind)})"
        yield ""
        if each.ends:
            yield f"It ended otherwise: {each.ends}."
            yield ""
        for title, lines in (
            ("lines", [f"{side} {line[:150]}" for pair in each.differing[:SHOWN]
                       for side, line in zip(("Rscript:", "here:   "), pair, strict=True)]),
            ("lines of the standard error", [line[:150] for line in each.said[: 2 * SHOWN]]),
        ):  # fmt: skip
            if lines:
                count = len(each.differing if title == "lines" else each.said)
                yield from (f"{count} {title}:", "", "```", *lines, "```", "")


def scripts_in(places: Sequence[Path]) -> list[Path]:
    """Return the scripts of folders, and those that are named themselves."""
    return [
        script
        for place in places
        for script in (sorted(place.glob("*.[rR]")) if place.is_dir() else [place])
    ]


def main() -> None:
    """Measure, keep, and print what differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("places", nargs="*", type=Path, help="folders and scripts")
    parser.add_argument("--frontend", default="standin", choices=["cran", "standin"])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", metavar="NAME", help="put the places into the page by this name")
    parser.add_argument("--left", action="store_true", help="only what the page does not have")
    parser.add_argument("--reports", type=Path, help="where a run of these scripts wrote to")
    given = parser.parse_args()
    # As plain R is started: what TensorFlow logs goes to the standard error.
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    places = given.places or [folder for folder, _ in suite_folders()]
    kind = (given.keep or ("" if given.places else "suite"), given.frontend)
    found = read()
    known = found.setdefault(kind, {})
    scripts = [script for script in scripts_in(places) if not (given.left and script.stem in known)]
    measured: list[Compared] = []

    def keep(compared: Compared) -> None:
        measured.append(compared)
        known[compared.script] = compared
        if kind[0]:
            write(found)

    measure(scripts[::6] if QUICK else scripts, given.frontend, given.jobs, given.reports, keep)
    print("\n".join((_row(kind, measured), "", *_differences(kind, measured))))


if __name__ == "__main__":
    main()
