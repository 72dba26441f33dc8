"""Writing a folder of reports: pages from templates, JSON, and the names of files."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, Final

import jinja2
from markupsafe import Markup

from bridge._text import plural
from bridge.compare.result import SEVERITY
from bridge.report import ranking, text, view, write
from bridge.report.files import write_in_one_step
from bridge.report.lead import Lead
from bridge.report.numbers import PrintedNumber
from bridge.report.schema import CaseReport
from bridge.report.text import slug
from bridge.report.view import CaseView, LineView
from bridge.report.words import ERROR_LOG, RUNGS, SIGNS, VERDICTS

#: Rows of a table in Markdown: GitHub takes 65,536 characters in an issue.
_MAX_ROWS: Final = 60
_MAX_SHOWN: Final = 20
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def index_page(
    cases: Sequence[CaseView], *, single: bool = False, changed: Mapping[str, str] = _NOTHING
) -> str:
    """Return ``index.html``: the list of cases, which come in the order of the page.

    ``single`` adds what is shown first of each case: a page to be sent by itself. ``changed`` has
    the headline that a case had before. The only script of the page narrows the list; the page's
    policy lets no other run.
    """
    groups: dict[str, list[CaseView]] = {name: [] for name in ranking.GROUPS.values()}
    for case in cases:
        groups[ranking.GROUPS[ranking.group(case.report, changed)]].append(case)
    environment = _html_environment()
    script, _, _ = jinja2.PackageLoader("bridge.report").get_source(environment, "filter.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return _page("index.html.j2").render(
        cases=cases,
        groups=list(groups.items()),
        single=single,
        changed=changed,
        overall=ranking.overall([case.report for case in cases]),
        standins=sum(case.report.frontend.kind == "standin" for case in cases),
        choices={
            "rule": sorted({case.lead.code for case in cases}),
            "verdict": [name for name in SEVERITY if any(c.report.verdict == name for c in cases)],
            "front end": sorted({case.front_end_short for case in cases}),
        },
        script=Markup(script),
        allowed=f"script-src 'sha256-{digest}'; ",
    )


def case_page(case: CaseView) -> str:
    """Return ``index.html`` of one case, which lies in the folder of the case."""
    return _page("case.html.j2").render(case=case)


def _page(template: str) -> jinja2.Template:
    words = {
        "verdicts": [(SIGNS[verdict], verdict, means) for verdict, means in VERDICTS.items()],
        "rungs": list(RUNGS.items()),
    }
    return _html_environment().get_template(template, globals=words)


def markdown(case: CaseView) -> str:
    """Return ``report.md`` of one case: short enough to be pasted into an issue on GitHub.

    Tables keep their worst rows, and the script and its Python are cut where they are long; what
    is left out is said, and is in ``report.json``.
    """
    pairs = [pair for probe in case.probes for pair in probe.pairs]
    pairs.sort(key=lambda pair: SEVERITY.index(pair.verdict))
    script = [line for number in case.source for line in _with_output(number)]
    calls = [
        f"# line {line.number}\n" + "\n".join(line.calls) for line in case.source if line.calls
    ]
    text_of = (
        _markdown_environment()
        .get_template("report.md.j2")
        .render(
            case=case,
            report=case.report,
            excerpt="\n".join(_excerpt(case.lead)),
            fix=_fix(case.lead),
            rows=pairs[:_MAX_ROWS],
            attention=[pair for pair in pairs if pair.verdict in ranking.ATTENTION][:_MAX_SHOWN],
            rows_left_out=max(0, len(pairs) - _MAX_ROWS),
            bad_layers=[layer for layer in case.layers if layer.beyond][:_MAX_ROWS],
            max_rows=_MAX_ROWS,
            script=text.clip("\n".join(script), characters=12_000, lines=400),
            calls=text.clip("\n".join(calls), characters=8_000, lines=200),
            python=text.clip(case.python, characters=8_000, lines=300),
        )
    )
    return re.sub(r"\n{3,}", "\n\n", text_of)


def _excerpt(shown: Lead) -> Iterator[str]:
    """Yield the lines of the script that the first finding speaks of, as R with comments."""
    for line in shown.lines:
        label = line.label or ("here" if line.primary else "")
        yield f"{line.text}  # line {line.number}{f': {label}' if label else ''}"


def _fix(shown: Lead) -> str:
    """Return the change that is offered, as a diff."""
    if shown.help is None:
        return ""
    signs = (("-", shown.help.before), ("+", shown.help.after))
    return "\n".join(f"{sign} {line}" for sign, code in signs for line in code.splitlines())


def _with_output(line: LineView) -> list[str]:
    """Return a line of the script and, as reprex prints it, what it printed."""
    signs = {"output": "#>", "warning": "#!"}
    return [line.text, *(f"{signs[kind]} {said}" for kind, said in line.below)]


@functools.cache
def _html_environment() -> jinja2.Environment:
    return _environment(autoescape=True, finalize=_for_html)


@functools.cache
def _markdown_environment() -> jinja2.Environment:
    environment = _environment(autoescape=False, finalize=_for_markdown)
    environment.filters["code"] = text.code
    environment.filters["cell"] = functools.partial(text.code, cell=True)
    environment.filters["fenced"] = text.fenced
    environment.filters["md"] = text.Markdown
    return environment


def _environment(**options: Any) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bridge.report"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )
    environment.globals["plural"] = plural
    return environment


def _for_html(value: object) -> object:
    """Return ``value`` with unseen characters shown; Jinja escapes it after that."""
    return text.visible(value) if type(value) is str else value


def _for_markdown(value: object) -> object:
    """Return ``value`` as Markdown, escaped unless it is Markdown already."""
    if isinstance(value, (text.Markdown, PrintedNumber, int)):
        return value
    return text.markdown(str(value))


# Writing the files of a report.

_OWN_FILES = frozenset({"ask.R", "index.html", "report.json", "report.md", ERROR_LOG})


def write_report(
    reports: Sequence[CaseReport],
    out: Path,
    *,
    pictures: Mapping[str, Mapping[str, bytes]],
    single: bool = False,
    changed: Mapping[str, str] = _NOTHING,
) -> Path:
    """Write ``out/index.html`` and a folder for each case; return the path of ``index.html``.

    With ``single`` that page holds what is shown first of each case, and can be sent by itself.
    ``changed`` has the headline that a case had in the run before (:func:`earlier`).
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
        write_in_one_step(folder / "report.md", write.markdown(seen).encode())
        write_in_one_step(folder / "index.html", write.case_page(seen).encode())
        _write_questions(seen.report, folder / "ask.R")
    index = out / "index.html"
    write_in_one_step(index, write.index_page(views, single=single, changed=changed).encode())
    return index


