"""The picture of all outputs: every run of every model, over one another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bridge.report.canvas import BAD, COLUMNS, GREY, MAX_GROUPS, Canvas, drawable, settings
from bridge.report.series import Curve, Group, Panel, gap_in_ulps, thinned

_MARKERS: Final = ("o", "x", "^", "s", "D")


def overlay(
    shown: Sequence[Panel],
    runs: Sequence[str],
    *,
    bad: frozenset[str] = frozenset(),
    left_out: int = 0,
) -> bytes:
    """Return the outputs of ``runs`` as SVG.

    The first run is a line, the reference a wide pale band under it, and every other run is marks
    on it, of which one stands where that run is farthest from the first.

    Titles of panels with a probe in ``bad`` stand out; ``left_out`` panels are said to be missing.
    """
    base = "reference" if "reference" in runs and len(runs) > 1 else None
    others = [run for run in runs if run != base]
    with settings():
        canvas = Canvas(shown, columns=2, size=(3.3, 1.5), left_out=left_out)
        canvas.dress(bad)
        for panel, ax in zip(shown, canvas.axes, strict=True):
            for group in panel.groups[:MAX_GROUPS]:
                _draw_group(ax, group, canvas, others)
            _set_limits(ax, panel)
        lines = [Line2D([], [], color=GREY, **_style(run, others)) for run in runs]
        canvas.legend(zip(runs, lines, strict=True))
        return canvas.svg()


def _style(run: str, others: Sequence[str]) -> dict[str, Any]:
    """Return how ``run`` is drawn: band, line, or marks of its own shape."""
    if run not in others:
        return {"linestyle": "-", "linewidth": 5.0, "alpha": 0.2, "solid_capstyle": "butt"}
    place = others.index(run)
    if place == 0:
        return {"linestyle": "-", "linewidth": 1.2}
    marker = _MARKERS[(place - 1) % len(_MARKERS)]
    return {
        "linestyle": "none",
        "marker": marker,
        "markersize": 3.5 if marker == "x" else 4.5,
        "markerfacecolor": "none",
        "markeredgewidth": 0.8,
    }


def _draw_group(ax: Axes, group: Group, canvas: Canvas, others: Sequence[str]) -> None:
    number, total = canvas.models.index(group.model), min(len(canvas.models), MAX_GROUPS)
    for curve in reversed(group.curves):
        style = _style(curve.run, others)
        x = group.x
        if len(x) != len(curve.values):
            x = np.arange(len(curve.values), dtype=np.float64)
        if style["linestyle"] == "none":
            # Marks of different models and runs stand at different x, so that all are seen.
            lanes = total * max(1, len(others) - 1)
            lane = number + total * (others.index(curve.run) - 1)
            chosen = _marked(curve, group.curves[0], lane / lanes)
            x, y = x[chosen], curve.values[chosen]
        else:
            x, y = thinned(x, curve.values, COLUMNS)
            if len(x) == 1:
                style["marker"] = "o"
            if curve.run in others:
                # Of models that coincide the first is the widest, so that each is seen.
                style["linewidth"] = 0.9 + 0.9 * (total - 1 - number % total)
        ax.plot(
            drawable(x),
            drawable(y),
            color=canvas.colour(group.model),
            zorder=2 + 0.1 * number,
            **style,
        )


def _marked(curve: Curve, lead: Curve, shift: float) -> list[int]:
    """Return the indices at which ``curve`` is marked: about five, and where it is worst."""
    length = len(curve.values)
    step = max(1.0, length / 5)
    chosen = {min(length - 1, int((k + shift) * step)) for k in range(math.ceil(length / step))}
    if curve is not lead and length == len(lead.values):
        gap = gap_in_ulps(curve, lead)
        if gap.any():
            chosen.add(int(np.argmax(gap)))
    return sorted(chosen)


def _set_limits(ax: Axes, panel: Panel) -> None:
    """Set the limits of y so that every finite value is in sight."""
    values = np.concatenate([drawable(c.values) for g in panel.groups for c in g.curves])
    finite = values[~np.isnan(values)]
    if finite.size == 0:
        ax.set_ylim(-1, 1)
        ax.text(0.5, 0.5, "no finite value", transform=ax.transAxes, ha="center", color=BAD)
        return
    low, high = float(finite.min()), float(finite.max())
    margin = 0.08 * (high - low) or 0.5 * abs(high) or 1.0
    ax.set_ylim(low - margin, high + margin)
