"""The command ``audit``: which packages, who answers for them, and what is printed."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.audit.judge import ArgumentChange, AuditReport, Level
from bridge.audit.wrapper_calls import FAMILIES, run_audit
from bridge.process.pool import Limits, Pool
from bridge.r.script import NoFrontEndError, Wanted, inspect, serve

#: What each level says, for the table's foot and the issue texts.
MEANINGS: dict[Level, str] = {
    "fault": "Python would behave differently, and nothing says that the change is meant",
    "silent": "Python would refuse the value; R changes it without a word",
    "not known": "changed; what Python would do with the value was not found out",
    "convention": "the package counts from 1 and Python from 0",
    "meant": "the documentation asks for a whole number",
    "harmless": "Python makes the same of both",
}
_DID: dict[str, str] = {
    "truncated": "loses its fraction",
    "overflowed": "becomes R's missing integer",
    "dropped": "does not arrive",
    "shifted": "arrives shifted by one",
    "defaulted": "arrives as another value",
    "reordered": "arrives in another order",
}


def served_by(report: AuditReport) -> str:
    """Return who answered for the package, and what that says of CRAN's."""
    frontend = report.frontend
    if frontend.kind == "cran":
        return f"CRAN's {frontend.package} {frontend.version}"
    version = report.r_packages.get(frontend.package, "").removesuffix(".9999")
    return (
        f"our stand-in for {frontend.package} {version}: what is said here was measured of that "
        "version, and the installed CRAN package was not asked"
    )


def table(report: AuditReport, levels: tuple[Level, ...]) -> Table:
    """Return the findings of these levels as a table."""
    grid = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    for name in ("", "function", "argument", "R gives", "Python gets", "change", "and Python"):
        grid.add_column(name, overflow="fold", no_wrap=name == "function")
    for finding in report.findings:
        if finding.level in levels:
            cells = (
                finding.level,
                finding.function,
                finding.argument,
                finding.probe or "nothing",
                finding.arrived,
                finding.change,
                finding.python,
            )
            grid.add_row(*(Text(cell) for cell in cells))
    return grid


def summary(report: AuditReport) -> list[str]:
    """Return what was done and how much was found, in sentences."""
    counts = Counter(finding.level for finding in report.findings)
    lines = [
        f"{report.package}: {report.arguments:,} arguments of {report.functions:,} functions, "
        f"{report.calls:,} calls in {report.seconds:.0f} seconds, with {report.keras}.",
        f"Asked: {served_by(report)}.",
    ]
    lines += [
        f"{counts[level]:,} {level}: {MEANINGS[level]}." for level in MEANINGS if counts[level]
    ]
    if report.unprobed:
        some = ", ".join(list(report.unprobed)[:4])
        more = ", ..." if len(report.unprobed) > 4 else ""
        lines.append(
            f"{len(report.unprobed):,} functions never got as far as Python and were not probed: "
            f"{some}{more}."
        )
    return [*lines, *report.notes]


def issues(report: AuditReport) -> dict[str, str]:
    """Return texts to file, one for each argument that has a fault: file name -> Markdown."""
    faults: dict[tuple[str, str], list[ArgumentChange]] = {}
    for finding in report.findings:
        if finding.level == "fault":
            faults.setdefault((finding.function, finding.argument), []).append(finding)
    return {
        f"{_file(function)}-{_file(argument)}.md": _issue(report, found)
        for (function, argument), found in faults.items()
    }


