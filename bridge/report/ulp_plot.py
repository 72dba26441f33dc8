"""The picture of the differences: how many units in the last place each run is from a base."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from bridge.report import numbers
from bridge.report.canvas import BAD, COLUMNS, GREY, MAX_GROUPS, Canvas, drawable, settings
from bridge.report.series import Curve, Group, Panel, Vector, column_maxima, curve_of, gap_in_ulps
from bridge.report.text import listed, one_line

_STYLES: Final = (
    ("solid", "-"),
    ("dashed", (0, (4, 2))),
    ("dotted", (0, (1, 1.5))),
    ("dash-dotted", (0, (6, 2, 1, 2))),
)
_MAX_NOTES: Final = 4


def gaps(
    shown: Sequence[Panel],
    base: str,
    *,
    bad: frozenset[str] = frozenset(),
    left_out: int = 0,
) -> bytes:
    """Return the distance of every run from ``base`` in ULPs, as SVG.

    The scale is linear up to 1 and logarithmic above. Each stretch of x shows its largest
    distance. Runs that agree bit for bit share a line. A triangle at the upper edge marks a NaN
    or Inf on one side only.
    """
    with settings():
        canvas = Canvas(shown, columns=4, size=(2.6, 1.45), left_out=left_out)
        canvas.dress(bad)
        for panel, ax in zip(shown, canvas.axes, strict=True):
            top, notes = 0.0, list[str]()
            for group in panel.groups[:MAX_GROUPS]:
                for note, largest in _draw_group(ax, group, base, canvas):
                    top = max(top, largest)
                    notes += [note] if note else []
            _scale(ax, top)
            measured = f"max {numbers.ulp(top)} ULP" if top else "0 ULP at every finite point"
            _write(ax, [measured, *dict.fromkeys(notes)])
        canvas.legend()
        return canvas.svg()


def _draw_group(ax: Axes, group: Group, base: str, canvas: Canvas) -> Iterator[tuple[str, float]]:
    """Draw one model; yield what must be said of it, and its largest finite distance."""
    reference = curve_of(group, base)
    if reference is None:
        yield f"{group.model} no {base}".strip(), 0.0
        return
    others = [curve for curve in group.curves if curve.run != base]
    for place, curves in enumerate(_same_bits(others)):
        names = f"{group.model} {listed([curve.run for curve in curves])}".strip()
        if len(curves[0].values) != len(reference.values):
            yield f"{names}: another length", 0.0
            continue
        gap = gap_in_ulps(curves[0], reference)
        odd = np.isinf(gap)
        finite = np.where(odd, 0.0, gap)
        look, dashes = _STYLES[place % len(_STYLES)]
        x, y = column_maxima(group.x, finite, COLUMNS)
        ax.plot(
            drawable(x),
            y,
            color=canvas.colour(group.model),
            linestyle=dashes,
            linewidth=max(0.7, 1.5 - 0.35 * canvas.models.index(group.model)),
            marker="o" if len(x) == 1 else None,
            drawstyle="steps-post",
        )
        yield f"{names}: {look}" if place else "", float(finite.max())
        if odd.any():
            _mark(ax, group.x[odd])
            yield f"{names}: {int(odd.sum()):,} NaN/Inf", 0.0


def _same_bits(curves: Sequence[Curve]) -> list[list[Curve]]:
    """Return ``curves`` in groups that agree bit for bit (a NaN agrees with a NaN)."""
    groups: list[list[Curve]] = []
    for curve in curves:
        for group in groups:
            if np.array_equal(group[0].values, curve.values, equal_nan=True):
                group.append(curve)
                break
        else:
            groups.append([curve])
    return groups


def _mark(ax: Axes, places: Vector) -> None:
    """Put a triangle at the upper edge over each of ``places``, at most some forty."""
    some = places[:: max(1, len(places) // 40)]
    ax.plot(
        drawable(some),
        np.full(len(some), 0.97),
        transform=ax.get_xaxis_transform(),
        linestyle="none",
        marker="v",
        color=BAD,
        markersize=4,
    )


def _scale(ax: Axes, top: float) -> None:
    """Scale y: linear to 1 ULP, logarithmic above, with 0 in sight and room for the notes."""
    ax.axhline(0, color="#999999", linewidth=0.6, zorder=1)
    if top <= 4:
        ax.set_ylim(-0.06 * max(top, 1), 1.5 * max(top, 1))
        ax.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    else:
        decades = math.ceil(math.log10(top))
        step = max(1, math.ceil(decades / 3))
        ax.set_yscale("symlog", linthresh=1, linscale=max(0.5, 0.15 * decades))
        ax.set_ylim(-0.3, 10.0 ** min(300, math.ceil(decades * 1.5)))
        ticks = [0.0, *(10.0**k for k in range(step, decades + 1, step))]
        ax.yaxis.set_major_locator(FixedLocator(ticks))
        ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))


def _write(ax: Axes, notes: Sequence[str]) -> None:
    if len(notes) > _MAX_NOTES:
        notes = [*notes[: _MAX_NOTES - 1], f"and {len(notes) - _MAX_NOTES + 1} more notes"]
    for line, note in enumerate(notes):
        ax.text(
            0.02,
            0.97 - 0.14 * line,
            one_line(note)[:44],
            transform=ax.transAxes,
            va="top",
            fontsize=7.5,
            color=BAD if line else GREY,
        )