def earlier(reports: Sequence[CaseReport], out: Path) -> dict[str, str]:
    """Return the headline that a case had in ``out`` before, where its end was another one.

    What cannot be read there, or was written by an older version, says nothing.
    """
    found = {}
    for report, folder in zip(reports, folders(reports), strict=True):
        try:
            before = json.loads((out / folder / "report.json").read_text("utf-8"))
            ended = before["verdict"], before["cause"]
            headline = str(before["sentence"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if ended != (report.verdict, report.cause):
            found[report.case] = headline
    return found


def _write_questions(report: CaseReport, path: Path) -> None:
    """Write what is to be run on the machine of who reported something, as one script of R's."""
    path.unlink(missing_ok=True)
    if report.symptoms is None or not report.symptoms.separating:
        return
    lines = ["# What to run on the machine that showed it; send what it prints."]
    for number, question in enumerate(report.symptoms.separating, start=1):
        lines += ["", f"# {number}. {text.one_line(question.question)}"]
        for cause, shows in question.expect.items():
            lines.append(f"#    {text.one_line(cause)}: {text.one_line(shows)}")
        lines.append(question.r)
    write_in_one_step(path, "\n".join([*lines, ""]).encode("utf-8", "backslashreplace"))


def _write_errors(report: CaseReport, path: Path) -> None:
    """Write the tracebacks of exceptions of ours; an earlier run's are gone without any."""
    path.unlink(missing_ok=True)
    if report.internal_errors:
        parts = [
            f"{error.step}: {error.message}\n\n{error.traceback}"
            for error in report.internal_errors
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
    return report.model_dump_json(by_alias=True, indent=1, ensure_ascii=True) + "\n"
