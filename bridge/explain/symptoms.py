"""What was reported, against what every fault that may be the cause would have made.

A pure function: :mod:`bridge.pipeline.hypothesis_runs` makes the outputs that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

import numpy as np

from bridge._text import capitalised
from bridge._typing import AnyArray
from bridge.capsule import Capsule, ExecutedGraph, LayerState, ModelState
from bridge.capsule.numbers import same_bits
from bridge.explain.observations import Bound, BoundObservation, PlottedPoint
from bridge.explain.result import Candidate, Says, Separating, SymptomCell, SymptomTable
from bridge.explain.visual_similarity import (
    as_drawn,
    as_not_expected,
    line_width,
    response,
    word_fits,
)
from bridge.facts.ops import NOT_ACTIVATIONS, PRODUCTS

# Which faults may be behind what was reported: made from what a run executed, and its layers.
#
# Two kinds. A fault of the executed graph is put in when the models are run again. What R may have
# asked for wrongly is a change of the recording itself: another configuration, other weights.

#: Changes a recorded model: the new one with the arrays that it needs, or None where it stays.
Edit = Callable[[Capsule, ModelState], "tuple[ModelState, dict[str, Any]] | None"]

#: Who may have done what a fault of the executed graph does, as causes and in words.
_FUSERS: Final = {
    "grappler:remapping": "by Grappler's remapping",
    "device-plugin": "by a device plug-in's own fusion",
}


@dataclass(frozen=True)
class FaultHypothesis:
    """A fault that may be the cause.

    ``kind`` and ``scope`` are those of a fault of the executed graph, or empty; ``edit`` changes
    the recording, for what R may have asked for. With neither, it is the run as it is. ``causes``
    may all have this fault, and make the same outputs; ``how`` has words for each.
    ``needs`` says whether an executed graph has something that the fault would change, and
    ``fuses`` whether it depends on what is fused, and so on how the models are run. ``stands_in``
    says whether a model has a layer that can have the fault.
    """

    name: str
    sentence: str
    causes: tuple[str, ...]
    how: Mapping[str, str]
    kind: str = ""
    scope: str = ""
    edit: Edit | None = None
    needs: Callable[[ExecutedGraph], bool] | None = None
    fuses: bool = False
    stands_in: Callable[[ModelState], bool] | None = None

    @property
    def is_healthy(self) -> bool:
        """Say whether it is no fault at all."""
        return not self.kind and self.edit is None


HEALTHY: Final = FaultHypothesis(
    "nothing is wrong here",
    "The models make what was reported without any fault: usage or mathematics.",
    ("maths",),
    {"maths": "by usage or mathematics"},
)


def suspects(
    recorded: Capsule, probes: Collection[int], graphs: Sequence[ExecutedGraph] = ()
) -> tuple[FaultHypothesis, ...]:
    """Return what may be behind reports about these probes of a run, the run as it is first.

    ``graphs`` are what the models execute when they are run otherwise than was recorded.
    """
    of = [probe for probe in recorded.manifest.probes if probe.index in probes]
    numbers = {probe.state for probe in of if probe.state is not None}
    states = [
        recorded.manifest.states[number]
        for number in sorted(numbers)
        if 0 <= number < len(recorded.manifest.states)
    ]
    biased = any(_has_bias(recorded, layer) for state in states for layer in state.layers)
    every = [*(probe.executed for probe in of if probe.executed is not None), *graphs]
    return (
        HEALTHY,
        *_of_graphs(every, biased),
        *_of_devices(recorded, states, every),
        *_of_layers(recorded, states),
    )


def _has_bias(recorded: Capsule, layer: LayerState) -> bool:
    """Say whether a layer has a bias that is not zero, or may have."""
    found = [weight.array.key for weight in layer.weights if weight.name.endswith("bias")]
    known = (recorded.arrays.get(key) if key is not None else None for key in found)
    inner = any(_has_bias(recorded, inner_layer) for inner_layer in layer.layers)
    return inner or any(bias is None or bool(np.any(bias)) for bias in known)


def _of_graphs(graphs: Sequence[ExecutedGraph], biased: bool) -> Iterator[FaultHypothesis]:
    fused = {(op.op, part) for graph in graphs for op in graph.ops if op.fused for part in op.fused}
    activations = {part for _, part in fused if part not in NOT_ACTIVATIONS}
    ops = sorted({op for op, _ in fused})
    noun = _noun(ops)
    if "Relu" in activations:
        yield from _scoped("relu-lost-in-fused", "relu lost", noun, ops,
                           "loses its relu", _fuses(lambda part: part == "Relu"))  # fmt: skip
    if activations - {"Relu"}:
        yield from _scoped("fused-activation-lost", "any activation lost", noun, ops,
                           "loses its activation, whichever it is,",
                           _fuses(_is_activation))  # fmt: skip
    # Where every bias is zero these change nothing, and nothing has to be run.
    if activations:
        yield _graph("fused-order-wrong", "", f"activation before bias in every fused {noun}", ops,
                     f"A fused {noun} adds its bias after the activation, not before.",
                     _fuses(lambda part: biased and _is_activation(part)))  # fmt: skip
    if any(part == "BiasAdd" for _, part in fused):
        yield _graph("fused-bias-lost", "", f"bias lost in every fused {noun}", ops,
                     f"A fused {noun} does not add its bias.",
                     _fuses(lambda part: biased and part == "BiasAdd"))  # fmt: skip
    multiplying = sorted({op.op for graph in graphs for op in graph.ops if _contraction(op.op)})
    if multiplying:
        causes = tuple(f"kernel:{op}" for op in multiplying[:1])
        yield FaultHypothesis(
            f"{_noun(multiplying)} computed in bfloat16",
            "The kernel rounds what it multiplies to bfloat16.",
            (*causes, "device-plugin"),
            {causes[0]: "by TensorFlow's kernel", "device-plugin": "by a device plug-in's kernel"},
            "kernel-bf16",
            "",
            None,
            lambda graph: any(_contraction(op.op) for op in graph.ops),
        )


def _scoped(
    kind: str, name: str, noun: str, ops: list[str], does: str, needs: Callable[..., bool]
) -> Iterator[FaultHypothesis]:
    # The narrower one first: where both make the same, it gives the family its name.
    yield _graph(kind, "feeds-matmul", f"{name} in a fused {noun} whose output feeds another "
                 f"{noun}", ops, f"A fused {noun} {does} if its output feeds another {noun}.",
                 needs)  # fmt: skip
    yield _graph(kind, "", f"{name} in every fused {noun}", ops, f"Every fused {noun} {does}.",
                 needs)  # fmt: skip


def _graph(
    kind: str, scope: str, name: str, ops: list[str], sentence: str, needs: Callable[..., bool]
) -> FaultHypothesis:
    kernels = {f"kernel:{op}": f"by the kernel of {op}" for op in ops[:1]}
    how = {**_FUSERS, **kernels}
    return FaultHypothesis(name, sentence, tuple(how), how, kind, scope, None, needs, fuses=True)


def _of_devices(
    recorded: Capsule, states: Sequence[ModelState], graphs: Sequence[ExecutedGraph]
) -> Iterator[FaultHypothesis]:
    """Yield what a device may do that fuses what is not fused here, in terms of layers."""
    fused = {part for graph in graphs for op in graph.ops for part in op.fused}
    # A relu that is fused here as well is lost in the executed graph itself.
    relu = [] if "Relu" in fused else [("relu", "its relu", frozenset({"relu"}))]
    for what, lost, only in (*relu, ("any activation", "every activation", None)):
        for but_last, where in ((True, "a layer that is not the last one"), (False, "every layer")):
            rule = _no_activation(but_last, only)
            if any(rule(recorded, state) is not None for state in states):
                name = f"{what} lost in {where}"
                sentence = f"Another machine fuses {lost} into {where}, and loses it."
                yield FaultHypothesis(name, sentence, tuple(_FUSERS), _FUSERS, edit=rule)


def _of_layers(recorded: Capsule, states: Sequence[ModelState]) -> Iterator[FaultHypothesis]:
    asked = (
        (_argument("R drops the activation argument",
                   "Every layer is made without the activation that it was given (NULL)."),
         _no_activation(False)),
        (_argument("R drops the activation argument but in the last layer",
                   "Every layer but the last one is made without its activation."),
         _no_activation(True)),
        (_argument("R transposes kernels", "Square kernels arrive in Python transposed."),
         _transposed),
    )  # fmt: skip
    for suspect, rule in asked:
        if any(rule(recorded, state) is not None for state in states):
            yield replace(suspect, edit=rule)
    if any(map(_has_gelu, states)):
        yield FaultHypothesis(
            "gelu approximated by tanh",
            "Every layer with gelu computes its approximation.",
            ("keras-layer",),
            {"keras-layer": "by Keras"},
            "gelu-approximate",
            stands_in=_has_gelu,
        )


def _has_gelu(state: ModelState) -> bool:
    return any(layer.config.get("activation") == "gelu" for layer in state.layers)


def _argument(name: str, sentence: str) -> FaultHypothesis:
    return FaultHypothesis(
        name, sentence, ("r-conversion",), {"r-conversion": "between R and Keras"}
    )


def _no_activation(but_last: bool, only: frozenset[str] | None = None) -> Edit:
    def rule(_recorded: Capsule, state: ModelState) -> tuple[ModelState, dict[str, Any]] | None:
        wanted = [
            layer.name
            for layer in state.layers
            if _has_activation(layer) and (only is None or str(layer.config["activation"]) in only)
        ]
        if but_last:
            wanted = [name for name in wanted if name != state.layers[-1].name]
        return (_without_activation(state, frozenset(wanted)), {}) if wanted else None

    return rule


def _has_activation(layer: LayerState) -> bool:
    """Say whether the layer takes an activation as an argument, among others, and was given one.

    A layer that is nothing but an activation cannot be made without one.
    """
    return layer.config.get("activation") not in (None, "linear") and bool(layer.weights)


def _without_activation(state: ModelState, names: frozenset[str]) -> ModelState:
    layers = tuple(
        layer.model_copy(update={"config": layer.config | {"activation": "linear"}})
        if layer.name in names
        else layer
        for layer in state.layers
    )
    return state.model_copy(update={"layers": layers, "config": _unset(state.config, names)})


def _unset(config: Any, names: frozenset[str]) -> Any:
    if isinstance(config, list):
        return [_unset(item, names) for item in config]
    if not isinstance(config, dict):
        return config
    if config.get("name") in names and "activation" in config:
        return config | {"activation": "linear"}
    return {key: _unset(value, names) for key, value in config.items()}


def _transposed(recorded: Capsule, state: ModelState) -> tuple[ModelState, dict[str, Any]] | None:
    arrays: dict[str, Any] = {}
    layers = []
    for layer in state.layers:
        weights = []
        for weight in layer.weights:
            key, shape = weight.array.key, weight.array.shape
            if key is not None and len(shape) == 2 and shape[0] == shape[1]:
                turned = np.ascontiguousarray(recorded.arrays[key].T)
                if not np.array_equal(turned, recorded.arrays[key]):
                    new = f"{key}.t"
                    arrays[new] = turned
                    array = weight.array.model_copy(update={"key": new})
                    weight = weight.model_copy(update={"array": array})
            weights.append(weight)
        layers.append(layer.model_copy(update={"weights": tuple(weights)}))
    return (state.model_copy(update={"layers": tuple(layers)}), arrays) if arrays else None


def _fuses(wanted: Callable[[str], bool]) -> Callable[[ExecutedGraph], bool]:
    return lambda graph: any(wanted(part) for op in graph.ops for part in op.fused)


def _is_activation(part: str) -> bool:
    return part not in NOT_ACTIVATIONS


def _contraction(op: str) -> bool:
    return any(product in op for product in PRODUCTS)


def _noun(ops: Collection[str]) -> str:
    """Return the word for ops: MatMul where all of them are, op where they are of several kinds."""
    kinds = {kind for op in ops for kind in PRODUCTS if kind in op}
    return next(iter(kinds)) if len(kinds) == 1 else "op"


#: How many points of a curve are kept.
MOST_POINTS: Final = 64
_TOLD: Final = 4

#: An output, or the sentence that says why there is none.
Output = AnyArray | str


@dataclass(frozen=True)
class FaultOutputs:
    """What a suspect makes of each probe that was observed, by index, in one setting.

    ``setting`` says how the models are run, where that makes a difference: "" is as recorded.
    """

    suspect: FaultHypothesis
    setting: str
    outputs: Mapping[int, Output]


@dataclass(frozen=True)
class RecordedOutputs:
    """What was recorded here, by the probe's index: inputs, outputs, and bounds if known.

    ``bounds`` say how far an output may be from another run's by rounding, element by element.
    """

    inputs: Mapping[int, AnyArray]
    outputs: Mapping[int, AnyArray]
    bounds: Mapping[int, AnyArray]


@dataclass(frozen=True)
class Standing:
    """A candidate that explains everything, and what it makes; ``cause`` is who does it.

    ``row`` is its name without that, ``family`` the name of those that make the same.
    """

    name: str
    row: str
    family: str
    cause: str
    made: FaultOutputs


@dataclass(frozen=True)
class Matched:
    """The table without the runs that would separate, and what still stands."""

    table: SymptomTable
    standing: tuple[Standing, ...]


def match(
    bound: Bound, fault_outputs: Sequence[FaultOutputs], recorded: RecordedOutputs
) -> Matched:
    """Set every suspect against every observation."""
    grid, places = _grid(bound, recorded)
    judge = _Judge(recorded)
    rows: list[tuple[FaultOutputs, str, tuple[SymptomCell, ...]]] = []
    for _, group in groupby(fault_outputs, key=lambda fault: fault.suspect.name):
        rows.extend(_rows(list(group), bound, judge, places))
    probes = {seen.probe for seen in bound.seen}
    families = _families([row for row in rows if _explains(row[2])], recorded, probes)
    candidates: list[Candidate] = []
    standing: list[Standing] = []
    for fault, name, cells in rows:
        suspect = fault.suspect
        if not _explains(cells):
            candidates.append(_candidate(fault, name, suspect.causes[0], cells, recorded))
            continue
        family = families[name]
        for cause in suspect.causes:
            own = f"{name}, {suspect.how[cause]}" if len(suspect.causes) > 1 else name
            candidates.append(_candidate(fault, own, cause, cells, recorded, family))
            standing.append(Standing(own, name, family, cause, fault))
    table = SymptomTable(
        observations=tuple(seen.observation for seen in bound.seen),
        candidates=tuple(candidates),
        standing=tuple(candidate.name for candidate in standing),
        sentence=_sentence(bound, candidates, standing),
        grid=grid,
        unmatched=bound.unmatched,
        conflicts=bound.conflicts,
    )
    return Matched(table, tuple(standing))


def with_separating(table: SymptomTable, runs: Sequence[Separating]) -> SymptomTable:
    """Return the table with the runs that would tell apart what still stands."""
    return table.model_copy(update={"separating": tuple(runs)})


def says(
    seen: BoundObservation, output: Output, recorded: RecordedOutputs
) -> tuple[Says, str, str]:
    """Return what an output says of one observation, its shape's kind, and why."""
    if isinstance(output, str):
        return "silent", "", output
    if seen.array is not None:
        return _of_array(seen.array, output, recorded.bounds.get(seen.probe))
    report = seen.report
    if report is None:
        return "silent", "", "nothing was observed of it"
    if report.shape in ("as expected", "wrong"):
        healthy = recorded.outputs[seen.probe]
        judge = as_drawn if report.shape == "as expected" else as_not_expected
        said, why = judge(output, healthy)
        return said, "", why
    at = response(recorded.inputs[seen.probe], output)
    if at is None:
        return "silent", "", "its output is not a curve over one number, so it has no shape"
    if report.shape:
        return word_fits(report.shape, at)
    return _of_points(report.readings, at.x, at.y)


