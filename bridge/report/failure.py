"""A case that is not as expected, as the text of a failed test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bridge.report.schema import CaseReport
from bridge.report.text import one_line

#: So many points are shown of each pair that differs, and so many lines of explanation.
_POINTS: Final = 3
_LINES: Final = 8


def explain_failure(report: CaseReport) -> str:
    """Say what was expected and found, where the runs part first, and at which points most."""
    return "\n".join(one_line(line) if line.strip() else "" for line in _lines(report))


def _lines(report: CaseReport) -> Iterator[str]:
    yield f"{report.case}: {report.verdict}, cause {report.cause}"
    if report.expected is not None:
        wanted = [report.expected.verdict or "any verdict", report.expected.cause or "any cause"]
        yield f"expected: {wanted[0]}, cause {wanted[1]}"
    yield report.sentence
    if report.first_divergence is not None:
        first = report.first_divergence
        yield f"The runs part first at the stage '{first.stage}': {first.where} {first.detail}"
    yield from report.explanation[:_LINES]
    for pair in report.pairs:
        if pair.verdict not in ("different", "failed"):
            continue
        yield f"{pair.probe}: {pair.a} and {pair.b} differ; {pair.detail}".removesuffix("; ")
        for point in pair.worst[:_POINTS]:
            yield f"    at {list(point.index)}: {pair.a} {point.a!r}, {pair.b} {point.b!r}"
    for line in report.unexplained:
        yield f"Not explained: {line}"
