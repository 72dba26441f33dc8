"""Small curves as inline SVG: a line on a scale that a column of a table shares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from bridge.report.text import one_line

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
