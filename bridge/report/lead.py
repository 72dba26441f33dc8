"""What every surface shows first of a case: its first finding, and the place in the script."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from bridge.report.ranking import unmet
from bridge.report.schema import CaseReport
from bridge.report.text import visible
from bridge.report.words import failed_steps, front_end
from bridge.rules.rule import EvidenceRow, Finding, Help, Span

#: Findings that are shown beside the first.
_MOST_OTHERS: Final = 2

#: How a case stands, in one word: the first that people read.
Level = Literal["ok", "note", "wrong", "error", "open"]


@dataclass(frozen=True)
class MarkedLine:
    """A line of the script, and the part of it that a finding speaks of.

    ``start`` and ``end`` are places in ``text``, counted from 0; both are 0 where only the line is
    known.
    """

    number: int
    text: str
    start: int = 0
    end: int = 0
    label: str = ""
    primary: bool = True

    @property
    def parts(self) -> tuple[str, str, str]:
        """The text before the marked part, the part, and the text after it."""
        return self.text[: self.start], self.text[self.start : self.end], self.text[self.end :]


@dataclass(frozen=True)
class Lead:
    """The first finding of a case as it is shown."""

    level: Level
    headline: str
    code: str
    rule: str
    confidence: str
    whose: str
    place: str
    lines: tuple[MarkedLine, ...]
    why: str
    evidence: tuple[EvidenceRow, ...]
    help: Help | None
    open: tuple[str, ...]
    others: tuple[tuple[str, str], ...]
    note: str
    unexpected: bool


def level(report: CaseReport) -> Level:
    """Return how a case stands.

    ``ok``: nothing is wrong. ``wrong``: numbers differ, or a cause was named. ``error``: it
    stopped. ``note``: it is nobody's fault, as rounding is. ``open``: it is not known.
    """
    if report.cause == "none":
        return "ok"
    if report.verdict in ("failed", "same-error"):
        return "error"
    if report.cause == "not-known":
        return "wrong" if report.verdict == "different" else "open"
    whose = report.findings[0].whose if report.findings else ""
    return "note" if whose in ("mathematics", "nobody") else "wrong"


def lead(report: CaseReport) -> Lead:
    """Return what is shown first of a report; one of an older version has its sentence only."""
    finding = report.findings[0] if report.findings else None
    line = f":{finding.lines[0]}" if finding is not None and finding.lines else ""
    notes = [front_end(report.frontend)] if report.frontend.kind == "standin" else []
    if report.internal_errors:
        notes.append(failed_steps(len(report.internal_errors)))
    return Lead(
        level=level(report),
        headline=finding.headline if finding is not None else report.sentence,
        code=(finding.rule or finding.cause) if finding is not None else report.cause,
        rule=finding.rule if finding is not None else "",
        confidence=finding.confidence if finding is not None else report.confidence,
        whose=finding.whose if finding is not None else "",
        place=f"{report.script}{line}",
        lines=tuple(_marked(report, finding)) if finding is not None else (),
        why=finding.why if finding is not None else "",
        evidence=finding.evidence if finding is not None else (),
        help=finding.help if finding is not None else None,
        open=finding.open if finding is not None else report.unexplained[:3],
        others=tuple(_other(found) for found in report.findings[1 : 1 + _MOST_OTHERS]),
        note=". ".join(notes),
        unexpected=unmet(report),
    )


def _other(finding: Finding) -> tuple[str, str]:
    line = f" (line {finding.lines[0]})" if finding.lines else ""
    return f"{finding.headline}{line}", finding.rule or finding.cause


def _marked(report: CaseReport, finding: Finding) -> Iterator[MarkedLine]:
    texts = {line.number: line.text for line in report.source}
    for span in sorted(finding.spans, key=lambda span: (span.line, span.column or 0)):
        if span.line in texts:
            yield _mark(span, visible(texts[span.line]))


def _mark(span: Span, text: str) -> MarkedLine:
    marked = MarkedLine(span.line, text, label=span.label, primary=span.primary)
    if span.column is None or not 0 < span.column <= len(text):
        return marked
    one_line = span.end_column is not None and span.end_line in (None, span.line)
    end = min(span.end_column or span.column, len(text)) if one_line else span.column
    return MarkedLine(span.line, text, span.column - 1, end, span.label, span.primary)
