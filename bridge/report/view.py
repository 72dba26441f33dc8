"""From a :class:`CaseReport` to what a page prints: strings and numbers, in order, nothing more.

Strings are as the report has them; the templates' environments escape them. What is very long is
cut here, and the cut says so: all of it is in ``report.json``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.report import tables
from bridge.report.explained import ExplainedView, explained
from bridge.report.files import MAX_EMBEDDED_BYTES, data_uri
from bridge.report.lead import Lead, lead
from bridge.report.numbers import PrintedNumber
from bridge.report.ranking import case_key, worst_number, worst_pairs
from bridge.report.schema import CaseReport, Claim, Picture, SourceLine
from bridge.report.tables import RunView, environment, run_view
from bridge.report.text import clip
from bridge.report.words import (
    CLAIMS,
    SIGNS,
    SPEAKERS,
    STAGES,
    cause_meaning,
    claim_word,
    failed_steps,
    front_end,
    front_end_short,
)

MAX_LINES: Final = 2_000
MAX_CALLS: Final = 40
MAX_PROBES: Final = 300
MAX_LAYERS: Final = 400
MAX_EMBEDDED_IN_ALL: Final = 6_000_000


@dataclass(frozen=True)
class StageView:
    """One step of the ladder; ``state`` is ``same``, ``differs`` or ``open``."""

    name: str
    said: str
    state: str
    notes: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PictureView:
    """A picture: ``src`` is its data address, or ``why_not`` says why it is only linked."""

    file: str
    title: str
    kind: str
    alt: str
    src: str
    why_not: str
    missing: bool


@dataclass(frozen=True)
class LineView:
    """A line of the script with its calls, and under it what it printed."""

    number: int
    text: str
    calls: tuple[str, ...]
    below: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ClaimView:
    """A claim and what became of it; ``state`` is ``yes``, ``no``, ``part`` or ``open``."""

    claim: str
    word: str
    state: str
    evidence: str
    source: str


@dataclass(frozen=True)
class WorstTable:
    """The worst elements of the worst pair of a case."""

    probe: str
    a: str
    b: str
    rows: tuple[tables.WorstView, ...]


@dataclass(frozen=True)
class CaseView:
    """All that a page says about one case."""

    report: CaseReport
    lead: Lead
    anchor: str
    folder: str
    sign: str
    meaning: str
    front_end: str
    front_end_short: str
    worst: PrintedNumber
    worst_unit: str
    worst_where: str
    expected: str
    found: str
    stages: tuple[StageView, ...]
    pictures: tuple[PictureView, ...]
    grid: tables.Grid | None
    worst_table: WorstTable | None
    probes: tuple[tables.ProbeView, ...]
    probes_left_out: int
    layers: tuple[tables.LayerView, ...]
    layers_left_out: int
    executed: tables.ExecutedTable | None
    exact: tuple[tables.ExactView, ...]
    claims: tuple[ClaimView, ...]
    explained: ExplainedView
    source: tuple[LineView, ...]
    lines_left_out: int
    python: str
    runs: tuple[RunView, ...]
    environment: tuple[tuple[str, str], ...]
    failed_steps: str

    def pictures_of(self, *kinds: str) -> tuple[PictureView, ...]:
        """Return the pictures of these kinds, in order."""
        return tuple(picture for picture in self.pictures if picture.kind in kinds)


def cases(
    reports: Sequence[tuple[CaseReport, str]],
    pictures: Mapping[str, Mapping[str, bytes]],
) -> tuple[CaseView, ...]:
    """Return the views of ``reports``, each given with its folder, the worst first."""
    return tuple(
        case(report, folder, pictures.get(report.case, {}))
        for report, folder in sorted(reports, key=lambda item: case_key(item[0]))
    )


def case(report: CaseReport, folder: str, files: Mapping[str, bytes]) -> CaseView:
    """Return the view of one case, whose files lie in ``folder``."""
    worst, unit, where = worst_number(report)
    probes = tables.by_probe(report.pairs)
    layers = tables.layers(report.pairs)
    expected = report.expected
    return CaseView(
        report=report,
        lead=lead(report),
        anchor=f"case-{folder}",
        folder=folder,
        sign=SIGNS[report.verdict],
        meaning=cause_meaning(report.cause),
        front_end=front_end(report.frontend),
        front_end_short=front_end_short(report.frontend),
        worst=worst,
        worst_unit=unit,
        worst_where=where,
        expected=_ending(expected.verdict, expected.cause) if expected else "",
        found=_ending(report.verdict, report.cause),
        stages=_stages(report),
        pictures=_pictures(report.pictures, files),
        grid=tables.grid(report.pairs),
        worst_table=_worst_table(report),
        probes=probes[:MAX_PROBES],
        probes_left_out=max(0, len(probes) - MAX_PROBES),
        layers=layers[:MAX_LAYERS],
        layers_left_out=max(0, len(layers) - MAX_LAYERS),
        executed=tables.executed(report.executions),
        exact=tables.exact(report.exact),
        claims=tuple(map(_claim, report.claims)),
        explained=explained(report),
        source=tuple(_line(line) for line in report.source[:MAX_LINES]),
        lines_left_out=max(0, len(report.source) - MAX_LINES),
        python=clip(report.python, characters=100_000, lines=MAX_LINES),
        runs=tuple(run_view(run) for run in report.runs),
        environment=environment(report.environment),
        failed_steps=failed_steps(len(report.internal_errors)),
    )


def _ending(verdict: str, cause: str) -> str:
    return ", ".join(part for part in (verdict, f"cause {cause}" if cause else "") if part)


def _stages(report: CaseReport) -> tuple[StageView, ...]:
    """Return the ladder: all stages in order, with what is said where two runs part."""
    views = []
    for name, what in STAGES.items():
        found = [stage for stage in report.stages if stage.stage == name]
        if any(stage.same is False for stage in found):
            state = "differs"
        elif any(stage.same for stage in found):
            state = "same"
        else:
            state = "open"
        if report.first_divergence is not None and report.first_divergence.stage == name:
            state = "differs"
        notes = dict.fromkeys((s.where, s.detail) for s in found if s.where or s.detail)
        # What differs is said at length below the ladder; what does not, within its step.
        details = tuple(notes) if state == "differs" else ()
        said = next((detail for _, detail in notes if state == "same"), what)
        views.append(StageView(name, said, state, details))
    return tuple(views)


def _claim(claim: Claim) -> ClaimView:
    word = claim_word(claim.holds, claim.verdict)
    said = [SPEAKERS.get(claim.said_by, claim.said_by), claim.source]
    return ClaimView(
        claim=claim.claim,
        word=word,
        state=CLAIMS[word],
        evidence=claim.evidence,
        source=", ".join(filter(None, said)),
    )


def _pictures(pictures: Sequence[Picture], files: Mapping[str, bytes]) -> tuple[PictureView, ...]:
    views, embedded = [], 0
    for picture in pictures:
        content, src, why_not = files.get(picture.file), "", ""
        if content is None:
            why_not = "The file is missing."
        elif len(content) > MAX_EMBEDDED_BYTES or embedded > MAX_EMBEDDED_IN_ALL:
            why_not = f"The picture has {len(content):,} bytes, too many for this page."
        else:
            src = data_uri(content) or ""
            embedded += len(src)
            why_not = "" if src else "The file is neither SVG nor PNG."
        views.append(
            PictureView(
                file=picture.file,
                title=picture.title,
                kind=picture.kind,
                alt=picture.alt,
                src=src,
                why_not=why_not,
                missing=content is None,
            )
        )
    return tuple(views)


def _worst_table(report: CaseReport) -> WorstTable | None:
    """Return the worst elements, if the worst pair is really different."""
    worst = worst_pairs(report.pairs)[:1]
    if not worst or worst[0].verdict not in ("different", "abstained") or not worst[0].worst:
        return None
    view = tables.pair_view(worst[0])
    return WorstTable(view.probe, view.a, view.b, view.worst)


def _line(line: SourceLine) -> LineView:
    below = [("output", text) for text in _lines(line.output)]
    below += [("warning", text) for warning in line.warnings for text in _lines(warning)]
    calls = list(line.calls[:MAX_CALLS])
    if len(line.calls) > MAX_CALLS:
        calls.append(f"# and {len(line.calls) - MAX_CALLS:,} more")
    return LineView(
        number=line.number,
        text=clip(line.text, characters=2_000, lines=1),
        calls=tuple(clip(call, characters=2_000, lines=40) for call in calls),
        below=tuple(below),
    )


def _lines(text: str) -> list[str]:
    text = text.rstrip("\n")
    return clip(text, characters=8_000, lines=60).split("\n") if text else []
