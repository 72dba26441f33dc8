"""Writing the files of a report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from bridge.report import render, view
from bridge.report.files import write_in_one_step
from bridge.report.numbers import spelled
from bridge.report.schema import CaseReport
from bridge.report.text import slug
from bridge.report.words import ERROR_LOG

_OWN_FILES = frozenset({"report.json", "report.md", ERROR_LOG})


def write_report(
    reports: Sequence[CaseReport],
    out: Path,
    *,
    pictures: Mapping[str, Mapping[str, bytes]],
) -> Path:
    """Write ``out/index.html`` and a folder for each case; return the path of ``index.html``.

    ``pictures`` holds the bytes of each case's pictures by their file names. A case's folder has
    its name, as far as that is a plain name. Every file appears in one step.

    Raises:
        ValueError: the name of a picture is not that of a plain file.
        OSError: a file cannot be written.
    """
    views = view.cases(list(zip(reports, folders(reports), strict=True)), pictures)
    for seen in views:
        folder = out / seen.folder
        for name, content in pictures.get(seen.report.case, {}).items():
            if name != PurePosixPath(name).name or slug(name) != name or name in _OWN_FILES:
                raise ValueError(f"{name!r} is not a plain name for a picture")
            write_in_one_step(folder / name, content)
        _write_errors(seen.report, folder / ERROR_LOG)
        write_in_one_step(folder / "report.json", report_json(seen.report).encode())
        write_in_one_step(folder / "report.md", render.markdown(seen).encode())
    index = out / "index.html"
    write_in_one_step(index, render.html(views).encode())
    return index


def _write_errors(report: CaseReport, path: Path) -> None:
    """Write the tracebacks of exceptions of ours; an earlier run's are gone without any."""
    path.unlink(missing_ok=True)
    if report.internal_errors:
        parts = [
            f"{each.step}: {each.message}\n\n{each.traceback}" for each in report.internal_errors
        ]
        write_in_one_step(path, "\n".join(parts).encode("utf-8", "backslashreplace"))


def folders(reports: Sequence[CaseReport]) -> list[str]:
    """Return the name of each report's folder: its case, as far as that is a plain name.

    No two are the same, also where a file system does not tell capitals from small letters.
    """
    # A folder called index.html would stand where the page has to be.
    taken = {"index.html"}
    return [slug(report.case, taken) for report in reports]


def report_json(report: CaseReport) -> str:
    """Return ``report.json``: strict JSON in ASCII, which reads back as the same report.

    JSON has no word for a number that is not finite; those are the strings ``"NaN"``,
    ``"Infinity"`` and ``"-Infinity"``.
    """
    data = _finite(report.model_dump(mode="python", by_alias=True))
    return json.dumps(data, indent=1, allow_nan=False) + "\n"


def _finite(value: object) -> object:
    """Return ``value`` with every number that is not finite spelled as a string."""
    if isinstance(value, float):
        return value if math.isfinite(value) else spelled(value)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
