"""The table of suspected faults, with a sparkline for each response."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

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
class ReportedView:
    """What was reported of one model and activation, with what explains everything behind it."""

    said: str
    drawn: Markup


@dataclass(frozen=True)
class CellView:
    """What a candidate says of an observation; ``state`` is ``yes``, ``no`` or ``open``."""

    observation: str
    sign: str
    word: Says
    state: str
    shape: str
    why: str
    drawn: Markup


@dataclass(frozen=True)
class CandidateView:
    """A candidate: its cause, and what it would do."""

    name: str
    cause: str
    sentence: str


@dataclass(frozen=True)
class GroupView:
    """Candidates that these observations do not tell apart, as one row.

    ``cells`` are those that contradict.
    """

    members: tuple[CandidateView, ...]
    standing: bool
    explained: int
    contradicted: int
    silent: int
    cells: tuple[CellView, ...]

    @property
    def sign(self) -> tuple[str, str]:
        """The sign for all of it, and the kind of word that it is."""
        return SAYS["explains" if self.standing else "contradicts" if self.contradicted else
                    "silent"]  # fmt: skip


@dataclass(frozen=True)
class ToRunView:
    """A run on the reporter's machine, and what each candidate predicts of it."""

    question: str
    r: str
    python: str
    expect: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SuspectsView:
    """What was reported, a row for each activation; and the candidates, those that stand first.

    ``models`` is empty where observations have no models: then a row is an observation.
    """

    sentence: str
    models: tuple[str, ...]
    reported: tuple[tuple[str, tuple[ReportedView | None, ...]], ...]
    observations: int
    observations_left_out: int
    groups: tuple[GroupView, ...]
    candidates_left_out: int
    to_run: tuple[ToRunView, ...]


def suspects(table: SymptomTable | None) -> SuspectsView | None:
    """Return the table of symptoms ready to print; None if nothing was reported."""
    if table is None:
        return None
    seen = table.observations[:MAX_OBSERVATIONS]
    order = sorted(table.candidates, key=lambda candidate: _rank(table, candidate))
    kept = order[:MAX_CANDIDATES]
    scales = {observation.name: _scale(table, observation) for observation in seen}
    alike: dict[tuple[bool, tuple[Says, ...]], list[Candidate]] = {}
    for candidate in kept:
        says = tuple(cell.says for cell in candidate.cells)
        alike.setdefault((candidate.name in table.standing, says), []).append(candidate)
    models, rows = _rows(table, seen, scales)
    return SuspectsView(
        sentence=table.sentence,
        models=models,
        reported=rows,
        observations=len(table.observations),
        observations_left_out=len(table.observations) - len(seen),
        groups=tuple(_group(table, same, seen, scales) for same in alike.values()),
        candidates_left_out=len(order) - len(kept),
        to_run=tuple(map(_to_run, table.separating)),
    )


def _rows(
    table: SymptomTable, seen: Sequence[Observation], scales: dict[str, Scale | None]
) -> tuple[tuple[str, ...], tuple[tuple[str, tuple[ReportedView | None, ...]], ...]]:
    """Return the models and, for each activation, what was reported of each of them."""
    stands = next(
        (candidate for candidate in table.candidates if candidate.name in table.standing), None
    )
    cells = {cell.observation: cell for cell in (stands.cells if stands is not None else ())}
    views = {
        observation.name: _reported(
            table, observation, cells.get(observation.name), scales[observation.name]
        )
        for observation in seen
    }
    places = {(observation.activation, observation.model): observation.name for observation in seen}
    if len(places) < len(seen) or not all(
        observation.activation and observation.model for observation in seen
    ):
        return (), tuple((observation.name, (views[observation.name],)) for observation in seen)
    models = tuple(dict.fromkeys(observation.model for observation in seen))
    activations = dict.fromkeys(observation.activation for observation in seen)
    return models, tuple(
        (activation, tuple(views.get(places.get((activation, model), "")) for model in models))
        for activation in activations
    )


def _rank(table: SymptomTable, candidate: Candidate) -> tuple[bool, int, int]:
    says = [cell.says for cell in candidate.cells]
    stands = candidate.name in table.standing
    return not stands, says.count("contradicts"), -says.count("explains")


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


def _reported(
    table: SymptomTable, observation: Observation, cell: SymptomCell | None, scale: Scale | None
) -> ReportedView:
    said = observation.shape or f"{len(observation.points):,} points"
    curve = _points(table, cell) if cell is not None else ()
    return ReportedView(said, spark(curve, scale, f"reported: {said}", observation.points))


def _group(
    table: SymptomTable,
    same: Sequence[Candidate],
    seen: Sequence[Observation],
    scales: dict[str, Scale | None],
) -> GroupView:
    first = same[0]
    cells = {cell.observation: cell for cell in first.cells}
    views = [
        _cell(table, observation, cells.get(observation.name), scales[observation.name])
        for observation in seen
    ]
    says = [cell.says for cell in first.cells]
    return GroupView(
        members=tuple(
            CandidateView(candidate.name, candidate.cause, candidate.sentence) for candidate in same
        ),
        standing=first.name in table.standing,
        explained=says.count("explains"),
        contradicted=says.count("contradicts"),
        silent=len(seen) - says.count("explains") - says.count("contradicts"),
        cells=tuple(view for view in views if view.word == "contradicts"),
    )


def _cell(
    table: SymptomTable, observation: Observation, cell: SymptomCell | None, scale: Scale | None
) -> CellView:
    if cell is None:
        sign, state = SAYS["silent"]
        return CellView(observation.name, sign, "silent", state, "", "", Markup(""))
    sign, state = SAYS[cell.says]
    label = ", ".join(part for part in (cell.says, cell.shape, cell.why) if part)
    drawn = spark(_points(table, cell), scale, label, observation.points)
    return CellView(observation.name, sign, cell.says, state, cell.shape, cell.why, drawn)


def _to_run(experiment: Separating) -> ToRunView:
    return ToRunView(
        experiment.question, experiment.r, experiment.python, tuple(experiment.expect.items())
    )
