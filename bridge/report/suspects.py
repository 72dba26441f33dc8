"""The table of suspected faults, with a sparkline for each response."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from bridge._text import listed
from bridge.explain.result import (
    Candidate,
    Observation,
    Says,
    Separating,
    SymptomCell,
    SymptomTable,
)
from bridge.report.text import one_line
from bridge.report.words import SAYS

WIDTH: Final = 72
HEIGHT: Final = 40
_MARGIN: Final = 3
#: A curve this small shows no more points.
MOST_POINTS: Final = 120
_LABEL: Final = 300

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Scale:
    """The ranges of x and y that fill a small picture; what is beyond them is cut off."""

    left: float
    right: float
    low: float
    high: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return a place in the picture, in its own units, to a tenth of one."""
        across = (x - self.left) / (self.right - self.left)
        up = (y - self.low) / (self.high - self.low)
        place_x = _MARGIN + across * (WIDTH - 2 * _MARGIN)
        place_y = HEIGHT - _MARGIN - up * (HEIGHT - 2 * _MARGIN)
        # Far outside is as invisible as a little outside, and short to write.
        return round(place_x, 1), round(min(max(place_y, -HEIGHT), 2.0 * HEIGHT), 1)


def scale_of(curves: Iterable[Points]) -> Scale | None:
    """Return the scale on which all points of ``curves`` are seen; None if there are none."""
    points = [point for curve in curves for point in curve if _finite(point)]
    if not points:
        return None
    left, right = _apart(min(x for x, _ in points), max(x for x, _ in points))
    low, high = _apart(min(y for _, y in points), max(y for _, y in points))
    return Scale(left, right, low, high)


def spark(curve: Points, scale: Scale | None, label: str, dots: Points = ()) -> Markup:
    """Return a picture of ``curve`` with ``dots`` behind it, or nothing if nothing can be seen.

    Numbers that are not finite leave gaps. ``label`` says in words what the picture shows.
    """
    if scale is None or not any(_finite(point) for point in (*curve, *dots)):
        return Markup("")
    marks = [_axis(scale)]
    for x, y in _thinned([point for point in dots if _finite(point)]):
        across, down = scale.at(x, y)
        marks.append(Markup('<circle cx="{}" cy="{}" r="1.4"/>').format(across, down))
    for run in _runs(_thinned(curve)):
        places = " ".join(f"{x:g},{y:g}" for x, y in (scale.at(*point) for point in run))
        marks.append(Markup('<polyline points="{}"/>').format(places))
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">'
        "{}</svg>"
    ).format(WIDTH, HEIGHT, WIDTH, HEIGHT, one_line(label)[:_LABEL], Markup("").join(marks))


def _axis(scale: Scale) -> Markup:
    """Return the lines of x = 0 and y = 0, as far as they are within the picture."""
    marks = Markup("")
    if scale.left <= 0 <= scale.right:
        across, _ = scale.at(0.0, scale.low)
        marks += Markup('<line x1="{0}" x2="{0}" y1="0" y2="{1}"/>').format(across, HEIGHT)
    if scale.low <= 0 <= scale.high:
        _, down = scale.at(scale.left, 0.0)
        marks += Markup('<line x1="0" x2="{1}" y1="{0}" y2="{0}"/>').format(down, WIDTH)
    return marks


def _runs(points: Points) -> Iterable[Points]:
    """Yield the stretches of points that are finite; a single one as a short dash."""
    run: list[tuple[float, float]] = []
    for point in (*points, (math.nan, math.nan)):
        if _finite(point):
            run.append(point)
        elif run:
            yield run if len(run) > 1 else [run[0], run[0]]
            run = []


def _thinned(points: Points) -> Points:
    if len(points) <= MOST_POINTS:
        return points
    last = len(points) - 1
    return [points[round(n * last / (MOST_POINTS - 1))] for n in range(MOST_POINTS)]


def _apart(low: float, high: float) -> tuple[float, float]:
    """Return the ends of a range that is not empty."""
    if low < high and math.isfinite(high - low):
        return low, high
    size = max(abs(low), 1.0) if low == high else max(abs(low), abs(high))
    return (low - size, high + size) if low == high and size < 1e300 else (-size, size)


def _finite(point: tuple[float, float]) -> bool:
    # Beyond this, differences of two numbers are not finite any more.
    return all(abs(number) < 1e300 for number in point)


# The table of symptoms: every candidate cause against every observation, ready to print.

MAX_CANDIDATES: Final = 60
MAX_OBSERVATIONS: Final = 24


@dataclass(frozen=True)
class ObservationView:
    """What was reported, as the head of a column; ``drawn`` shows its points."""

    name: str
    said: str
    drawn: Markup


@dataclass(frozen=True)
class CellView:
    """What a candidate says of an observation; ``state`` is ``yes``, ``no`` or ``open``."""

    sign: str
    word: Says
    state: str
    shape: str
    why: str
    drawn: Markup


