"""What the ladder and the other rules say of one model's runs, benign and faulty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np

from benchmarks.trust.faults import STRUCTURAL
from benchmarks.trust.rivals import RIVALS
from bridge._typing import AnyArray
from bridge.capsule import Capsule, read_capsule
from bridge.compare.result import RunPair
from bridge.compare.stages import compare_runs
from bridge.rounding.layer_records import Judge

LADDER = "the ladder"


@dataclass
class Counts:
    """How often a rule said that two runs differ, and of how many pairs."""

    said: int = 0
    of: int = 0

    def take(self, differs: bool) -> None:
        """Count one pair."""
        self.said += differs
        self.of += 1

    def add(self, other: Counts) -> None:
        """Count what was counted elsewhere."""
        self.said += other.said
        self.of += other.of


@dataclass
class Tally:
    """What was measured so far."""

    #: By rule: pairs of benign runs that it calls different.
    false: dict[str, Counts] = field(default_factory=dict)
    #: By rule and fault: faulty runs that it calls different.
    found: dict[tuple[str, str], Counts] = field(default_factory=dict)
    #: By fault: those that the ladder attributes to the layer that has it.
    placed: dict[str, Counts] = field(default_factory=dict)
    invisible: dict[str, int] = field(default_factory=dict)
    rungs: dict[str, int] = field(default_factory=dict)
    abstained: dict[str, int] = field(default_factory=dict)
    elements: int = 0
    layers: int = 0
    #: For each layer of each model: its class, the products of a sum, the largest bound and error.
    bounds: list[tuple[str, int, float, float]] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take in what was measured of another model."""
        for mine, theirs in ((self.false, other.false), (self.placed, other.placed)):
            for name, counts in theirs.items():
                mine.setdefault(name, Counts()).add(counts)
        for key, counts in other.found.items():
            self.found.setdefault(key, Counts()).add(counts)
        for mine_, theirs_ in (
            (self.invisible, other.invisible),
            (self.rungs, other.rungs),
            (self.abstained, other.abstained),
        ):
            for name, count in theirs_.items():
                mine_[name] = mine_.get(name, 0) + count
        self.elements += other.elements
        self.layers += other.layers
        self.bounds += other.bounds
        self.alarms += other.alarms
        self.missed += other.missed


def measure(written: Sequence[Mapping[str, str]], label: str) -> Tally:
    """Judge the runs of one model."""
    tally, judge = Tally(), Judge()
    benign = [(w["name"], read_capsule(Path(w["path"]))) for w in written if w["kind"] == "benign"]
    layers = {name: _layers(capsule) for name, capsule in benign}
    _judge_layers(tally, judge, benign, label)
    for (one, a), (other, b) in combinations(benign, 2):
        found = compare_runs(a, b, judge=judge)
        tally.false.setdefault(LADDER, Counts()).take(found.verdict == "different")
        tally.rungs[found.probes[0].rung] = tally.rungs.get(found.probes[0].rung, 0) + 1
        if found.verdict == "different":
            tally.alarms.append(f"{label}: {one} against {other}: {found.detail or _where(found)}")
        for name, rule in RIVALS.items():
            differs = rule(layers[one], layers[other])
            tally.false.setdefault(name, Counts()).take(differs)
    _faults(tally, judge, dict(benign), written, label)
    return tally


def _where(found: RunPair) -> str:
    first = found.first_divergence
    return f"{first.stage} {first.where} {first.detail}" if first else ""


def _layers(capsule: Capsule) -> list[AnyArray]:
    (probe,) = capsule.manifest.probes
    return [np.asarray(capsule.array(each.outputs[0])) for each in probe.layers]


def _judge_layers(
    tally: Tally, judge: Judge, benign: Sequence[tuple[str, Capsule]], label: str
) -> None:
    bounds: dict[str, list[float]] = {}
    for name, capsule in benign:
        (probe,) = capsule.manifest.probes
        verdicts = judge(capsule, probe)[:-1]
        for each in verdicts:
            tally.layers += 1
            kind = each.cls.rpartition(".")[2]
            if each.verdict == "abstained":
                said = f"{kind}: {each.why}"
                tally.abstained[said] = tally.abstained.get(said, 0) + 1
                continue
            tally.elements += each.points
            seen = bounds.setdefault(each.layer, [0.0, 0.0])
            seen[0] = max(seen[0], each.bound)
            seen[1] = max(seen[1], each.error)
            if each.verdict == "different":
                tally.alarms.append(f"{label}: {name}, {each.layer} ({kind}): {each.why}")
    (state,) = benign[0][1].manifest.states
    for layer in state.layers:
        bound, error = bounds.get(layer.name, [0.0, 0.0])
        shapes = [weight.array.shape for weight in layer.weights if len(weight.array.shape) > 1]
        if bound > 0.0 and error > 0.0 and np.isfinite(bound):
            terms = int(np.prod(shapes[0][:-1])) if shapes else 1
            tally.bounds.append((layer.cls.rpartition(".")[2], terms, bound, error))