def _rows(
    group: Sequence[FaultOutputs], bound: Bound, judge: _Judge, places: Mapping[int, AnyArray]
) -> Iterator[tuple[FaultOutputs, str, tuple[SymptomCell, ...]]]:
    """Yield a row for each setting; one for all of them where they all say the same."""
    found = [
        (fault, tuple(judge.cell(seen, fault.outputs[seen.probe], places) for seen in bound.seen))
        for fault in group
    ]
    verdicts = {tuple(cell.says for cell in cells) for _, cells in found}
    if len(verdicts) == 1:
        outcome, cells = found[0]
        yield outcome, outcome.suspect.name, cells
        return
    for outcome, cells in found:
        setting = f" ({outcome.setting})" if outcome.setting else " (run as recorded)"
        yield outcome, outcome.suspect.name + setting, cells


class _Judge:
    """Judges each output once for each observation: most faults leave most outputs as they are."""

    def __init__(self, recorded: RecordedOutputs) -> None:
        self._recorded = recorded
        self._said: dict[tuple[int, bytes | str], tuple[Says, str, str]] = {}

    def cell(
        self, seen: BoundObservation, output: Output, places: Mapping[int, AnyArray]
    ) -> SymptomCell:
        """Return what an output says of an observation."""
        key = id(seen), output if isinstance(output, str) else output.tobytes()
        if key not in self._said:
            self._said[key] = says(seen, output, self._recorded)
        said, shape, why = self._said[key]
        curve: tuple[float, ...] = ()
        if seen.probe in places and not isinstance(output, str):
            at = response(self._recorded.inputs[seen.probe], output)
            if at is not None:
                curve = tuple(float(y) for y in at.y[places[seen.probe]])
        return SymptomCell(
            observation=seen.observation.name, says=said, shape=shape, why=why, curve=curve
        )