@dataclass(frozen=True)
class CandidateView:
    """A row: a candidate, whether it stands, and how many observations it explains."""

    name: str
    cause: str
    sentence: str
    family: str
    alike: tuple[str, ...]
    standing: bool
    explained: int
    contradicted: int
    cells: tuple[CellView, ...]


@dataclass(frozen=True)
class ToRunView:
    """A run on the reporter's machine, and what each candidate predicts of it."""

    question: str
    r: str
    python: str
    expect: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SuspectsView:
    """The table, with the candidates that stand first."""

    sentence: str
    observations: tuple[ObservationView, ...]
    observations_left_out: int
    candidates: tuple[CandidateView, ...]
    candidates_left_out: int
    standing: tuple[str, ...]
    families: tuple[tuple[str, str], ...]
    to_run: tuple[ToRunView, ...]


def suspects(table: SymptomTable | None) -> SuspectsView | None:
    """Return the table of symptoms ready to print; None if nothing was reported."""
    if table is None:
        return None
    seen = table.observations[:MAX_OBSERVATIONS]
    order = sorted(table.candidates, key=lambda each: _rank(table, each))
    kept = order[:MAX_CANDIDATES]
    scales = {one.name: _scale(table, one) for one in seen}
    return SuspectsView(
        sentence=table.sentence,
        observations=tuple(_observation(one, scales[one.name]) for one in seen),
        observations_left_out=len(table.observations) - len(seen),
        candidates=tuple(_candidate(table, each, seen, scales) for each in kept),
        candidates_left_out=len(order) - len(kept),
        standing=table.standing,
        families=tuple(_families(kept)),
        to_run=tuple(map(_to_run, table.separating)),
    )


def _rank(table: SymptomTable, candidate: Candidate) -> tuple[bool, int, int]:
    says = [cell.says for cell in candidate.cells]
    stands = candidate.name in table.standing
    return not stands, says.count("contradicts"), -says.count("explains")


def _families(candidates: Sequence[Candidate]) -> list[tuple[str, str]]:
    """Return each family of several candidates with the list of their names."""
    members: dict[str, list[str]] = {}
    for each in candidates:
        if each.family:
            members.setdefault(each.family, []).append(each.name)
    return [(name, listed(names)) for name, names in members.items() if len(names) > 1]


def _scale(table: SymptomTable, observation: Observation) -> Scale | None:
    """Return the scale of a column: of what was reported and what stands, else of everything."""
    curves = {
        candidate.name: _points(table, cell)
        for candidate in table.candidates
        for cell in candidate.cells
        if cell.observation == observation.name
    }
    first = [observation.points, *(curves[name] for name in table.standing if name in curves)]
    return scale_of(first) or scale_of(curves.values())


def _points(table: SymptomTable, cell: SymptomCell) -> Points:
    """Return a cell's curve over the grid, or over its own numbers where the grid is another."""
    if len(table.grid) == len(cell.curve):
        return tuple(zip(table.grid, cell.curve, strict=True))
    return tuple((float(number), y) for number, y in enumerate(cell.curve))


def _observation(one: Observation, scale: Scale | None) -> ObservationView:
    model = f"model {one.model}" if one.model else ""
    parts = [part for part in (model, one.activation) if part.rpartition(" ")[2] not in one.name]
    said = ", ".join(part for part in (*parts, one.shape) if part)
    if one.points and not one.shape:
        said = ", ".join(part for part in (said, f"{len(one.points):,} points") if part)
    label = f"{len(one.points):,} points as they were reported"
    return ObservationView(one.name, said, spark((), scale, label, one.points))


def _candidate(
    table: SymptomTable,
    candidate: Candidate,
    seen: Sequence[Observation],
    scales: dict[str, Scale | None],
) -> CandidateView:
    cells = {cell.observation: cell for cell in candidate.cells}
    alike = [
        other.name
        for other in table.candidates
        if candidate.family and other.family == candidate.family and other.name != candidate.name
    ]
    says = [cell.says for cell in candidate.cells]
    return CandidateView(
        name=candidate.name,
        cause=candidate.cause,
        sentence=candidate.sentence,
        family=candidate.family,
        alike=tuple(alike),
        standing=candidate.name in table.standing,
        explained=says.count("explains"),
        contradicted=says.count("contradicts"),
        cells=tuple(_cell(table, one, cells.get(one.name), scales[one.name]) for one in seen),
    )


def _cell(
    table: SymptomTable, observation: Observation, cell: SymptomCell | None, scale: Scale | None
) -> CellView:
    if cell is None:
        sign, state = SAYS["silent"]
        return CellView(sign, "silent", state, "", "nothing is known", Markup(""))
    sign, state = SAYS[cell.says]
    label = ", ".join(part for part in (cell.says, cell.shape, cell.why) if part)
    drawn = spark(_points(table, cell), scale, label, observation.points)
    return CellView(sign, cell.says, state, cell.shape, cell.why, drawn)


def _to_run(one: Separating) -> ToRunView:
    return ToRunView(one.question, one.r, one.python, tuple(one.expect.items()))
