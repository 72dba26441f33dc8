"""Tables of a case, as rows of printable things, the worst first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bridge.compare.result import SEVERITY, LayerVerdict, Verdict, Worst
from bridge.exact.result import ExactResult, ExactStretch
from bridge.report import numbers
from bridge.report.numbers import Number
from bridge.report.ranking import concern, pair_key, share_of_bound, worst_pairs
from bridge.report.schema import Pair
from bridge.report.words import SIGNS


@dataclass(frozen=True)
class WorstView:
    """An element at which two arrays differ most."""

    index: str
    a: Number
    b: Number
    ulp: Number


@dataclass(frozen=True)
class PairView:
    """One probe of one pair of runs, ready to print."""

    a: str
    b: str
    probe: str
    verdict: Verdict
    sign: str
    rung: str
    points: Number
    max_abs: Number
    max_rel: Number
    max_ulp: Number
    share: Number
    different: Number
    nan: Number
    inf: Number
    beyond: Number
    worst: tuple[WorstView, ...]
    detail: str


@dataclass(frozen=True)
class ProbeView:
    """All pairs of one probe."""

    probe: str
    pairs: tuple[PairView, ...]


@dataclass(frozen=True)
class Grid:
    """The pairs at a glance: a row for each variant, a column for each model within each pair.

    ``models`` is empty where the probes' names do not form a full table of model and variant;
    then a row is a probe. A cell is None where a pair has no such probe.
    """

    pairs: tuple[str, ...]
    models: tuple[str, ...]
    rows: tuple[tuple[str, tuple[PairView | None, ...]], ...]


@dataclass(frozen=True)
class LayerView:
    """One layer of one run, judged on the input that it received."""

    probe: str
    pair: str
    layer: str
    cls: str
    verdict: Verdict
    sign: str
    rung: str
    points: Number
    beyond: Number
    error: Number
    bound: Number
    ratio: Number
    worst: tuple[WorstView, ...]
    why: str


def pair_view(pair: Pair) -> PairView:
    """Return ``pair`` ready to print."""
    return PairView(
        a=pair.a,
        b=pair.b,
        probe=pair.probe,
        verdict=pair.verdict,
        sign=SIGNS[pair.verdict],
        rung=pair.rung,
        points=numbers.count(pair.points),
        max_abs=numbers.magnitude(pair.max_abs),
        max_rel=numbers.magnitude(pair.max_rel),
        max_ulp=numbers.ulp(pair.max_ulp),
        share=numbers.ratio(share_of_bound(pair)),
        different=numbers.count(pair.different),
        nan=numbers.count(pair.nan),
        inf=numbers.count(pair.inf),
        beyond=numbers.count(pair.beyond_bound),
        worst=_worst(pair.worst),
        detail=pair.detail,
    )


def by_probe(pairs: Sequence[Pair]) -> tuple[ProbeView, ...]:
    """Return ``pairs`` in groups of one probe, the worst probe first, and within it the pair."""
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(pair.probe, []).append(pair)
    ordered = sorted(groups, key=lambda probe: min(pair_key(pair) for pair in groups[probe]))
    return tuple(
        ProbeView(probe, tuple(pair_view(pair) for pair in worst_pairs(groups[probe])))
        for probe in ordered
    )


def grid(pairs: Sequence[Pair]) -> Grid | None:
    """Return ``pairs`` as a grid, rows with worse verdicts first; None if there are none."""
    if not pairs:
        return None
    runs = list(dict.fromkeys((pair.a, pair.b) for pair in pairs))
    cells = {(pair.a, pair.b, pair.probe): pair for pair in pairs}
    models, variants = layout([pair.probe for pair in pairs])
    rows: list[tuple[int, str, tuple[PairView | None, ...]]] = []
    for variant in variants:
        names = [f"{model}/{variant}" for model in models] if models else [variant]
        found = [cells.get((a, b, name)) for a, b in runs for name in names]
        severity = min(concern(pair.verdict) for pair in found if pair is not None)
        views = tuple(None if pair is None else pair_view(pair) for pair in found)
        rows.append((severity, variant, views))
    rows.sort(key=lambda row: row[0])
    return Grid(
        pairs=tuple(f"{a} / {b}" for a, b in runs),
        models=tuple(models),
        rows=tuple((variant, views) for _, variant, views in rows),
    )


def layers(pairs: Sequence[Pair]) -> tuple[LayerView, ...]:
    """Return every judged layer, the worst first."""
    found = [(pair, layer) for pair in pairs for layer in pair.layers]
    found.sort(
        key=lambda item: (
            SEVERITY.index(item[1].verdict),
            -item[1].beyond_bound,
            -(item[1].max_ratio if item[1].max_ratio == item[1].max_ratio else float("inf")),
        )
    )
    return tuple(_layer_view(pair, layer) for pair, layer in found)


@dataclass(frozen=True)
class ExactView:
    """A part of a model that was probed with whole numbers."""

    model: str
    layers: tuple[str, ...]
    verdict: Verdict
    sign: str
    agreed: int
    pairs: int
    settings: str
    why: str


def exact(result: ExactResult | None) -> tuple[ExactView, ...]:
    """Return what exact probes found, the worst first."""
    found = result.stretches if result is not None else ()
    return tuple(
        ExactView(
            model=each.model,
            layers=each.layers,
            verdict=each.verdict,
            sign=SIGNS[each.verdict],
            agreed=each.agreed,
            pairs=each.pairs,
            settings=f"{len(each.settings)} settings" if len(each.settings) != 1 else "1 setting",
            why=_why_exact(each),
        )
        for each in sorted(found, key=lambda each: SEVERITY.index(each.verdict))
    )


def _why_exact(stretch: ExactStretch) -> str:
    wrong = [f"{each.lever}: {each.setting}".lstrip(": ") for each in stretch.deviations[:5]]
    named = f"layer {stretch.layer}: {stretch.evidence}" if stretch.layer else stretch.evidence
    deviating = f"wrong: {', '.join(wrong)}" if wrong else ""
    bare = f"without the activation of {', '.join(stretch.bare)}" if stretch.bare else ""
    return "; ".join(part for part in (stretch.why, named, deviating, bare) if part)


def layout(probes: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the models and variants of names like ``A/relu``, or no models and all names."""
    names = list(dict.fromkeys(probes))
    split = [name.split("/") for name in names]
    if all(len(parts) == 2 and all(parts) for parts in split):
        models = list(dict.fromkeys(parts[0] for parts in split))
        variants = list(dict.fromkeys(parts[1] for parts in split))
        if len(models) <= 6 and len(models) * len(variants) == len(names):
            return models, variants
    return [], names


def _worst(elements: Sequence[Worst]) -> tuple[WorstView, ...]:
    return tuple(
        WorstView(
            index=f"[{', '.join(str(i) for i in element.index)}]",
            a=numbers.exact(element.a),
            b=numbers.exact(element.b),
            ulp=numbers.ulp(element.ulp),
        )
        for element in elements
    )


def _layer_view(pair: Pair, layer: LayerVerdict) -> LayerView:
    return LayerView(
        probe=pair.probe,
        pair=f"{pair.a} / {pair.b}",
        layer=layer.layer,
        cls=layer.cls,
        verdict=layer.verdict,
        sign=SIGNS[layer.verdict],
        rung=layer.rung,
        points=numbers.count(layer.points),
        beyond=numbers.count(layer.beyond_bound),
        error=numbers.magnitude(layer.error),
        bound=numbers.magnitude(layer.bound),
        ratio=numbers.ratio(layer.max_ratio),
        worst=_worst(layer.worst),
        why=layer.why,
    )
