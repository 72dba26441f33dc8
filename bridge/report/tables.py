"""The tables of a report: machine and versions, pairs, stages, executed operations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bridge.capsule import Environment, ErrorRecord
from bridge.compare.result import SEVERITY, LayerVerdict, Verdict, Worst
from bridge.exact.records import ExactResult, ExactStretch
from bridge.facts.r import essence
from bridge.report import numbers
from bridge.report.numbers import PrintedNumber
from bridge.report.ranking import concern, pair_key, share_of_bound, worst_pairs
from bridge.report.schema import Execution, Pair, RunSummary
from bridge.report.text import clip, one_line
from bridge.report.words import SIGNS


@dataclass(frozen=True)
class RunView:
    """A run: what became of it, and what it cost."""

    runner: str
    status: str
    keras: str
    seconds: PrintedNumber
    peak: PrintedNumber
    said: str
    capsule: str
    linked: bool


def run_view(run: RunSummary) -> RunView:
    """Return a run ready to print."""
    said = [run.sentence, error_sentence(run.error) if run.error else ""]
    plain = run.capsule and not run.capsule.startswith((".", "/")) and "/" not in run.capsule
    return RunView(
        runner=run.runner,
        status=run.status,
        keras=run.keras,
        seconds=numbers.seconds(run.seconds),
        peak=numbers.mebibytes(run.peak_mib),
        said=clip("\n".join(part for part in said if part), characters=4_000, lines=40),
        capsule=run.capsule,
        linked=bool(plain),
    )


def environment(env: Environment) -> tuple[tuple[str, str], ...]:
    """Return the environment as names and values, without what is not known."""
    packages = sorted(env.packages.items())
    rows = [
        ("Keras that ran", env.keras),
        ("R", env.r),
        ("R packages", ", ".join(f"{name} {version}" for name, version in env.r_packages.items())),
        ("Python", env.python),
        ("Python packages", ", ".join(f"{name} {version}" for name, version in packages)),
        ("System", " ".join(part for part in (env.system, env.machine) if part)),
        ("Cores", str(env.cores) if env.cores else ""),
        ("Devices", ", ".join(env.devices)),
        ("oneDNN", "" if env.onednn is None else "on" if env.onednn else "off"),
        ("Threads", "" if env.threads is None else _threads(env.threads)),
        ("Graph optimiser", json.dumps(env.optimizer, sort_keys=True) if env.optimizer else ""),
        ("CPU", " ".join(env.cpu_flags)),
    ]
    return tuple((name, value) for name, value in rows if value)


def _threads(threads: tuple[int, int]) -> str:
    """Return TensorFlow's two pools; it writes 0 where it chooses by itself."""
    inside, between = (str(number) if number else "automatic" for number in threads)
    return f"{inside} within an operation, {between} between operations"


def error_sentence(error: ErrorRecord) -> str:
    """Return an error as its class, its message and its place in the script.

    The way to it through the libraries is in ``report.json``.
    """
    place = ""
    if error.line is not None:
        column = f", column {error.column}" if error.column is not None else ""
        place = f" (line {error.line}{column})"
    said, cls = essence(error.message).strip(), one_line(error.cls)
    # R passes Python's errors on under a class of its own, and the class is in the message.
    named = f"{cls.rpartition('.')[2]}:" in said[:200] or cls == "Rcpp::exception"
    return f"{said}{place}" if named else f"{cls}: {said}{place}"


# Tables of a case, as rows of printable things, the worst first.


@dataclass(frozen=True)
class WorstView:
    """An element at which two arrays differ most."""

    index: str
    a: PrintedNumber
    b: PrintedNumber
    ulp: PrintedNumber