def _grid(bound: Bound, recorded: RecordedOutputs) -> tuple[tuple[float, ...], dict[int, AnyArray]]:
    """Return the x of the curves, and the places of those x in the responses of each probe.

    Probes on another grid than the first one's have no curve.
    """
    grid: AnyArray | None = None
    places: dict[int, AnyArray] = {}
    chosen = np.zeros(0, np.intp)
    for seen in bound.seen:
        at = response(recorded.inputs[seen.probe], recorded.outputs[seen.probe])
        if at is None:
            continue
        if grid is None:
            grid = at.x
            chosen = np.unique(np.linspace(0, len(grid) - 1, min(MOST_POINTS, len(grid))).round())
            chosen = chosen.astype(np.intp)
        if np.array_equal(grid, at.x):
            places[seen.probe] = chosen
    return (tuple(float(x) for x in grid[chosen]) if grid is not None else ()), places


def _of_points(readings: Sequence[PlottedPoint], x: AnyArray, y: AnyArray) -> tuple[Says, str, str]:
    """Say whether a curve passes through what was read off, within half a unit of the last digit.

    Between the x that were computed the curve is taken to lie between its neighbours.
    """
    outside, silent = [], []
    for reading in readings:
        low, high = reading.x - reading.dx, reading.x + reading.dx
        if high < x[0] or low > x[-1]:
            silent.append(reading)
            continue
        inside = (x >= low) & (x <= high)
        values = [*np.interp([max(low, x[0]), min(high, x[-1])], x, y), *y[inside]]
        if reading.y + reading.dy < min(values) or reading.y - reading.dy > max(values):
            outside.append((reading, min(values), max(values)))
    if outside:
        worst, least, most = outside[0]
        would = f"{least:.4g}" if least == most else f"between {least:.4g} and {most:.4g}"
        return "contradicts", "", f"at x = {worst.x:g} it would be {would}, not {worst.y:g}"
    if silent:
        return "silent", "", f"x = {silent[0].x:g} is outside of what was computed"
    return "explains", "", f"it passes through all {len(readings)} points as far as they were read"


