"""What the longer commands do, once their options are read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from bridge.cli.options import (
    OK,
    UNEXPECTED,
    CaseLines,
    Progress,
    environment_errors,
    is_unexpected,
    stop,
    suite_with,
)

if TYPE_CHECKING:
    from bridge.cases.case import Case
    from bridge.pipeline.case_run import Examined, Settings
    from bridge.reduce.reproducer import Repro
    from bridge.report import CaseReport


def examine(
    cases: list[Case],
    out: Path,
    options: Settings,
    format_: str = "text",
    *,
    single: bool = False,
    lines: bool = False,
) -> int:
    """Run cases, write their reports and print their answers; return the exit code.

    With ``lines`` there is one line for each case, on stderr as soon as it is done, and cases that
    nobody has reviewed are named at the end. Where something ends the command, the reports of what
    was done until then are written.
    """
    from bridge.pipeline.examine_case import write
    from bridge.report import earlier, folders, print_case, print_suite
    from bridge.report.text import one_line

    began = time.monotonic()
    examined: list[Examined] = []
    try:
        with suite_with(options) as suite, environment_errors():
            finished = [CaseLines(len(cases))] if lines else []
            for result in suite.examine(cases, *finished):
                examined.append(result)
    except BaseException:  # whatever ends the command: it is raised again
        if examined:
            write(examined, out)
        raise
    reports = [result.report for result in examined]
    changed = earlier(reports, out)
    index = write(examined, out, single=single, changed=changed)
    if format_ != "text":
        print(formatted(reports, format_, [case.script for case in cases]), end="")
    elif lines:
        print_suite(reports, time.monotonic() - began, changed)
        if unreviewed := never_reviewed(cases):
            print(one_line(unreviewed))
        print(index)
    else:
        for report, folder in zip(reports, folders(reports), strict=True):
            print_case(report, out / folder / "index.html")
    return UNEXPECTED if any(is_unexpected(report) for report in reports) else OK


def formatted(reports: Sequence[CaseReport], format_: str, scripts: Sequence[Path]) -> str:
    """Return reports for another program: as JSON, SARIF or annotations of GitHub's.

    The last two name each script by its path from the current folder, where it lies in it.
    """
    from importlib.metadata import version

    from bridge.report import report_json
    from bridge.report.annotations import github, sarif

    if format_ == "json":
        return f"[{','.join(map(report_json, reports))}]\n"
    here = Path.cwd().resolve()
    reports = [
        report.model_copy(update={"script": path.relative_to(here).as_posix()})
        if (path := script.resolve()).is_relative_to(here)
        else report
        for report, script in zip(reports, scripts, strict=True)
    ]
    return sarif(reports, version("keras-bridge")) if format_ == "sarif" else github(reports)


def never_reviewed(cases: list[Case]) -> str:
    """Name the cases that expect what was found of them, and at which nobody has looked."""
    names = [case.name for case in cases if case.unreviewed]
    count = "1 case was" if len(names) == 1 else f"{len(names)} cases were"
    return f"{count} never reviewed by a person: {', '.join(names)}." if names else ""


def compare_arrays(a: Path, b: Path, as_json: bool) -> NoReturn:
    """Compare two files of arrays and print how they differ."""
    from bridge.cli.npy_diff import ArrayFileError, compare_files

    shown = ""
    with Progress(after=2.0) as terminal:

        def progress(done: int, total: int) -> None:
            nonlocal shown
            percent = f"{done / total:.0%}"
            if percent != shown:
                terminal.step("", f"{percent} of {total:,} elements")
                shown = percent

        try:
            compared = compare_files(a, b, progress)
        except ArrayFileError as error:
            stop(str(error))
    print(compared.as_json() if as_json else compared.text())
    raise typer.Exit(OK if compared.same else UNEXPECTED)


def explain_received(
    path: Path,
    observed: Path | None,
    out: Path,
    repro: Path | None,
    options: Settings,
    as_json: bool,
) -> int:
    """Judge a capsule from elsewhere, run it again here, and tell; return the exit code."""
    from bridge.capsule import CapsuleError
    from bridge.pipeline.explain_capsule import NothingRecordedError, explain_capsule, generation_of
    from bridge.process.pool import Pool
    from bridge.reduce.reproducer import write_repro

    limits = options.limits
    try:
        with Progress("starting TensorFlow") as shown, environment_errors(), Pool() as pool:
            found = explain_capsule(
                pool, path, limits, observed, lambda text: shown.step(path.name, text)
            )
            small = None
            if repro is not None:
                generation = generation_of(found.runs["r"])
                small = write_repro(pool, found.runs, generation, limits, repro, path.stem)
    except CapsuleError as error:
        stop(str(error))
    except NothingRecordedError as error:
        stop(f"{path} cannot be explained: {error}.")
    return report_case(found, out, as_json, small)


def report_case(examined: Examined, out: Path, as_json: bool, small: Repro | None = None) -> int:
    """Print what was found of one case and write its report; return the exit code."""
    from bridge.pipeline.examine_case import write
    from bridge.report import folders
    from bridge.report.text import one_line

    report, index = examined.report, write([examined], out)
    if as_json:
        (folder,) = folders([report])
        print((out / folder / "report.json").read_text("utf-8"), end="")
    else:
        sure = f", {report.confidence}" if report.confidence else ""
        print(one_line(f"{report.verdict}: {report.cause}{sure}"))
        for line in (report.sentence, *report.explanation):
            print(one_line(line))
        for lever in report.levers:
            ops = f" ({' '.join(dict.fromkeys(lever.executed_ops))})" if lever.executed_ops else ""
            part = f" on {lever.restricted}" if lever.restricted else ""
            print(f"  {one_line(lever.lever):20} {one_line(lever.verdict + part + ops)}")
        for line in report.unexplained:
            print(one_line(f"Not explained: {line}"))
        for line in small.sentences if small is not None else ():
            print(one_line(line))
        for file in small.files if small is not None else ():
            print(file)
        print(index)
    return UNEXPECTED if is_unexpected(report) else OK