def _issue(report: AuditReport, found: list[ArgumentChange]) -> str:
    first = next((finding for finding in found if finding.change == "truncated"), found[0])
    value = first.probe or "no value"
    call = f"{first.function}({first.argument} = {first.probe})" if first.probe else first.function
    rows = "\n".join(
        f"| `{_cell(finding.probe) or '(not given)'}` | `{_cell(finding.meant)}` | "
        f"`{_cell(finding.arrived)}` | {finding.change} | {finding.python} |"
        for finding in found
    )
    sends = f"{first.target}({first.argument}={first.meant})"
    lines = [
        f"# `{first.function}()`: `{first.argument}` {_DID[first.change]}",
        "",
        f"`{call}` hands `{first.target}` `{first.argument} = {first.arrived}`, where `{value}` "
        f"was given. Python itself, asked `{sends}`, {_python(first)}.",
        "",
        "| R gives | as it is | Python gets | change | Python |",
        "| --- | --- | --- | --- | --- |",
        rows,
        "",
    ]
    if first.line:
        lines += ["In the wrapper:", "", "```r", first.line, "```", ""]
    if first.documented:
        lines += [f"Keras documents `{first.argument}` as: {_plain(first.documented)}", ""]
    packages = ", ".join(f"{name} {version}" for name, version in sorted(report.r_packages.items()))
    lines += [f"Seen with {served_by(report)}; {report.keras}; {packages}."]
    if report.frontend.kind != "cran":
        lines += ["", "**Run it once with the CRAN package before this is filed.**"]
    return "\n".join(lines) + "\n"


def _python(finding: ArgumentChange) -> str:
    if finding.python == "uses it":
        return "uses the value as it is" if finding.probe else "uses its own default"
    return "refuses it" if finding.python == "refuses it" else "was not asked"


def _file(name: str) -> str:
    return re.sub(r"\W+", "_", name)


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|").replace("`", "'")


def _plain(text: str) -> str:
    return " ".join(text.split())


def write(report: AuditReport, out: Path) -> list[Path]:
    """Write ``audit-PACKAGE.json`` and the issue texts; return what was written."""
    folder = out / f"audit-{report.package}"
    folder.mkdir(parents=True, exist_ok=True)
    path = out / f"audit-{report.package}.json"
    path.write_text(report.model_dump_json(indent=1) + "\n", "utf-8")
    for old in folder.glob("*.md"):
        old.unlink()  # Of an earlier audit: what was mended since is not to be filed.
    written = [path]
    for name, text in issues(report).items():
        (folder / name).write_text(text, "utf-8")
        written.append(folder / name)
    return written


__all__ = ["PACKAGES", "audit", "tell", "write"]

#: The front ends that have wrappers.
PACKAGES: Final = ("keras", "keras3")

#: What the table shows; the rest is in the JSON.
_SHOWN: Final[tuple[Level, ...]] = ("fault",)


def audit(
    packages: Sequence[str],
    frontend: Wanted,
    limits: Limits,
    progress: Callable[[str, str], None] = lambda _package, _step: None,
    families: str = FAMILIES,
) -> list[AuditReport]:
    """Audit these packages, all of them if none is named.

    ``families`` is a regular expression of R's for the names of the functions.

    Raises:
        NoFrontEndError: there is no such package to audit.
        NoRError: R cannot be run.
        PoolError: R, TensorFlow or Keras cannot be started.
        StandinError: the stand-in cannot be built.
    """
    for package in packages:
        if package not in PACKAGES:
            raise NoFrontEndError(
                f"{package!r} has no wrappers to audit: name {' or '.join(PACKAGES)}."
            )
    installed, _ = inspect([])
    reports, shares = [], os.cpu_count() or 1
    with Pool() as pool:
        for package in packages or PACKAGES:
            progress(package, "calls every wrapper with odd arguments")
            served = serve(package, frontend, installed)
            reports.append(run_audit(pool, package, served, limits, shares, families))
    return reports


def tell(reports: Sequence[AuditReport], out: Path, console: Console | None = None) -> None:
    """Print the reports, and write their JSON and issue texts into ``out``."""
    console = console or Console()
    for report in reports:
        console.print(table(report, _SHOWN))
        for line in summary(report):
            console.print(line, markup=False, highlight=False)
        json, *texts = write(report, out)
        console.print(str(json), markup=False, highlight=False, soft_wrap=True)
        if texts:
            count = f"{len(texts)} texts to file" if len(texts) > 1 else "1 text to file"
            console.print(f"{count} in {texts[0].parent}", markup=False, highlight=False)
