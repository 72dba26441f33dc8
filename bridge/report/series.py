"""What a picture shows, as arrays: the capsules' probes sorted into panels, models and runs."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bridge._typing import AnyArray
from bridge.capsule import Array, Capsule, CapsuleError, Probe
from bridge.capsule.numbers import float_type, gaps
from bridge.compare.alignment import labels_of

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
    """All runs of one model at one probe, over a common x."""

    model: str
    probe: str
    x: Vector
    curves: tuple[Curve, ...]


@dataclass
class Panel:
    """One picture of many: the models that are drawn over one another."""

    title: str
    xlabel: str
    groups: list[Group] = field(default_factory=list)


def panels(capsules: Mapping[str, Capsule]) -> list[Panel]:
    """Return the panels of ``capsules`` (by name of run), in the order of the script.

    Probes are matched by their order. Those labelled ``A/relu``, ``B/relu`` and so on share the
    panel ``relu``; any other probe has a panel of its own. A probe of which no run recorded
    numbers is left out.
    """
    found: dict[tuple[str, str], Panel] = {}
    for index, label in labels_of(capsules.values()).items():
        probes = {
            run: capsule.manifest.probes[index]
            for run, capsule in capsules.items()
            if index < len(capsule.manifest.probes)
        }
        model, slash, variant = label.partition("/")
        title = variant if slash and variant else label
        for group, xlabel in _groups(capsules, probes, label, model if slash else ""):
            panel = found.setdefault((title, xlabel), Panel(title, xlabel))
            panel.groups.append(group)
    return list(found.values())


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
    """Yield what can be drawn of one probe: each output, then each training curve."""
    most = max((len(probe.outputs) for probe in probes.values()), default=0)
    for number in range(most):
        curves = [
            curve
            for run, probe in probes.items()
            if number < len(probe.outputs)
            and (curve := _curve(run, capsules[run], probe.outputs[number])) is not None
        ]
        if not curves:
            continue
        x, xlabel = _abscissa(capsules, probes, len(curves[0].values))
        order = np.argsort(x, kind="stable")
        curves = [
            Curve(c.run, c.elements[order] if len(c.elements) == len(order) else c.elements)
            for c in curves
        ]
        name = model if most == 1 else f"{model} output {number}".strip()
        yield Group(name, label, x[order], tuple(curves)), xlabel
    names = {name: None for probe in probes.values() for name in probe.curves}
    for name in names:
        curves = [
            Curve(run, np.asarray(probe.curves[name], dtype=np.float64))
            for run, probe in probes.items()
            if probe.curves.get(name)
        ]
        if curves:
            epochs = np.arange(1, len(curves[0].values) + 1, dtype=np.float64)
            yield Group(f"{model} {name}".strip(), label, epochs, tuple(curves)), "epoch"


def _curve(run: str, capsule: Capsule, array: Array) -> Curve | None:
    """Return the numbers of ``array``, or None if there are none to draw."""
    try:
        elements = capsule.array(array)
    except CapsuleError:
        return None
    try:
        float_type(elements.dtype)
    except TypeError:
        return None
    return Curve(run, elements.ravel()) if elements.size else None


def _abscissa(
    capsules: Mapping[str, Capsule], probes: Mapping[str, Probe], length: int
) -> tuple[Vector, str]:
    """Return x: the input, if it is one number for each output, else the index."""
    for run, probe in probes.items():
        if len(probe.inputs) == 1:
            curve = _curve(run, capsules[run], probe.inputs[0])
            if curve is not None and len(curve.values) == length and length > 1:
                if np.isfinite(curve.values).all():
                    return curve.values, "input"
                break
    return np.arange(length, dtype=np.float64), "index"
