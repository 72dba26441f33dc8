"""How much of the most used functions of the R packages the stand-in carries: a page, made again.

``python -m bridge.r.standin.coverage`` writes ``COVERAGE.md`` beside this file; a test fails where
it is stale. What a function's row rests on is tested elsewhere: the recorded scripts call by call
(tests/r/test_standin_golden.py), the answers of every kind of argument
(tests/r/test_standin_kinds.py).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from bridge.r.standin.build import runtime_files
from bridge.r.standin.generate import PACKAGES, Tags, amend, kinds_in, tags_in
from bridge.r.standin.tables import Function, Table, read_tables

_HERE: Final = Path(__file__).parent
PAGE: Final = _HERE / "COVERAGE.md"
_USED: Final = _HERE / "most_used.json"
_GOLDEN: Final = _HERE.parents[2] / "tests" / "data" / "golden"
_LISTED: Final = ("keras", "keras3")

#: ``recorded``: called in scripts that were recorded whole with CRAN's package, and every call of
#: these is the same. ``measured``: each argument was measured one by one, and each has its answers.
#: ``the same``: R or another package has it, and it is no stand-in at all. ``partly``: some
#: arguments refuse. ``by hand``: written from documentation, and never set beside CRAN's.
Status = Literal["recorded", "measured", "the same", "partly", "by hand", "refuses"]
IDENTICAL: Final[tuple[Status, ...]] = ("recorded", "measured", "the same")

#: Kinds that the generator writes out itself.
_WRITTEN: Final = frozenset({"choice", "only", "ignored", "always_error", "refused", "as_is"})


@dataclass(frozen=True)
class Row:
    """One function: ``files`` use it, ``scripts`` were recorded with it, ``why`` names a lack."""

    package: str
    function: str
    files: int
    status: Status
    scripts: int = 0
    why: str = ""


def rows(golden: Path = _GOLDEN) -> Iterator[Row]:
    """Yield the most used functions of each package, the most used first."""
    tables, used = read_tables(), json.loads(_USED.read_text("utf-8"))
    for package in PACKAGES:
        if package.name not in _LISTED:
            continue
        table, runtime = tables[package.name], runtime_files(package)
        tags, kinds = tags_in(runtime), kinds_in(runtime)
        counts = _recorded(golden, package.name)
        for name, files in used[package.name]["files_using"].items():
            status, why = _status(package.name, name, table, tags, kinds)
            # A row of the table is proven for each of its arguments; a script for a few.
            if counts[name] and status == "by hand":
                status = "recorded"
            yield Row(package.name, name, files, status, counts[name], why)


def _status(
    package: str, name: str, table: Table, tags: Tags, kinds: frozenset[str]
) -> tuple[Status, str]:
    if name in {generic for generic, _ in tags.methods}:
        return "by hand", ""
    if any(re.search(rf"\b{re.escape(name)}\b", line) for line in tags.lines):
        return "the same", ""
    if name in tags.refused:
        return "refuses", "with a sentence"
    if name in tags.exports:
        return "by hand", ""
    function = amend(package, name, table.functions.get(name, Function()))
    if not function.measured:
        return "refuses", function.unmeasured or "it was not measured"
    lacking = [
        formal
        for formal, _ in function.formals
        if formal not in ("...", function.object if function.composes else "")
        and _rule(function, formal) not in kinds | _WRITTEN
    ]
    return ("partly", ", ".join(lacking)) if lacking else ("measured", "")


def _rule(function: Function, formal: str) -> str:
    rule = function.arguments.get(formal)
    if rule is None:
        of_modes = (mode.arguments.get(formal) for mode in function.modes.values())
        rule = next((each for each in of_modes if each is not None), None)
    return "unknown" if rule is None else rule.kind


def _recorded(golden: Path, package: str) -> Counter[str]:
    """Count the recorded scripts in which each name is called."""
    counts: Counter[str] = Counter()
    for path in golden.glob(f"{package}-*/*.json"):
        script = "\n".join(json.loads(path.read_text("utf-8"))["script"])
        counts.update(set(re.findall(r"(?<![\w.$])([A-Za-z.][\w.]*)\s*\(", script)))
    return counts


def page(found: list[Row]) -> str:
    """Write the page."""
    used: Mapping[str, Any] = json.loads(_USED.read_text("utf-8"))
    total, good = len(found), sum(row.status in IDENTICAL for row in found)
    lines = [
        "# Coverage of the stand-in packages",
        "",
        f"Of the {total} most used functions, {good} ({good / total:.1%}) make the calls of Python "
        "that CRAN's packages make, as far as that was recorded or measured. The rest refuse with "
        "a sentence, as a whole or for some arguments, or were written by hand and never set "
        "beside CRAN's.",
        "",
        "Made by `python -m bridge.r.standin.coverage`; do not edit.",
        "",
        "| package | functions | " + " | ".join(_STATES) + " | identical |",
        "| --- | --- | " + " | ".join("---" for _ in _STATES) + " | --- |",
    ]
    for package in _LISTED:
        mine = [row for row in found if row.package == package]
        counts = Counter(row.status for row in mine)
        same = sum(row.status in IDENTICAL for row in mine)
        cells = " | ".join(str(counts[state]) for state in _STATES)
        lines.append(f"| {package} | {len(mine)} | {cells} | {same / len(mine):.1%} |")
    lines += ["", "What a word means:", ""]
    lines += [f"- **{state}**: {meaning}" for state, meaning in _STATES.items()]
    lines += [
        "",
        "## How the functions were chosen",
        "",
        "By the number of files that call them, counted with a pattern for names before a bracket "
        "in R code without comments. These are the packages' own tutorials and tests and a book's "
        "code, not what all users write:",
        "",
    ]
    for package in _LISTED:
        about = used[package]
        for source in about["sources"]:
            lines.append(f"- {package}: {source['source']}, {source['files']} files")
        lines.append(
            f"- {package}: {about['used']} of {about['exported']} exported functions were found; "
            f"the {len(about['files_using'])} most used are listed, ties by the alphabet"
        )
    lines += ["", "The counts are in `most_used.json`.", "", "## Functions", ""]
    for package in _LISTED:
        lines += [
            f"### {package}",
            "",
            "| function | files | status | recorded scripts | refuses or lacks |",
            "| --- | --- | --- | --- | --- |",
        ]
        for row in found:
            if row.package == package:
                lines.append(
                    f"| `{row.function}` | {row.files} | {row.status} | {row.scripts or ''} | "
                    f"{row.why} |"
                )
        lines.append("")
    return "\n".join(lines)


_STATES: Final[dict[Status, str]] = {
    "recorded": "it is called in scripts that were recorded whole with CRAN's package, and every "
    "call of these scripts is the same on the stand-in.",
    "measured": "made from the table of measurements: every argument was probed by itself in "
    "CRAN's package, and has the answers that were measured.",
    "the same": "the function is another package's and only handed on.",
    "partly": "as measured, but for the arguments named, which refuse.",
    "by hand": "written by hand, and in no recorded script: nothing is known of its calls.",
    "refuses": "it says in a sentence that CRAN's package is needed.",
}


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(list(rows())), "utf-8")


if __name__ == "__main__":
    main()