def _of_array(
    reported: AnyArray, computed: AnyArray, bound: AnyArray | None
) -> tuple[Says, str, str]:
    """Compare with what the reporter's machine made: bits, or the bound of rounding."""
    said, why = as_drawn(computed, reported)
    if reported.shape != computed.shape:
        return "contradicts", "", why
    if np.array_equal(reported, computed, equal_nan=computed.dtype.kind in "fc"):
        return "explains", "", "the same numbers, element by element"
    if bound is None or bound.shape != computed.shape:
        return (
            "contradicts" if said == "contradicts" else "silent",
            "",
            f"{why} (no bound is known)",
        )
    gap = np.abs(reported.astype(np.float64) - computed.astype(np.float64))
    if bool((gap <= bound).all()):
        return "explains", "", "the same within the rounding of both machines"
    beyond = int(np.sum(~(gap <= bound)))
    return "contradicts", "", f"{beyond:,} of {gap.size:,} points are beyond rounding; {why}"


def _explains(cells: Sequence[SymptomCell]) -> bool:
    return bool(cells) and all(cell.says == "explains" for cell in cells)


def _candidate(
    fault: FaultOutputs,
    name: str,
    cause: str,
    cells: tuple[SymptomCell, ...],
    recorded: RecordedOutputs,
    family: str = "",
) -> Candidate:
    """Return a candidate; one that no observation speaks for has no family, and says why."""
    inert = not fault.suspect.is_healthy and all(
        not isinstance(y, str) and same_bits(y, recorded.outputs[probe])
        for probe, y in fault.outputs.items()
    )
    idle = "Here it changes nothing." if inert else ""
    why = "" if family else _not_standing(cells)
    return Candidate(
        name=name,
        cause=cause,
        sentence=" ".join(filter(None, (fault.suspect.sentence, idle, why))),
        cells=cells,
        family=family,
        inert=inert,
    )


