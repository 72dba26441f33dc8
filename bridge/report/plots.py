"""Pictures of results: curves over one another, and their gaps in units in the last place."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import math
import re
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from bridge._text import listed, plural
from bridge._typing import AnyArray
from bridge.capsule import Array, Capsule, CapsuleError, Probe
from bridge.capsule.numbers import float_type, gaps
from bridge.compare.alignment import labels_of
from bridge.report import numbers
from bridge.report.text import one_line

#: More models than this are not drawn in one panel.
MAX_GROUPS: Final = 6
#: A panel is about so many pixels wide; finer detail cannot be seen.
COLUMNS: Final = 220

#: The founding script's black, red and blue, then colours that differ from them and each other.
COLOURS: Final = (
    *("#111111", "#d7191c", "#1f5fd0", "#1b8a3a", "#b35806", "#7b3fa0"),
    *("#008b95", "#d6408f", "#8a7a00", "#6b7c8c"),
)
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
    with _LOCK, mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        # A character that is not in the font is drawn by the viewer's own fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
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
        runs: Iterable[tuple[str, Line2D]] = (),
    ) -> None:
        """Lay ``shown`` out in ``columns`` columns, under a legend of the models and ``runs``.

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
        wide = columns * width
        self.figure = Figure(figsize=(wide, height), facecolor="white")
        FigureCanvasSVG(self.figure)
        left, right, bottom, top, foot = 0.42, 0.1, 0.3, 0.22, 0.2 if missing else 0.0
        head = 0.1 + 0.17 * self._legend(runs)
        rows = math.ceil(len(shown) / columns)
        high = rows * height + head + foot
        self.figure.set_size_inches(wide, high)
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
            differs = any(not bad.isdisjoint(group.probes) for group in panel.groups)
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
            alone = all(len(group.x) == 1 for group in panel.groups)
            if panel.xlabel != "input" and not alone:
                ax.set_xlabel(panel.xlabel, fontsize=7.5, labelpad=0, color=GREY, loc="right")
            ax.tick_params(length=2, width=0.6, labelsize=7.5, colors="#444444", pad=2)
            ax.spines[["top", "right"]].set_visible(False)
            whole = panel.xlabel != "input"
            places = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], integer=whole)
            ax.xaxis.set_major_locator(NullLocator() if alone else places)
            ax.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
            ax.margins(x=0.02)

    def _legend(self, runs: Iterable[tuple[str, Line2D]]) -> int:
        """Name the models by colour, if they have names, and then ``runs`` by their lines.

        Returns how many rows were needed for all to be in sight.
        """
        # A model without a name is alone in its panel, whose title says what it is.
        entries = [
            (model, Line2D([], [], color=self.colour(model), linewidth=2.5))
            for model in self.models[: len(COLOURS)]
            if model
        ]
        entries.extend(runs)
        for columns in range(len(entries), 0, -1):
            legend = self.figure.legend(
                [line for _, line in entries],
                [one_line(name)[:24] for name, _ in entries],
                loc="upper left",
                bbox_to_anchor=(0.0, 1.0),
                ncol=columns,
                frameon=False,
                fontsize=8.5,
                handlelength=1.6,
                columnspacing=1.2,
                borderaxespad=0.2,
            )
            if columns == 1 or legend.get_window_extent().width <= self.figure.bbox.width:
                return math.ceil(len(entries) / columns)
            legend.remove()
        return 0

    def svg(self) -> bytes:
        """Return the figure as SVG, without a date, with coordinates rounded to 0.01 pt."""
        stream = io.BytesIO()
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


# What a picture shows, as arrays: the capsules' probes sorted into panels, models and runs.

Vector = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Curve:
    """The numbers that one run made at one probe, flattened, in the type that they had."""

    run: str
    elements: AnyArray

    @functools.cached_property
    def values(self) -> Vector:
        """The same numbers in float64, to be drawn."""
        return self.elements.astype(np.float64)


@dataclass(frozen=True)
class Group:
    """All runs of one model at one probe, over a common x.

    There is more than one probe where each has one number, as the batches of a loop have: the
    numbers are a curve over the calls. ``started`` says that some runs only made the start of it:
    the first epochs of a training.
    """

    model: str
    probes: tuple[str, ...]
    x: Vector
    curves: tuple[Curve, ...]
    started: bool = False

    @property
    def shared(self) -> Group:
        """The group as far as all of its runs went."""
        if not self.started:
            return self
        most = min(len(curve.elements) for curve in self.curves)
        curves = tuple(Curve(curve.run, curve.elements[:most]) for curve in self.curves)
        return replace(self, x=self.x[:most], curves=curves)


@dataclass
class Panel:
    """One picture of many: the models that are drawn over one another."""

    title: str
    xlabel: str
    groups: list[Group] = field(default_factory=list)


