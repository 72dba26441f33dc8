"""Findings for other programs: SARIF 2.1.0 for code scanners, workflow commands for GitHub.

Sources: the SARIF standard (OASIS, 2.1.0), and GitHub's documentation of workflow commands. What a
stranger wrote stays text in both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bridge.report.lead import Level, level
from bridge.report.schema import CaseReport
from bridge.report.text import one_line
from bridge.rules.rule import Finding

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
#: What SARIF and GitHub call how a case stands.
_SARIF: Final[Mapping[Level, str]] = {
    "ok": "none", "note": "note", "wrong": "error", "error": "error", "open": "warning",
}  # fmt: skip
_GITHUB: Final[Mapping[Level, str]] = {
    "ok": "notice", "note": "notice", "wrong": "error", "error": "error", "open": "warning",
}  # fmt: skip


def sarif(reports: Sequence[CaseReport], version: str) -> str:
    """Return the findings of cases as one run of SARIF; ``version`` is that of keras-bridge."""
    results = [result for report in reports for result in _results(report)]
    rules = {result["ruleId"]: {"id": result["ruleId"]} for result in results}
    driver = {"name": "keras-bridge", "version": version, "rules": list(rules.values())}
    run = {"tool": {"driver": driver}, "results": results}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _results(report: CaseReport) -> Iterator[dict[str, Any]]:
    for place, finding in enumerate(_annotated_findings(report)):
        stands = _SARIF[level(report)] if place == 0 else "note"
        yield {
            "ruleId": _code(finding),
            "level": stands,
            "message": {"text": _message(finding)},
            "locations": [_location(report, finding)],
        }


def _location(report: CaseReport, finding: Finding) -> dict[str, Any]:
    where: dict[str, Any] = {"artifactLocation": {"uri": one_line(report.script)}}
    for span in finding.spans[:1]:
        region = {"startLine": span.line, "startColumn": span.column, "endLine": span.end_line}
        # A region of SARIF ends before its last column.
        region["endColumn"] = span.end_column + 1 if span.end_column else None
        where["region"] = {key: value for key, value in region.items() if value is not None}
    return {"physicalLocation": where}


def github(reports: Sequence[CaseReport]) -> str:
    """Return a workflow command for each finding: GitHub shows it beside the line."""
    lines = []
    for report in reports:
        for place, finding in enumerate(_annotated_findings(report)):
            kind = _GITHUB[level(report)] if place == 0 else "notice"
            given = {"file": report.script, "title": f"{_code(finding)} {finding.headline}"}
            for span in finding.spans[:1]:
                given |= {"line": str(span.line), **({"col": str(span.column)} if span.column
                                                     else {})}  # fmt: skip
            properties = ",".join(f"{key}={_property(value)}" for key, value in given.items())
            lines.append(f"::{kind} {properties}::{_data(_message(finding))}")
    return "".join(f"{line}\n" for line in lines)


def _annotated_findings(report: CaseReport) -> tuple[Finding, ...]:
    """Return the findings worth an annotation: none where nothing is wrong.

    A report of an older version has its sentence only.
    """
    if report.cause == "none":
        return report.findings[1:]
    cause, sentence = report.cause, report.sentence
    only = Finding(rule="", name=cause, headline=sentence, whose="nobody", cause=cause)
    return report.findings or (only,)


def _code(finding: Finding) -> str:
    return one_line(finding.rule or finding.cause)


def _message(finding: Finding) -> str:
    fix = f" Fix: {finding.help.text}" if finding.help is not None else ""
    return one_line(f"{finding.headline}. {finding.why}{fix}")


def _data(text: str) -> str:
    return one_line(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
