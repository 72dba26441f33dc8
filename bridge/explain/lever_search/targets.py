"""What is to be explained: the places of a case's runs that are wrong, or that runs disagree on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bridge.capsule import Capsule, Probe
from bridge.compare.alignment import align
from bridge.compare.code_locations import output_code, result_code
from bridge.compare.result import RunPair
from bridge.explain.executed_ops import labels, lost_in, names_of, ops_of
from bridge.explain.lever_search.outcome import Target, apart, bits_same, outputs, target_of
from bridge.explain.lever_search.protocol import SearchedPlace, Way
from bridge.rounding.layer_graph import find_layer
from bridge.rounding.layer_records import PREDICTION, Judge

#: The runs whose layers may be wrong, in the order in which they are asked.
_RUNS: Final = ("r", "replay", "twin")
#: The runs that R's may be set against, the strongest first.
_OTHERS: Final = ("twin", "intent")
#: Verdicts on results that may be apart for a reason that no rounding is.
_OPEN: Final = ("different", "abstained")
#: Stages at which two runs ask for different things: no lever explains that.
ASKED: Final = ("arguments", "config", "weights", "input")


@dataclass(frozen=True)
class Doubt:
    """One place of one run that is to be explained; ``where`` is code that leads there."""

    run: str
    target: Target
    subject: str
    where: str

    def situation(
        self, capsule: Capsule, levers: frozenset[str], passes: tuple[str, ...], repeated: bool
    ) -> SearchedPlace:
        """Return what is known of it before any lever is pulled."""
        probe = next(p for p in capsule.manifest.probes if p.index == self.target.probe)
        way = way_of(probe)
        state = capsule.state_of(probe)
        every = names_of(state.layers) if state else ()
        ops = ops_of(probe.executed, self.target.names, every)
        layers = [find_layer(state.layers, name) for name in self.target.names] if state else []
        known = [layer for layer in layers if layer is not None]
        devices = {each.partition(":")[0] for each in capsule.manifest.environment.devices}
        return SearchedPlace(
            subject=self.subject,
            where=self.where,
            way=way,
            ops=tuple(op.label for op in ops),
            fused=any("[" in op for op in labels(probe.executed)),
            devices=tuple(sorted(devices)) or ("CPU",),
            levers=levers - {"call"} if probe.kind == "call" else levers,
            passes=passes,
            repeated=repeated,
            relative=self.target.relative,
            lost=lost_in(ops, known) if len(known) == len(layers) else None,
        )


def way_of(probe: Probe) -> Way:
    """Return how a probe was executed."""
    if probe.eager or probe.kind == "call":
        return "eager"
    return "xla" if probe.executed is not None and probe.executed.jit_compiled else "graph"


def wrong_layers(runs: Mapping[str, Capsule], judge: Judge) -> list[Doubt]:
    """Return the layers that the ladder finds wrong, of the first run that has any."""
    for name in _RUNS:
        if name not in runs:
            continue
        found: dict[tuple[int, frozenset[str]], Doubt] = {}
        capsule = runs[name]
        for probe in capsule.manifest.probes:
            for place, verdict in enumerate(judge(capsule, probe)):
                if verdict.verdict != "different":
                    continue
                target = target_of(capsule, probe, verdict, place)
                layer = verdict.layer
                code = result_code(probe.kind) if layer == PREDICTION else output_code(layer, "")
                subject = "the prediction" if layer == PREDICTION else f"layer {layer}"
                found.setdefault((probe.index, target.names), Doubt(name, target, subject, code))
        if found:
            return list(found.values())
    return []


def disagreements(runs: Mapping[str, Capsule], pairs: Sequence[RunPair]) -> list[Doubt]:
    """Return the results on which R's run and another differ that asked for the same.

    A difference that nobody could judge counts where no rounding can have made it.
    """
    for pair in pairs:
        other = pair.b
        if pair.verdict not in _OPEN or pair.a != "r" or other not in _OTHERS or other not in runs:
            continue
        found = []
        aligned = align(runs["r"], runs[other])
        for (one, two), compared in zip(aligned, pair.probes, strict=False):
            asked = any(s.stage in ASKED and s.same is False for s in compared.stages)
            if one is None or two is None or asked or compared.verdict not in _OPEN:
                continue
            mine, theirs = outputs(runs["r"], one), outputs(runs[other], two)
            if mine and theirs and (compared.verdict == "different" or apart(mine, theirs)):
                target = Target(one.index, frozenset(), True, mine, theirs)
                found.append(Doubt("r", target, f"the result of {compared.probe}",
                                   result_code(one.kind)))  # fmt: skip
        if found:
            return found
    return []


def undecided(capsule: Capsule, judge: Judge) -> list[Target]:
    """Return predictions that no rule decides and whose elements cannot differ by rounding.

    Whole numbers, truth values, and results with NaN among them: there an eager run says more.
    """
    found = []
    for probe in capsule.manifest.probes:
        if probe.kind not in ("predict", "call") or probe.state is None or probe.eager:
            continue
        if not any(each.verdict == "abstained" for each in judge(capsule, probe)):
            continue
        made = outputs(capsule, probe)
        if any(y.dtype.kind in "biu" or (y.dtype.kind == "f" and bool((y != y).any()))
               for y in made):  # fmt: skip
            found.append(Target(probe.index, frozenset(), True, made))
    return found


def against(target: Target, run: Capsule) -> Target:
    """Return the target with what another run made of it as what is right."""
    probe = next(each for each in run.manifest.probes if each.index == target.probe)
    return replace(target, right=outputs(run, probe))


def repeated(runs: Mapping[str, Capsule], doubt: Doubt) -> bool:
    """Say whether a run in another process made the same bits, so that it is no accident."""
    names = {"r": ("replay",), "replay": ("r",)}.get(doubt.run, ())
    for name in names:
        if name not in runs:
            continue
        for one, other in align(runs[doubt.run], runs[name]):
            if one is not None and other is not None and one.index == doubt.target.probe:
                made = outputs(runs[name], other)
                return bool(made) and bits_same(outputs(runs[doubt.run], one), made)
    return False
