"""Places that are to be explained, what of them is run, and what a run under a lever says."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from pydantic import JsonValue

from bridge._typing import AnyArray
from bridge.capsule import Capsule, CapsuleError, LayerOutput, LayerState, ModelState, Probe
from bridge.capsule.numbers import same_bits
from bridge.capsule.schema import Array
from bridge.compare.alignment import align, output_code, result_code
from bridge.compare.result import LayerVerdict, RunPair, Verdict
from bridge.explain.executed_ops import labels, lost_in, names_of, ops_of
from bridge.explain.lever_search import SearchedPlace, Way
from bridge.explain.result import LeverOutcome
from bridge.facts.layers import class_name
from bridge.rounding.layer_graph import find_layer
from bridge.rounding.layer_records import PREDICTION, Judge


def narrowed(capsule: Capsule) -> Capsule:
    """Return a run in float64 with its models said to be of float32, and what they made rounded.

    What layers received stays as it was. Other runs are returned as they are.
    """
    if not any("float64" in repr(layer.config) for state in capsule.manifest.states
               for layer in state.layers):  # fmt: skip
        return capsule
    new_arrays: dict[str, AnyArray] = {}
    probes = tuple(_probe(capsule, probe, new_arrays) for probe in capsule.manifest.probes)
    states = tuple(_state(state) for state in capsule.manifest.states)
    manifest = capsule.manifest.model_copy(update={"probes": probes, "states": states})
    return Capsule(manifest, {**capsule.arrays, **new_arrays})


def _probe(capsule: Capsule, probe: Probe, new_arrays: dict[str, AnyArray]) -> Probe:
    layers = tuple(
        layer.model_copy(
            update={"outputs": _rounded(capsule, layer, new_arrays), "perturbed": None}
        )
        for layer in probe.layers
    )
    return probe.model_copy(
        update={"layers": layers, "outputs": _rounded(capsule, probe, new_arrays)}
    )


def _rounded(
    capsule: Capsule, holder: Probe | LayerOutput, new_arrays: dict[str, AnyArray]
) -> tuple[Array, ...]:
    found = []
    for ref in holder.outputs:
        if ref.key is None or ref.dtype != "float64" or ref.key not in capsule.arrays:
            found.append(ref)
            continue
        key = f"f.{ref.key}"[:80]
        with np.errstate(over="ignore"):
            new_arrays[key] = np.asarray(capsule.array(ref)).astype(np.float32)
        found.append(ref.model_copy(update={"key": key, "dtype": "float32"}))
    return tuple(found)


def _state(state: ModelState) -> ModelState:
    layers = tuple(_layer(layer) for layer in state.layers)
    return state.model_copy(update={"layers": layers, "config": _in_float32(state.config)})


def _layer(layer: LayerState) -> LayerState:
    inner = tuple(_layer(inner_layer) for inner_layer in layer.layers)
    return layer.model_copy(update={"config": _in_float32(layer.config), "layers": inner})


def _in_float32(item: JsonValue) -> Any:
    if isinstance(item, dict):
        return {key: _in_float32(value) for key, value in item.items()}
    if isinstance(item, list):
        return [_in_float32(entry) for entry in item]
    return "float32" if item == "float64" else item


# What a run under a lever says of one place: a pure function of two capsules.

#: Worst first, as far as one place is concerned: one element beyond its bound decides.
_WORST: Final[tuple[Verdict, ...]] = ("different", "abstained", "within-rounding", "same-bits")


@dataclass(frozen=True)
class Target:
    """A place that is doubted: a layer of a probe, or the probe's result.

    ``names`` are the layers that were seen as one; the model's own output belongs to them where
    ``output`` says so. ``wrong`` has the bits that are doubted, ``right`` those that another run
    made: only where no layer can be judged do they decide.
    """

    probe: int
    names: frozenset[str] = frozenset()
    output: bool = True
    wrong: tuple[AnyArray, ...] = ()
    right: tuple[AnyArray, ...] | None = None

    @property
    def relative(self) -> bool:
        """Say whether runs are judged by another run, for lack of a definition."""
        return self.right is not None


def target_of(capsule: Capsule, probe: Probe, verdict: LayerVerdict, place: int) -> Target:
    """Return the place of a verdict, the ``place``-th on a probe of a run."""
    record = probe.layers[place] if place < len(probe.layers) else None
    names = frozenset((record.layer, *record.through)) if record else frozenset({verdict.layer})
    last = probe.layers[-1] if probe.layers else None
    output = record is None or record is last
    if record is None and last is not None:
        names = frozenset((last.layer, *last.through))
    return Target(probe.index, names, output, outputs(capsule, probe))


def outputs(capsule: Capsule, probe: Probe) -> tuple[AnyArray, ...]:
    """Return what a probe returned, nothing if that was not recorded."""
    try:
        return tuple(np.asarray(capsule.array(ref)) for ref in probe.outputs)
    except CapsuleError:
        return ()


def outcome(
    capsule: Capsule, target: Target, lever: str, seconds: float = 0.0, judge: Judge | None = None
) -> LeverOutcome:
    """Say whether the place is right in a run under a lever."""
    probe = next((probe for probe in capsule.manifest.probes if probe.index == target.probe), None)
    if probe is None:
        why = capsule.manifest.error.message if capsule.manifest.error else capsule.manifest.status
        return nothing(lever, f"it did not come to the prediction ({why})", seconds)
    if any(ref.dtype == "float64" for ref in probe.outputs) and _were_narrower(target):
        capsule = narrowed(capsule)
        probe = next(probe for probe in capsule.manifest.probes if probe.index == target.probe)
    verdicts = (judge or Judge())(capsule, probe)
    found, detail = _verdict(capsule, probe, target, verdicts)
    first = next((verdict for verdict in verdicts if verdict.verdict == "different"), None)
    state = capsule.state_of(probe)
    own = ops_of(probe.executed, target.names, names_of(state.layers if state else ()))
    return LeverOutcome(
        lever=lever,
        verdict=found,
        executed_ops=labels(probe.executed),
        layer_ops=tuple(op.label for op in own),
        layer=first.layer if first is not None else "",
        detail=detail,
        seconds=round(seconds, 3),
    )


def _were_narrower(target: Target) -> bool:
    return any(y.dtype.kind == "f" and y.dtype.itemsize < 8 for y in target.wrong)


def nothing(lever: str, why: str, seconds: float = 0.0) -> LeverOutcome:
    """Return the outcome of a run that says nothing."""
    return LeverOutcome(
        lever=lever, verdict="abstained", detail=why[:500], seconds=round(seconds, 3)
    )


def whole(capsule: Capsule, lever: str, seconds: float, judge: Judge) -> LeverOutcome:
    """Say whether all that a run predicted is right: the worst verdict on any layer."""
    probes = [probe for probe in capsule.manifest.probes if probe.kind in ("predict", "call")]
    verdicts = [verdict for probe in probes for verdict in judge(capsule, probe)]
    blind = [probe for probe in probes if not judge(capsule, probe)]
    wrong = next((verdict for verdict in verdicts if verdict.verdict == "different"), None)
    left = next((verdict for verdict in verdicts if verdict.verdict == "abstained"), None)
    verdict = (
        worst([verdict.verdict for verdict in verdicts]) if verdicts and not blind else "abstained"
    )
    if wrong is not None:
        verdict = "different"
    detail = ""
    if wrong is not None:
        detail = f"{wrong.layer}: {wrong.why}"
    elif blind:
        detail = next(iter(blind[0].notes), "no layer was seen")
    elif left is not None:
        detail = f"{left.layer}: {left.why}"
    return LeverOutcome(
        lever=lever,
        verdict=verdict,
        executed_ops=tuple(dict.fromkeys(op for probe in probes for op in labels(probe.executed))),
        layer=wrong.layer if wrong is not None else "",
        detail=detail[:500],
        seconds=round(seconds, 3),
    )


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict that speaks for several on one place; nothing is no verdict."""
    known = [verdict for verdict in verdicts if verdict in _WORST]
    return min(known, key=_WORST.index, default="abstained")