def _not_standing(cells: Sequence[SymptomCell]) -> str:
    against = [cell.observation for cell in cells if cell.says == "contradicts"]
    if against:
        return f"Refuted by {_listed(against)}."
    silent = [cell.observation for cell in cells if cell.says == "silent"]
    return f"Not refuted, but silent on {_listed(silent)}."


def _families(
    rows: Sequence[tuple[FaultOutputs, str, tuple[SymptomCell, ...]]],
    recorded: RecordedOutputs,
    probes: Iterable[int],
) -> dict[str, str]:
    """Return the family of each row: rows whose outputs nobody could tell apart, by the first.

    Those that stand in any setting are put in front: one of them gives the family its name.
    """
    ordered = sorted(rows, key=lambda row: row[1] != row[0].suspect.name)
    heads: list[tuple[str, FaultOutputs]] = []
    found: dict[str, str] = {}
    for fault, name, _ in ordered:
        head = next((h for h, known in heads if _alike(fault, known, recorded, probes)), None)
        if head is None:
            heads.append((name, fault))
        found[name] = head or name
    return found


def _alike(
    left: FaultOutputs, right: FaultOutputs, recorded: RecordedOutputs, probes: Iterable[int]
) -> bool:
    """Say whether two suspects make outputs that cannot be told apart by what was observed."""
    for probe in probes:
        a, b = left.outputs[probe], right.outputs[probe]
        if isinstance(a, str) or isinstance(b, str) or a.shape != b.shape:
            return False
        gap = np.abs(a.astype(np.float64) - b.astype(np.float64))
        if not bool((gap <= max(line_width(a), line_width(b))).all()):
            return False
        bound = recorded.bounds.get(probe)
        if bound is not None and not bool((gap <= bound).all()):
            return False
    return True