@dataclass(frozen=True)
class PairView:
    """One probe of one pair of runs, ready to print."""

    a: str
    b: str
    probe: str
    verdict: Verdict
    sign: str
    rung: str
    points: PrintedNumber
    max_abs: PrintedNumber
    max_rel: PrintedNumber
    max_ulp: PrintedNumber
    share: PrintedNumber
    different: PrintedNumber
    nan: PrintedNumber
    inf: PrintedNumber
    beyond: PrintedNumber
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
    points: PrintedNumber
    beyond: PrintedNumber
    error: PrintedNumber
    bound: PrintedNumber
    ratio: PrintedNumber
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
            model=stretch.model,
            layers=stretch.layers,
            verdict=stretch.verdict,
            sign=SIGNS[stretch.verdict],
            agreed=stretch.agreed,
            pairs=stretch.pairs,
            settings=f"{len(stretch.settings)} settings"
            if len(stretch.settings) != 1
            else "1 setting",
            why=_why_exact(stretch),
        )
        for stretch in sorted(found, key=lambda entry: SEVERITY.index(entry.verdict))
    )


def _why_exact(stretch: ExactStretch) -> str:
    wrong = [
        f"{deviation.lever}: {deviation.setting}".lstrip(": ")
        for deviation in stretch.deviations[:5]
    ]
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


# What was executed at each probe, as a table.


@dataclass(frozen=True)
class ExecutionGroup:
    """What was executed at one probe: the ops, and the runs that executed just these."""

    runs: tuple[str, ...]
    ops: tuple[str, ...]


@dataclass(frozen=True)
class ExecutedTable:
    """Executed ops by variant and model, laid out as :class:`Grid` is.

    ``counted`` lists each set of op counts once, with how many executions had it and the first
    of them. ``looked`` says what is known of whether looking changed a graph, and ``changed``
    names where it did.
    """

    models: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[ExecutionGroup, ...], ...]], ...]
    runs: tuple[str, ...]
    counted: tuple[tuple[str, int, str], ...]
    looked: str
    changed: tuple[str, ...]


def executed(executions: Sequence[Execution]) -> ExecutedTable | None:
    """Return what was executed, by probe; None if nothing is known of it."""
    known = [item for item in executions if item.ops or item.fingerprint]
    if not known:
        return None
    models, variants = layout([item.probe for item in known])
    cells: dict[str, dict[tuple[str, ...], list[str]]] = {}
    counted: dict[str, list[str]] = {}
    for item in known:
        cells.setdefault(item.probe, {}).setdefault(item.ops, []).append(item.run)
        ops = ", ".join(
            op if number == 1 else f"{number:,} \N{MULTIPLICATION SIGN} {op}"
            for op, number in sorted(item.fingerprint.items())
        )
        if ops:
            counted.setdefault(ops, []).append(f"{item.probe} in {item.run}")
    rows = []
    for variant in variants:
        names = [f"{model}/{variant}" for model in models] if models else [variant]
        row = tuple(
            tuple(ExecutionGroup(tuple(runs), ops) for ops, runs in cells.get(name, {}).items())
            for name in names
        )
        rows.append((variant, row))
    rows.sort(key=lambda row: -max(len(cell) for cell in row[1]))
    return ExecutedTable(
        models=tuple(models),
        rows=tuple(rows),
        runs=tuple(dict.fromkeys(item.run for item in known)),
        counted=tuple((ops, len(where), where[0]) for ops, where in counted.items()),
        looked=_looked(known),
        changed=tuple(
            f"{item.probe} in {item.run}" for item in known if item.unchanged_by_looking is False
        ),
    )


def _looked(known: Sequence[Execution]) -> str:
    """Return one sentence on whether looking at layers changed what was executed."""
    unchanged = sum(item.unchanged_by_looking is True for item in known)
    changed = sum(item.unchanged_by_looking is False for item in known)
    unknown = len(known) - unchanged - changed
    parts = [f"{changed:,} of {len(known):,} graphs were changed by looking at their layers"]
    if not changed:
        parts = [f"looking at layers changed none of {unchanged:,} graphs"] if unchanged else []
    if unknown:
        parts.append(f"for {unknown:,} it is not known whether looking changed them")
    return ("; ".join(parts) + ".").capitalize()