def _verdict(
    capsule: Capsule, probe: Probe, target: Target, verdicts: Sequence[LayerVerdict]
) -> tuple[Verdict, str]:
    concerned = list(_concerned(probe, target, verdicts))
    if concerned:
        verdict = worst([layer_verdict.verdict for layer_verdict in concerned])
        if verdict != "abstained" or not target.relative:
            why = next(
                (
                    layer_verdict.why
                    for layer_verdict in concerned
                    if layer_verdict.verdict == verdict and layer_verdict.why
                ),
                "",
            )
            return verdict, why
    arrays = outputs(capsule, probe)
    if not arrays:
        return "abstained", "; ".join(probe.notes) or "it made nothing"
    if target.right is not None and bits_same(arrays, target.right):
        return "same-bits", "the same bits as the run that it is compared with"
    if target.wrong and bits_same(arrays, target.wrong):
        return "different", "the same bits as the run that is doubted"
    if target.right is not None and (how := apart(arrays, target.right)):
        return "different", how
    why = next((layer_verdict.why for layer_verdict in concerned if layer_verdict.why), "")
    return "abstained", why or next(iter(probe.notes), "no layer of it was seen")


def _concerned(
    probe: Probe, target: Target, verdicts: Sequence[LayerVerdict]
) -> Sequence[LayerVerdict]:
    records: list[LayerOutput | None] = [*probe.layers]
    records += [None] * (len(verdicts) - len(records))
    return [
        verdict
        for record, verdict in zip(records, verdicts, strict=False)
        if (
            target.names & {record.layer, *record.through}
            if record is not None
            else target.output and verdict.layer == PREDICTION
        )
    ]


