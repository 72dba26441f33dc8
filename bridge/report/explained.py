"""What explaining found, ready to print: levers, shapes of responses, units, collapsed layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bridge._text import plural
from bridge.compare.result import Verdict
from bridge.explain.result import (
    Collapse,
    LeverOutcome,
    ResponseShape,
    SelftestScore,
    UnitCensus,
    Upstream,
)
from bridge.report import numbers
from bridge.report.numbers import PrintedNumber
from bridge.report.schema import CaseReport
from bridge.report.suspects import SuspectsView, suspects
from bridge.report.text import clip
from bridge.report.words import CONFIDENCES, SHAPES, SIGNS

MAX_ROWS: Final = 200
_RIGHT: Final = frozenset({"same-bits", "within-rounding"})


@dataclass(frozen=True)
class LeverView:
    """A lever that was pulled, and what came of it."""

    lever: str
    verdict: Verdict
    sign: str
    layer: str
    ops: tuple[str, ...]
    detail: str
    seconds: PrintedNumber


@dataclass(frozen=True)
class ShapeView:
    """The shape of one output over one input."""

    probe: str
    output: str
    sign: str
    kind: str
    sentence: str
    points: PrintedNumber


@dataclass(frozen=True)
class CensusView:
    """How the units of one layer spend their input."""

    probe: str
    layer: str
    activation: str
    units: PrintedNumber
    rows: PrintedNumber
    below: PrintedNumber
    negative: PrintedNumber
    dead: str
    saturated: str
    note: str


@dataclass(frozen=True)
class CollapseView:
    """Layers that are one affine map, with its numbers where there are few."""

    probe: str
    why: str
    map: str
    difference: PrintedNumber
    bound: PrintedNumber


@dataclass(frozen=True)
class UpstreamView:
    """A known fault of a library: ``state`` is ``yes`` where it is mended, else ``no``."""

    word: str
    state: str
    reference: str
    sentence: str


@dataclass(frozen=True)
class ExplainedView:
    """All that explaining found about one case."""

    confidence: str
    confidence_means: str
    levers: tuple[LeverView, ...]
    spent: str
    suspects: SuspectsView | None
    shapes: tuple[ShapeView, ...]
    census: tuple[CensusView, ...]
    collapses: tuple[CollapseView, ...]
    left_out: int
    upstream: UpstreamView | None
    selftest: str


def explained(report: CaseReport) -> ExplainedView:
    """Return what explaining found, as far as anything was."""
    rows = (report.shapes, report.census, report.collapses)
    return ExplainedView(
        confidence=report.confidence,
        confidence_means=CONFIDENCES.get(report.confidence, ""),
        levers=tuple(map(_lever, report.levers[:MAX_ROWS])),
        spent=_spent(report.levers),
        suspects=suspects(report.symptoms),
        shapes=tuple(map(_shape, report.shapes[:MAX_ROWS])),
        census=tuple(map(_census, report.census[:MAX_ROWS])),
        collapses=tuple(map(_collapse, report.collapses[:MAX_ROWS])),
        left_out=sum(max(0, len(table) - MAX_ROWS) for table in rows),
        upstream=_upstream(report.upstream),
        selftest=_selftest(report.selftest),
    )


def _lever(outcome: LeverOutcome) -> LeverView:
    return LeverView(
        lever=outcome.lever,
        verdict=outcome.verdict,
        sign=SIGNS[outcome.verdict],
        layer=outcome.layer,
        ops=outcome.layer_ops or outcome.executed_ops,
        detail="; ".join(part for part in (outcome.restricted, outcome.detail) if part),
        seconds=numbers.seconds(outcome.seconds) if outcome.seconds else PrintedNumber("", ""),
    )


def _spent(levers: Sequence[LeverOutcome]) -> str:
    if not levers:
        return ""
    right = [lever.lever for lever in levers if lever.verdict in _RIGHT]
    wrong = sum(lever.verdict == "different" for lever in levers)
    rest = len(levers) - len(right) - wrong
    which = f" ({', '.join(right)})" if len(right) <= 6 else ""
    counts = [
        f"{wrong:,} wrong" if wrong else "",
        f"{len(right):,} right{which}" if right else "",
        f"{rest:,} undecided" if rest else "",
    ]
    came = ", ".join(part for part in counts if part)
    return f"{plural(len(levers), 'execution')} spent, each in a process of its own: {came}."


def _shape(shape: ResponseShape) -> ShapeView:
    return ShapeView(
        probe=shape.probe,
        output=shape.output,
        sign=SHAPES[shape.kind],
        kind=shape.kind,
        sentence=shape.sentence,
        points=numbers.count(shape.points),
    )


def _census(census: UnitCensus) -> CensusView:
    name = census.activation or "the activation"
    return CensusView(
        probe=census.probe,
        layer=census.layer,
        activation=census.activation,
        units=numbers.count(census.units),
        rows=numbers.count(census.rows),
        below=numbers.count(census.below),
        negative=numbers.magnitude(census.negative),
        dead=_units(census.dead, max(census.dead_units, len(census.dead))),
        saturated=_units(census.saturated, max(census.saturated_units, len(census.saturated))),
        note=f"{name} changes none of these sums" if census.identity else "",
    )


def _units(named: Sequence[int], count: int) -> str:
    """Return how many units these are, and which, if they are few."""
    if not count:
        return "none"
    if count > 8:
        return f"{count:,}"
    return f"{count:,} (unit{'s' if count > 1 else ''} {', '.join(map(str, named))})"


def _collapse(collapse: Collapse) -> CollapseView:
    formula = ""
    if collapse.W:
        rows = ",\n     ".join(_row(row) for row in collapse.W)
        formula = f"W = [{rows}]\nb = {_row(collapse.b)}"
    return CollapseView(
        probe=collapse.probe,
        why=collapse.why,
        map=clip(formula, characters=4_000, lines=70),
        difference=numbers.magnitude(collapse.difference),
        bound=numbers.magnitude(collapse.bound),
    )


def _row(row: Sequence[float]) -> str:
    return f"[{', '.join(str(numbers.exact(value)) for value in row)}]"


def _upstream(upstream: Upstream | None) -> UpstreamView | None:
    if upstream is None:
        return None
    word = "still shows here" if upstream.shows else "fixed upstream"
    return UpstreamView(
        word, "no" if upstream.shows else "yes", upstream.reference, upstream.sentence
    )


def _selftest(score: SelftestScore | None) -> str:
    if score is None:
        return ""
    day = f"on {score.date}: " if score.date else ""
    harmless = f" in {plural(score.benign, 'harmless run')}" if score.benign else ""
    return (
        f"{day}{plural(score.injected, 'fault')} put into this installation: "
        f"{score.detected:,} found, "
        f"{score.localised:,} at the right layer, {score.attributed:,} with the right cause, "
        f"{score.abstained:,} left open, {score.confidently_wrong:,} confidently wrong; "
        f"{plural(score.false_alarms, 'false alarm')}{harmless} ({numbers.seconds(score.seconds)})."
    )