def _sentence(bound: Bound, candidates: Sequence[Candidate], standing: Sequence[Standing]) -> str:
    count = len(bound.seen)
    if not count:
        return "Nothing that was observed is of a prediction of this script."
    number = {1: "the one observation", 2: "both observations"}.get(
        count, f"all {count} observations"
    )
    clash = f" {'; '.join(bound.conflicts)}: no fault can explain both." if bound.conflicts else ""
    left = f" Left out: {'; '.join(bound.unmatched)}." if bound.unmatched else ""
    if not standing:
        return f"No candidate reproduces {number}: not known.{clash}{_nearest(candidates)}{left}"
    if any(candidate.made.suspect.is_healthy for candidate in standing):
        return (
            f"The models make {number} as they are, without any fault: what was reported follows "
            f"from usage or mathematics, or was observed where nothing is wrong.{left}"
        )
    families = list(dict.fromkeys(candidate.family for candidate in standing))
    if len(families) > 1:
        listed = "; ".join(families)
        return f"{len(families)} families of candidates reproduce {number}: {listed}.{left}"
    return f"{_one_family(families[0], number, standing)}{_against(candidates)}{left}"


def _one_family(family: str, number: str, standing: Sequence[Standing]) -> str:
    if len(standing) == 1:
        return f"Exactly one candidate reproduces {number}: {family}."
    sentence = f"Exactly one family of candidates reproduces {number}: {family}."
    how = dict.fromkeys(candidate.made.suspect.how[candidate.cause] for candidate in standing)
    if len(how) > 1:
        sentence += f" Whether it comes about {_or(list(how))}, what was observed does not tell."
    others = list(dict.fromkeys(candidate.row for candidate in standing if candidate.row != family))
    if others:
        quoted = [f"'{name}'" for name in others]
        sentence += f" The same outputs are made by {_or(quoted)}."
    return sentence


def _against(candidates: Sequence[Candidate]) -> str:
    """Say what refutes the candidates that come nearest."""
    refuted = []
    for candidate in candidates:
        against = [cell.observation for cell in candidate.cells if cell.says == "contradicts"]
        if not candidate.family and len(against) == 1 and not candidate.inert:
            refuted.append(f"'{candidate.name}' is refuted by {against[0]}")
    return f" {capitalised('; '.join(refuted))}." if refuted else ""


def _or(parts: Sequence[str]) -> str:
    return " or ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def _nearest(candidates: Sequence[Candidate]) -> str:
    def good(candidate: Candidate) -> int:
        return sum(cell.says == "explains" for cell in candidate.cells)

    if not candidates:
        return ""
    best = max(candidates, key=good)
    against = [cell.observation for cell in best.cells if cell.says == "contradicts"]
    but = f", contradicted by {_listed(against)}" if against else ""
    return f" Nearest is '{best.name}' ({good(best)} of {len(best.cells)}{but})."


def _listed(names: Iterable[str]) -> str:
    found = list(dict.fromkeys(names))
    more = f" and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
    return ", ".join(found[:_TOLD]) + more
