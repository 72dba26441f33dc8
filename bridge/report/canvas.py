"""The paper that pictures are drawn on: small multiples as SVG, the same bytes every time.

Figures are made without pyplot, so no window system and no global state is involved, and axes are
placed by hand, which is several times quicker than a layout engine. Text stays text: no font is
fetched or put into the file.
"""

from __future__ import annotations

import contextlib
import io
import math
import re
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bridge.report.series import Panel, Vector
from bridge.report.text import one_line, plural

#: More models than this are not drawn in one panel.
MAX_GROUPS: Final = 6
#: A panel is about so many pixels wide; finer detail cannot be seen.
COLUMNS: Final = 220

#: The founding script's black, red and blue, then colours that differ from them and each other.
COLOURS: Final = ("#111111", "#d7191c", "#1f5fd0", "#1b8a3a", "#b35806", "#7b3fa0")
BAD: Final = "#b00020"
GREY: Final = "#666666"

_SETTINGS: Final[dict[Any, Any]] = {
    # Whatever the user's own matplotlibrc says, the picture is the same.
    **{key: value for key, value in mpl.rcParamsDefault.items() if "backend" not in key},
    "svg.hashsalt": "keras-bridge",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "text.usetex": False,
    "axes.unicode_minus": False,
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "Helvetica", "Arial"],
    "font.size": 9,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "#999999",
    "path.simplify": True,
    "path.simplify_threshold": 0.15,
}


# Matplotlib's settings belong to the process, and cases are drawn in several threads.
_LOCK: Final = threading.Lock()


@contextlib.contextmanager
def settings() -> Iterator[None]:
    """Hold matplotlib's settings at ours, in one thread at a time."""
    with _LOCK, mpl.rc_context(_SETTINGS):
        yield


class Canvas:
    """A figure with one axes for each panel; use it while :func:`settings` hold."""

    def __init__(
        self,
        shown: Sequence[Panel],
        *,
        columns: int,
        size: tuple[float, float],
        left_out: int = 0,
    ) -> None:
        """Lay ``shown`` out in ``columns`` columns.

        ``size`` is a panel's width and height in inches. That ``left_out`` more panels, and models
        beyond the most that a panel takes, are not drawn is written below.
        """
        self.shown = shown
        #: The models of all panels; the place of each gives its colour everywhere.
        self.models = list(dict.fromkeys(g.model for p in shown for g in p.groups[:MAX_GROUPS]))
        hidden = sum(max(0, len(panel.groups) - MAX_GROUPS) for panel in shown)
        missing = [f"{plural(left_out, 'panel')}, none worse than these"] if left_out else []
        missing += [plural(hidden, "model")] if hidden else []
        columns = max(1, min(columns, len(shown)))
        width, height = size
        left, right, bottom, top, head, foot = (
            0.42,
            0.1,
            0.3,
            0.22,
            0.27,
            0.2 if missing else 0.0,
        )
        rows = math.ceil(len(shown) / columns)
        wide, high = columns * width, rows * height + head + foot
        self.figure = Figure(figsize=(wide, high), facecolor="white")
        FigureCanvasSVG(self.figure)
        self.axes: list[Axes] = []
        for place in range(len(shown)):
            row, column = divmod(place, columns)
            x, y = column * width + left, foot + (rows - 1 - row) * height + bottom
            box = x / wide, y / high, (width - left - right) / wide, (height - bottom - top) / high
            self.axes.append(self.figure.add_axes(box))
        if missing:
            note = f"Not drawn: {'; '.join(missing)}."
            self.figure.text(0.01, 0.04 / high, note, fontsize=8, color=BAD)

    def colour(self, model: str) -> str:
        """Return the colour of ``model``."""
        return COLOURS[self.models.index(model) % len(COLOURS)]

    def dress(self, bad: frozenset[str]) -> None:
        """Give every panel its title and its ticks; those with a probe in ``bad`` stand out."""
        for panel, ax in zip(self.shown, self.axes, strict=True):
            differs = any(group.probe in bad for group in panel.groups)
            title = one_line(panel.title)
            title = title if len(title) <= 34 else title[:33] + "\N{HORIZONTAL ELLIPSIS}"
            ax.set_title(
                f"{title}: different" if differs else title,
                fontsize=9,
                loc="left",
                pad=3,
                color=BAD if differs else "black",
                fontweight="bold",
            )
            if panel.xlabel != "input":
                ax.set_xlabel(panel.xlabel, fontsize=7.5, labelpad=0, color=GREY, loc="right")
            ax.tick_params(length=2, width=0.6, labelsize=7.5, colors="#444444", pad=2)
            ax.spines[["top", "right"]].set_visible(False)
            ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
            ax.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
            ax.margins(x=0.02)

    def legend(self, runs: Iterable[tuple[str, Line2D]] = ()) -> None:
        """Name the models by colour, if they have names, and then ``runs`` by their lines."""
        entries: list[tuple[str, Line2D]] = []
        if any(self.models):
            entries = [
                (model, Line2D([], [], color=self.colour(model), linewidth=2.5))
                for model in self.models[:MAX_GROUPS]
            ]
        entries.extend(runs)
        if not entries:
            return
        self.figure.legend(
            [line for _, line in entries],
            [one_line(name)[:24] for name, _ in entries],
            loc="upper left",
            bbox_to_anchor=(0.0, 1.0),
            ncol=len(entries),
            frameon=False,
            fontsize=8.5,
            handlelength=1.6,
            columnspacing=1.2,
            borderaxespad=0.2,
        )

    def svg(self) -> bytes:
        """Return the figure as SVG, without a date, with coordinates rounded to 0.01 pt."""
        stream = io.BytesIO()
        with warnings.catch_warnings():
            # A character that is not in the font is drawn by the viewer's own fonts.
            warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
            nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
            self.figure.savefig(stream, format="svg", metadata=nothing)
        text = stream.getvalue().decode("utf-8")
        text = re.sub(r"<!DOCTYPE[^>]*>\s*", "", text, count=1)
        text = re.sub(r'(?<= d=")[^"]*', lambda match: _rounded(match[0]), text)
        return re.sub(r">\s*\n\s*<", "><", text).encode("utf-8")


def drawable(values: Vector) -> Vector:
    """Return ``values`` without what no axis can hold: NaN for Inf, and at most 1e300 in size."""
    shown: Vector = np.where(np.isfinite(values), np.clip(values, -1e300, 1e300), np.nan)
    return shown


def _rounded(path: str) -> str:
    path = re.sub(r"-?\d+\.\d{3,}", lambda match: f"{float(match[0]):.2f}", path)
    return re.sub(r"\s*\n\s*", "", path).replace(" L ", "L").replace("L ", "L").replace("M ", "M")