def _faults(
    tally: Tally,
    judge: Judge,
    benign: Mapping[str, Capsule],
    written: Sequence[Mapping[str, str]],
    label: str,
) -> None:
    if "eager" not in benign:
        return
    eager = benign["eager"]
    right = _layers(eager)
    names = [each.layer for each in eager.manifest.probes[0].layers]
    spread = _spread(right, [_layers(capsule) for capsule in benign.values()])
    for fault in (each for each in written if each["kind"] == "fault"):
        faulty = read_capsule(Path(fault["path"]))
        name = f"{fault['name']}{', recorded' if fault['recorded'] else ''}"
        wrong = _layers(faulty)
        place = names.index(fault["layer"])
        if not fault["recorded"] and not _visible(right[place], wrong[place], spread[place]):
            tally.invisible[name] = tally.invisible.get(name, 0) + 1
            continue
        found = compare_runs(eager, faulty, judge=judge)
        # What `run` and `check` ask as well: is each layer right, whatever came of it?
        (probe,) = faulty.manifest.probes
        wrong_layers = [each for each in judge(faulty, probe) if each.verdict == "different"]
        differs = found.verdict == "different" or bool(wrong_layers)
        first = wrong_layers[0].layer if wrong_layers else _where(found)
        placed = differs and (first == fault["layer"] or f"'{fault['layer']}'" in first)
        tally.found.setdefault((LADDER, name), Counts()).take(differs)
        if differs:
            tally.placed.setdefault(name, Counts()).take(placed)
        if fault["name"] in STRUCTURAL and not placed:
            own = next(each for each in judge(faulty, probe) if each.layer == fault["layer"])
            tally.missed.append(
                f"{label}: {name} in {fault['layer']}: {found.verdict}, {first} (the layer: "
                f"{own.verdict} {own.max_ratio:.3g} {own.why})"
            )
        for rival, rule in RIVALS.items():
            tally.found.setdefault((rival, name), Counts()).take(rule(right, wrong))


def _spread(right: Sequence[AnyArray], runs: Sequence[Sequence[AnyArray]]) -> list[float]:
    """Return, for each layer, the largest distance of any benign run from the eager one."""
    found = [0.0] * len(right)
    for run in runs:
        for number, (x, y) in enumerate(zip(right, run, strict=True)):
            with np.errstate(all="ignore"):
                gap = np.abs(x.astype(np.float64) - y.astype(np.float64))
            found[number] = max(found[number], float(np.nan_to_num(gap, nan=0.0).max(initial=0.0)))
    return found


def _visible(right: AnyArray, wrong: AnyArray, spread: float) -> bool:
    """Say whether a fault moves an output by more than twice what benign runs are apart.

    Nothing of our bounds is used for that. A relu that never cuts cannot be missed by anyone.
    """
    unlike = np.isnan(right) != np.isnan(wrong)
    with np.errstate(all="ignore"):
        gap = np.abs(right.astype(np.float64) - wrong.astype(np.float64))
        # Where all benign runs have the same bits, a step of the largest output is the measure.
        step = float(np.spacing(np.nan_to_num(np.abs(right)).max(initial=0.0)))
    return bool(unlike.any() or np.nan_to_num(gap).max(initial=0.0) > 2.0 * max(spread, step))


def wilson(counts: Counts, z: float = 1.959963984540054) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a proportion (JASA 22, 1927)."""
    n = counts.of
    if n == 0:
        return 0.0, 1.0
    p = counts.said / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
    return max(0.0, middle - half), min(1.0, middle + half)


def quantiles(pairs: Iterator[tuple[float, float]]) -> tuple[float, float, int]:
    """Return median and 95th percentile of bound over error, and how many there are."""
    ratios = [bound / error for bound, error in pairs]
    if not ratios:
        return float("nan"), float("nan"), 0
    median, high = np.percentile(ratios, [50, 95])
    return float(median), float(high), len(ratios)