def bits_same(left: Sequence[AnyArray], right: Sequence[AnyArray]) -> bool:
    """Say whether arrays have the same types, shapes and bits."""
    return len(left) == len(right) and all(
        x.shape == y.shape and x.dtype == y.dtype and same_bits(x, y)
        for x, y in zip(left, right, strict=True)
    )


def apart(left: Sequence[AnyArray], right: Sequence[AnyArray]) -> str:
    """Say in what arrays differ that no rounding can bring about; nothing where it may be rounding.

    Whole numbers and truth values are not rounded, and rounding makes no NaN of a number.
    """
    for x, y in zip(left, right, strict=False):
        if x.shape != y.shape:
            return f"shape {x.shape} against {y.shape}"
        if x.dtype.kind in "biu" and y.dtype.kind in "biu":
            count = int(np.count_nonzero(x != y))
            if count:
                return f"{count} of {x.size} whole numbers are others"
        elif x.dtype.kind == "f" and y.dtype.kind == "f":
            count = int(np.count_nonzero(np.isnan(x) != np.isnan(y)))
            if count:
                return f"{count} of {x.size} are NaN on one side only"
    return "" if len(left) == len(right) else f"{len(left)} against {len(right)} outputs"


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

    def searched_place(
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
        devices = {device.partition(":")[0] for device in capsule.manifest.environment.devices}
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
        partner = pair.b
        if (
            pair.verdict not in _OPEN
            or pair.a != "r"
            or partner not in _OTHERS
            or partner not in runs
        ):
            continue
        found = []
        aligned = align(runs["r"], runs[partner])
        for (probe, two), compared in zip(aligned, pair.probes, strict=False):
            asked = any(s.stage in ASKED and s.same is False for s in compared.stages)
            if probe is None or two is None or asked or compared.verdict not in _OPEN:
                continue
            mine, theirs = outputs(runs["r"], probe), outputs(runs[partner], two)
            if mine and theirs and (compared.verdict == "different" or apart(mine, theirs)):
                target = Target(probe.index, frozenset(), True, mine, theirs)
                found.append(Doubt("r", target, f"the result of {compared.probe}",
                                   result_code(probe.kind)))  # fmt: skip
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
        if not any(verdict.verdict == "abstained" for verdict in judge(capsule, probe)):
            continue
        arrays = outputs(capsule, probe)
        if any(y.dtype.kind in "biu" or (y.dtype.kind == "f" and bool((y != y).any()))
               for y in arrays):  # fmt: skip
            found.append(Target(probe.index, frozenset(), True, arrays))
    return found


def against(target: Target, run: Capsule) -> Target:
    """Return the target with what another run made of it as what is right."""
    probe = next(probe for probe in run.manifest.probes if probe.index == target.probe)
    return replace(target, right=outputs(run, probe))


def repeated(runs: Mapping[str, Capsule], doubt: Doubt) -> bool:
    """Say whether a run in another process made the same bits, so that it is no accident."""
    names = {"r": ("replay",), "replay": ("r",)}.get(doubt.run, ())
    for name in names:
        if name not in runs:
            continue
        for doubted, again in align(runs[doubt.run], runs[name]):
            if doubted is not None and again is not None and doubted.index == doubt.target.probe:
                arrays = outputs(runs[name], again)
                return bool(arrays) and bits_same(outputs(runs[doubt.run], doubted), arrays)
    return False


# What of a run decides under a lever: few predictions, and few rows of them.
#
# Where nothing is wrong, levers are pulled to see that nothing depends on them. Two models that
# have the same layers and execute the same ops answer that alike, so one of them is asked; and of a
# thousand rows a few say as much: the ends, the bends, those that rounding moved most.

#: Predictions that are made again under a lever, at most, where nothing is wrong.
MOST_PROBES: Final = 12
#: Rows of each: more than two of Keras' usual batches, so that a whole one and a part are run.
MOST_ROWS: Final = 72
#: Rows of each where every row is run by itself.
FEW_ROWS: Final = 8


@dataclass(frozen=True)
class RowSelection:
    """A recording with fewer rows; ``sentence`` says what was left out, "" if nothing was."""

    capsule: Capsule
    probes: frozenset[int]
    sentence: str


def part_of(capsule: Capsule, probes: Collection[int], rows: int, judge: Judge) -> RowSelection:
    """Return what decides of some predictions of a recording.

    Args:
        capsule: the recording.
        probes: the indices of the predictions.
        rows: how many rows are kept of each, at most.
        judge: says by how much rounding moved every row.
    """
    wanted = [probe for probe in capsule.manifest.probes if probe.index in probes]
    wrong = [probe for probe in wanted if _is_wrong(judge(capsule, probe))][:MOST_PROBES]
    chosen = {probe.index for probe in telling(capsule, wanted, wrong)}
    arrays = dict(capsule.arrays)
    kept: list[Probe] = []
    cut: set[tuple[int, int]] = set()
    for probe in capsule.manifest.probes:
        if probe.index not in chosen:
            kept.append(probe)
            continue
        fewer = _cut(capsule, probe, rows, judge)
        if fewer is None:
            kept.append(probe)
            continue
        shortened, own, left, count = fewer
        kept.append(shortened)
        arrays |= own
        cut.add((left, count))
    manifest = capsule.manifest.model_copy(update={"probes": tuple(kept)})
    sentence = _said(cut, len(chosen), len(wanted))
    return RowSelection(Capsule(manifest, arrays), frozenset(chosen), sentence)


def _said(cut: Collection[tuple[int, int]], chosen: int, wanted: int) -> str:
    parts = []
    if cut:
        left, count = max(cut, key=lambda entry: entry[1])
        parts.append(f"{left:,} of {count:,} rows")
    if chosen < wanted:
        parts.append(f"{chosen} of {wanted} predictions")
    return " of ".join(parts)


def _is_wrong(verdicts: Sequence[LayerVerdict]) -> bool:
    return any(verdict.verdict == "different" for verdict in verdicts)


def telling(capsule: Capsule, probes: Sequence[Probe], first: Sequence[Probe] = ()) -> list[Probe]:
    """Return few predictions that have, together, every layer and every executed op there is.

    The first few of those that add most, after those that are wanted ``first``; all, where there
    are no more than :data:`MOST_PROBES`.
    """
    if len(probes) <= MOST_PROBES:
        return list(probes)
    has = {probe.index: frozenset(_features(capsule, probe)) for probe in probes}
    left = [probe for probe in probes if probe not in first]
    chosen = list(first)
    seen: set[str] = set().union(*(has[probe.index] for probe in first))
    while left and len(chosen) < MOST_PROBES:
        best = max(left, key=lambda probe: len(has[probe.index] - seen))
        if not has[best.index] - seen:
            break
        seen |= has[best.index]
        chosen.append(best)
        left.remove(best)
    return sorted(chosen, key=lambda probe: probe.index)


def _features(capsule: Capsule, probe: Probe) -> Iterator[str]:
    """Yield what a prediction can show: classes of layers, their activations, executed ops."""
    yield probe.kind
    yield from labels(probe.executed)
    state = capsule.state_of(probe)
    for layer in state.layers if state is not None else ():
        name = class_name(layer.cls) or layer.cls
        yield name
        activation = layer.config.get("activation")
        if isinstance(activation, str):
            yield f"activation {activation}"


def _cut(
    capsule: Capsule, probe: Probe, rows: int, judge: Judge
) -> tuple[Probe, dict[str, AnyArray], int, int] | None:
    """Return a prediction of fewer rows, its arrays, and how many of how many rows they are.

    None where it has no more, or where its outputs are not made row by row.
    """
    try:
        inputs = [np.asarray(capsule.array(input_)) for input_ in probe.inputs]
        outputs = [np.asarray(capsule.array(output)) for output in probe.outputs]
    except CapsuleError:
        return None
    counts = {x.shape[0] if x.ndim else -1 for x in (*inputs, *outputs)}
    if not inputs or len(counts) != 1 or max(counts) <= rows:
        return None
    (count,) = counts
    places = np.array(sorted(_places(count, rows, inputs, outputs, _moved(capsule, probe, judge))))
    arrays: dict[str, AnyArray] = {}

    def fewer(refs: Sequence[Array], values: Sequence[AnyArray], what: str) -> tuple[Array, ...]:
        cut_refs = []
        for place, (ref, value) in enumerate(zip(refs, values, strict=True)):
            key = f"part{probe.index}.{rows}.{what}{place}"
            arrays[key] = np.ascontiguousarray(value[places])
            cut_refs.append(ref.model_copy(update={"key": key, "shape": arrays[key].shape}))
        return tuple(cut_refs)

    changed = {
        "inputs": fewer(probe.inputs, inputs, "x"),
        "outputs": fewer(probe.outputs, outputs, "y"),
        "layers": (),
    }
    return probe.model_copy(update=changed), arrays, len(places), count


def _moved(capsule: Capsule, probe: Probe, judge: Judge) -> list[int]:
    """Return the rows in which some layer is furthest from what it should be."""
    verdicts = sorted(judge(capsule, probe), key=lambda verdict: verdict.verdict != "different")
    found = [worst.index[0] for verdict in verdicts for worst in verdict.worst if worst.index]
    return list(dict.fromkeys(found))


def _places(
    count: int, rows: int, inputs: Sequence[AnyArray], outputs: Sequence[AnyArray], moved: list[int]
) -> set[int]:
    """Return the rows that are kept: the ends, the worst, the bends, then some evenly spread."""
    wanted = [0, count - 1]
    wanted += [place for place in moved if 0 <= place < count][: rows // 4]
    wanted += _bends(inputs[0], outputs[0])[: rows // 4]
    wanted += [int(place) for place in np.linspace(0, count - 1, 4 * rows)]
    kept = list(dict.fromkeys(wanted))
    if len(kept) <= rows:
        return set(kept)
    first = kept[: 2 + 2 * (rows // 4)][:rows]
    spread = [place for place in kept if place not in first]
    need = rows - len(first)
    step = [spread[int(place)] for place in np.linspace(0, len(spread) - 1, need)] if need else []
    return {*first, *step}


def _bends(x: AnyArray, y: AnyArray) -> list[int]:
    """Return the rows at which the output bends most along the first number of the input."""
    along, values = (array.reshape(len(array), -1) for array in (x, y))
    if not along.size or not values.size or values.dtype.kind not in "fiu" or len(values) < 3:
        return []
    with np.errstate(all="ignore"):
        order = np.argsort(along[:, 0], kind="stable")
        bent = np.abs(np.diff(values[order, 0].astype(float), 2))
    bent[~np.isfinite(bent)] = 0
    most = np.argsort(-bent, kind="stable")[: len(bent)]
    return [int(order[place + 1]) for place in most if bent[place] > 0]