def panels(capsules: Mapping[str, Capsule]) -> list[Panel]:
    """Return the panels of ``capsules`` (by name of run), in the order of the script.

    Probes are matched by their order. Those labelled ``A/relu``, ``B/relu`` and so on share the
    panel ``relu``; calls of one number each that a loop made at one line share a panel too; any
    other probe has one of its own. A probe of which no run recorded numbers is left out.
    """
    found: dict[tuple[str, str], Panel] = {}
    calls: dict[str, tuple[str, int]] = {}
    for index, label in labels_of(capsules.values()).items():
        probes = {
            run: capsule.manifest.probes[index]
            for run, capsule in capsules.items()
            if index < len(capsule.manifest.probes)
        }
        first = next(iter(probes.values()))
        if first.line and not any(probe.label for probe in probes.values()):
            calls[label] = first.kind, first.line
        model, slash, variant = label.partition("/")
        title = variant if slash and variant else label
        for group, xlabel in _groups(capsules, probes, label, model if slash else ""):
            panel = found.setdefault((title, xlabel), Panel(title, xlabel))
            panel.groups.append(group)
    return _joined(found.values(), calls)


def _joined(found: Iterable[Panel], calls: Mapping[str, tuple[str, int]]) -> list[Panel]:
    """Return ``found`` with the panels of one loop in one, where each has single numbers.

    ``calls`` says what was called, and at which line, by the names of the probes without a label.
    """
    alike: dict[object, list[Panel]] = {}
    for panel in found:
        call = calls.get(panel.title)
        single = all(len(curve.elements) == 1 for g in panel.groups for curve in g.curves)
        looks = tuple((g.model, tuple(curve.run for curve in g.curves)) for g in panel.groups)
        key = (call, looks) if call and single and panel.xlabel == "index" else panel.title
        alike.setdefault((key, panel.xlabel), []).append(panel)
    return [_loop(same, calls) if len(same) > 1 else same[0] for same in alike.values()]


def _loop(same: Sequence[Panel], calls: Mapping[str, tuple[str, int]]) -> Panel:
    """Return one panel for the calls of a loop."""
    kind, line = calls[same[0].title]
    groups = [
        Group(
            together[0].model,
            tuple(probe for group in together for probe in group.probes),
            np.arange(1, len(together) + 1, dtype=np.float64),
            tuple(
                Curve(curves[0].run, np.concatenate([curve.elements for curve in curves]))
                for curves in zip(*(group.curves for group in together), strict=True)
            ),
        )
        for together in zip(*(panel.groups for panel in same), strict=True)
    ]
    return Panel(f"{len(same)} x {kind} (line {line})", "call", groups)


def curve_of(group: Group, run: str) -> Curve | None:
    """Return what ``run`` made in ``group``, if it made anything."""
    return next((curve for curve in group.curves if curve.run == run), None)


def gap_in_ulps(a: Curve, b: Curve) -> Vector:
    """Return how far ``a`` is from ``b``, element by element, in units in the last place.

    What a unit is says :mod:`bridge.capsule.numbers`. Where exactly one side is NaN, or infinities
    differ, the gap is infinite; where both are NaN or the same infinity it is 0.
    """
    left, right = a.values, b.values
    alike = (left == right) | (np.isnan(left) & np.isnan(right))
    finite = np.isfinite(left) & np.isfinite(right)
    gap: Vector = np.where(alike, 0.0, np.inf)
    gap[finite] = gaps(a.elements[finite], b.elements[finite])[2]
    return gap


def thinned(x: Vector, y: Vector, columns: int) -> tuple[Vector, Vector]:
    """Return the points that a picture ``columns`` pixels wide can show, extremes included.

    Of each column the lowest and the highest point stay, in their order; nothing is averaged.
    NaN and Inf are kept as the gaps that they are. ``x`` must be sorted.
    """
    if len(x) <= 2 * columns:
        return x, y
    edges = np.linspace(0, len(x), columns + 1).astype(int)
    keep: list[int] = []
    for start, stop in itertools.pairwise(edges):
        part = y[start:stop]
        finite = np.isfinite(part)
        if finite.any():
            low = int(np.argmin(np.where(finite, part, np.inf)))
            high = int(np.argmax(np.where(finite, part, -np.inf)))
            keep.extend(start + i for i in sorted({low, high}))
        if not finite.all():
            keep.append(start + int(np.argmin(finite)))
    indices = np.array(sorted(set(keep)))
    return x[indices], y[indices]


def column_maxima(x: Vector, y: Vector, columns: int) -> tuple[Vector, Vector]:
    """Return the largest ``y`` of each of ``columns`` stretches of the sorted ``x``."""
    if len(x) <= columns:
        return x, y
    starts = np.linspace(0, len(x), columns, endpoint=False).astype(int)
    return x[starts], np.maximum.reduceat(y, starts)


def _groups(
    capsules: Mapping[str, Capsule], probes: Mapping[str, Probe], label: str, model: str
) -> Iterator[tuple[Group, str]]:
    """Yield what can be drawn of one probe: the parts of its outputs, then each training curve.

    Weights after a training are no curve over anything.
    """
    parts = {
        run: list(_parts(capsules[run], probe))
        for run, probe in probes.items()
        if probe.kind != "fit"
    }
    most = max(map(len, parts.values()), default=0)
    for number in range(most):
        there = {run: found[number] for run, found in parts.items() if number < len(found)}
        curves = [Curve(run, elements) for run, (_, elements) in there.items()]
        x, xlabel = _abscissa(capsules, probes, len(curves[0].values))
        order = np.argsort(x, kind="stable")
        curves = [
            Curve(c.run, c.elements[order] if len(c.elements) == len(order) else c.elements)
            for c in curves
        ]
        part = next((name for name, _ in there.values() if name), f"output {number}")
        name = model if most == 1 else f"{model} {part}".strip()
        yield Group(name, (label,), x[order], tuple(curves)), xlabel
    names = {name: None for probe in probes.values() for name in probe.curves}
    for name in names:
        curves = [
            Curve(run, np.asarray(probe.curves[name], dtype=np.float64))
            for run, probe in probes.items()
            if probe.curves.get(name)
        ]
        if curves:
            most = max(len(curve.elements) for curve in curves)
            epochs = np.arange(1, most + 1, dtype=np.float64)
            started = any(probe.first_epochs is not None for probe in probes.values())
            title = f"{model} {name}".strip()
            yield Group(title, (label,), epochs, tuple(curves), started), "epoch"


def _parts(capsule: Capsule, probe: Probe) -> Iterator[tuple[str, AnyArray]]:
    """Yield the name ("" if it has none) and the numbers of all that is drawn as its own curve.

    A loss and its metrics are one number each, whether they came as one array or as several. Of a
    prediction, each of a few units is a curve.
    """
    for output in probe.outputs:
        elements = _numbers(capsule, output)
        if elements is None:
            continue
        if probe.kind in ("evaluate", "train"):
            metric = re.search(r"\['(.+)'\]$", output.name)
            for element in elements.ravel():
                yield metric[1] if metric else "", np.atleast_1d(element)
        elif elements.ndim > 1 and len(elements) > 1 and 1 < elements.shape[-1] <= MAX_GROUPS:
            which = f"{output.name} " if len(probe.outputs) > 1 else ""
            for unit in range(elements.shape[-1]):
                yield f"{which}unit {unit + 1}", elements[..., unit].ravel()
        else:
            yield "", elements.ravel()


def _numbers(capsule: Capsule, array: Array) -> AnyArray | None:
    """Return the numbers of ``array``, or None if there are none to draw."""
    try:
        elements = capsule.array(array)
        float_type(elements.dtype)
    except (CapsuleError, TypeError):
        return None
    return elements if elements.size else None


def _abscissa(
    capsules: Mapping[str, Capsule], probes: Mapping[str, Probe], length: int
) -> tuple[Vector, str]:
    """Return x: the input, if it is one number for each output, else the index."""
    for run, probe in probes.items():
        if len(probe.inputs) == 1:
            elements = _numbers(capsules[run], probe.inputs[0])
            if elements is not None and elements.size == length and length > 1:
                x = elements.ravel().astype(np.float64)
                if np.isfinite(x).all():
                    return x, "input"
                break
    return np.arange(length, dtype=np.float64), "index"


# The picture of all outputs: every run of every model, over one another.

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
        lines = [(run, Line2D([], [], color=GREY, **_style(run, others))) for run in runs]
        # One panel alone is seen as large as two.
        size = (3.3, 1.5) if len(shown) > 1 else (4.6, 2.6)
        canvas = Canvas(shown, columns=2, size=size, left_out=left_out, runs=lines)
        canvas.dress(bad)
        for panel, ax in zip(shown, canvas.axes, strict=True):
            groups = panel.groups[:MAX_GROUPS]
            models = list(dict.fromkeys(group.model for group in groups))
            for group in groups:
                _draw_group(ax, group, canvas, models, others)
            _set_limits(ax, panel)
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


def _draw_group(
    ax: Axes, group: Group, canvas: Canvas, models: Sequence[str], others: Sequence[str]
) -> None:
    """Draw one of ``models``, those of its panel, in every run."""
    number, total = models.index(group.model), len(models)
    for curve in reversed(group.curves):
        style = _style(curve.run, others)
        x = group.x[: len(curve.values)] if group.started else group.x
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


# The picture of the differences: how many units in the last place each run is from a base.

_STYLES: Final = (
    ("solid", "-"),
    ("dashed", (0, (4, 2))),
    ("dotted", (0, (1, 1.5))),
    ("dash-dotted", (0, (6, 2, 1, 2))),
)
_MAX_NOTES: Final = 4


def gap_plot(
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
                for note, largest in _draw_gaps(ax, group, base, canvas):
                    top = max(top, largest)
                    notes += [note] if note else []
            _scale(ax, top)
            measured = f"max {numbers.ulp(top)} ULP" if top else "0 ULP at every finite point"
            _write(ax, [measured, *dict.fromkeys(notes)])
        return canvas.svg()


def _draw_gaps(ax: Axes, group: Group, base: str, canvas: Canvas) -> Iterator[tuple[str, float]]:
    """Draw one model; yield what must be said of it, and its largest finite distance."""
    group = group.shared
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
