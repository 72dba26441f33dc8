"""The verdict on one probe as two runs made it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from bridge.capsule import Capsule, Probe
from bridge.capsule.numbers import same_bits
from bridge.compare.code_locations import index_code, output_code, result_code
from bridge.compare.result import RUNGS, LayerVerdict, ProbePair, Rung, Verdict
from bridge.compare.stage_walk import Walk, walk_outputs, walk_stages
from bridge.rounding.layer_records import PREDICTION, Judge, beyond_bound
from bridge.rounding.probabilistic_rung import explains

Decision = tuple[Verdict, Rung, str]

#: Ops that carry a layer's weights or shape to it, and compute nothing of their own.
_CARRIERS: Final = frozenset(
    {"ReadVariableOp", "Shape", "ExpandDims", "Pack", "StridedSlice", "Cast"}
)


def compare_probes(
    a: Capsule, b: Capsule, one: Probe, other: Probe, label: str, judge: Judge
) -> ProbePair:
    """Compare a probe of ``a`` with one of ``b``; ``label`` is its name in the result."""
    if "reference" in (a.manifest.runner, b.manifest.runner):
        return _against_reference(Walk(a, b, one, other), label, judge)
    walk = walk_stages(a, b, one, other)
    layers = judge(a, one), judge(b, other)
    decision = _decide(walk, layers)
    if decision[0] in ("within-rounding", "abstained"):
        same = True if decision[0] == "within-rounding" else None
        said = "within the rounding bound" if same else "not decided"
        walk.settle("prediction", same, said)
    beyond = [count for each in layers if (count := beyond_bound(each)) is not None]
    return _pair(walk, label, decision, max(beyond, default=None), layers[0] or layers[1])


def _against_reference(walk: Walk, label: str, judge: Judge) -> ProbePair:
    """Compare with a float64 evaluation: the run's own layers decide, each on its own input.

    What has added up along the layers is shown as the difference, but decides nothing.
    """
    swapped = walk.a.manifest.runner == "reference"
    run, probe = (walk.b, walk.other) if swapped else (walk.a, walk.one)
    evaluated = walk.one if swapped else walk.other
    walk_outputs(walk)
    layers = judge(run, probe)
    decision: Decision = ("abstained", "abstained", walk.why)
    points = None
    if evaluated.notes and not evaluated.outputs:
        walk.stages.clear()
        decision = ("abstained", "abstained", evaluated.notes[-1])
        if layers and probe.outputs:
            # Not from end to end, but layer by layer, each on what it received.
            verdict, rung, why = _of_run(walk, run, probe, layers)
            told = f"not evaluated from end to end: {evaluated.notes[-1]}"
            decision = (verdict, rung, "; ".join(part for part in (why, told) if part))
            points = sum(math.prod(ref.shape) for ref in probe.outputs)
    elif walk.difference is not None:
        decision = _of_run(walk, run, probe, layers)
        if decision[0] == "same-bits" and not _rounds_to(walk, swapped):
            # Each layer is rounded once and no more; what is left has added up along them.
            decision = ("within-rounding", "bit-equal", "")
        if decision[0] in ("same-bits", "within-rounding"):
            walk.note("prediction", True)
    found = _pair(walk, label, decision, beyond_bound(layers), layers)
    return found if points is None else found.model_copy(update={"points": points})


def _rounds_to(walk: Walk, swapped: bool) -> bool:
    """Say whether the float64 outputs, rounded to the run's type, have the run's bits."""
    for p, q in zip(walk.one.outputs, walk.other.outputs, strict=True):
        x, y = walk.a.array(p), walk.b.array(q)
        exact, made = (x, y) if swapped else (y, x)
        with np.errstate(over="ignore", invalid="ignore"):
            if not same_bits(exact.astype(made.dtype), made):
                return False
    return True


def _decide(walk: Walk, layers: tuple[Sequence[LayerVerdict], Sequence[LayerVerdict]]) -> Decision:
    raised = _raised(walk.one), _raised(walk.other)
    unlike = walk.parted("config", "weights", "input", "arguments")
    if unlike is not None:
        return "different", "bit-equal", f"the {unlike.stage} differs; {_affected(walk)}"
    if raised[0] and raised[0] == raised[1]:
        return "same-error", "bit-equal", f"both {raised[0]}"
    if raised[0] or raised[1]:
        who = walk.a.manifest.runner if raised[0] else walk.b.manifest.runner
        walk.alone = True
        walk.note("prediction", False, result_code(walk.one.kind), f"only {who} {max(raised)}")
        return "different", "bit-equal", f"only {who} {max(raised)}"
    prediction = walk.parted("prediction")
    if walk.difference is None:
        if prediction is not None:
            return "different", "bit-equal", prediction.detail
        return "abstained", "abstained", walk.why
    if prediction is None and walk.parted("training curve") is None:
        return "same-bits", "bit-equal", ""
    if walk.one.kind not in ("predict", "call"):
        parted = walk.parted("training curve", "prediction")
        place = f", first at {parted.where} ({parted.detail})" if parted is not None else ""
        why = f"the results of {walk.one.kind} differ{place}"
        why = f"{why}, and no rule says how far rounding carries in training"
        return "abstained", "abstained", why
    return _both(walk, layers)


def _both(walk: Walk, layers: tuple[Sequence[LayerVerdict], Sequence[LayerVerdict]]) -> Decision:
    """Decide about predictions of one model with other bits: are both right?"""
    runs = walk.a.manifest.runner, walk.b.manifest.runner
    found = [
        _of_run(walk, walk.a, walk.one, layers[0], runs[0]),
        _of_run(walk, walk.b, walk.other, layers[1], runs[1]),
    ]
    for wanted in ("different", "abstained"):
        for who, (verdict, rung, why) in zip(runs, found, strict=True):
            if verdict == wanted:
                return verdict, rung, f"{who}: {why}"
    rung = max((rung for _, rung, _ in found), key=RUNGS.index)
    why = " and ".join(dict.fromkeys(why for _, _, why in found if why))
    # Two runs that each round to float64's bits, layer by layer, and yet differ: the bound decides.
    return "within-rounding", "certified" if rung == "bit-equal" else rung, why


def _of_run(
    walk: Walk, run: Capsule, probe: Probe, layers: Sequence[LayerVerdict], who: str = ""
) -> Decision:
    """Return the verdict on a prediction from those on its layers; note a faulty one as a stage.

    The weakest rung that a layer needed speaks for all of them.
    """
    if not layers:
        return _unseen(run, probe)
    for each in layers:
        if each.verdict == "different":
            name = f"{who}, {each.layer}" if who else each.layer
            walk.note("layer", False, _place(walk, each), f"{name}: {each.why}")
            return "different", each.rung, f"layer {each.layer}: {each.why}"
    for each in layers:
        if each.verdict == "abstained":
            named = f" ({each.cls.rpartition('.')[2]})" if each.cls else ""
            return "abstained", "abstained", f"layer {each.layer}{named}: {each.why}"
    rounded = [each for each in layers if each.verdict == "within-rounding"]
    if not rounded:
        return "same-bits", "bit-equal", ""
    weakest = max(rounded, key=lambda each: RUNGS.index(each.rung))
    named = f"layer {weakest.layer}: {weakest.why}" if weakest.why else ""
    return "within-rounding", weakest.rung, named


def _unseen(run: Capsule, probe: Probe) -> Decision:
    """Return the verdict on a prediction of which no layer was seen."""
    unseen = "what its layers received was not recorded"
    state = run.state_of(probe)
    if state is None:
        return "abstained", "abstained", unseen
    why = explains(run, state, probe)
    if why:
        return "abstained", "abstained", f"{unseen}, and {why}"
    found = "independent roundings within the layers' bounds account for it"
    return "within-rounding", "probabilistic", f"{unseen}; {found}"


def _place(walk: Walk, verdict: LayerVerdict) -> str:
    suffix = index_code(verdict.worst[0].index) if verdict.worst else ""
    if verdict.layer == PREDICTION:
        return result_code(walk.one.kind, suffix)
    return output_code(verdict.layer, suffix)


def _pair(
    walk: Walk,
    label: str,
    decision: Decision,
    beyond: int | None,
    layers: tuple[LayerVerdict, ...],
) -> ProbePair:
    verdict, rung, detail = decision
    graphs = _executed_detail(walk.one, walk.other)
    return ProbePair(
        a=walk.a.manifest.runner,
        b=walk.b.manifest.runner,
        probe=label,
        verdict=verdict,
        rung=rung,
        points=walk.difference.points if walk.difference is not None else 0,
        difference=walk.difference,
        beyond_bound=beyond,
        stages=tuple(walk.stages),
        layers=layers,
        executed=(_executed(walk.one), _executed(walk.other)),
        alone=walk.alone,
        detail="; ".join(part for part in (detail, graphs) if part),
    )


def _raised(probe: Probe) -> str:
    """Return ``raised ValueError`` if the probe ended so, else nothing."""
    return f"raised {probe.why}" if probe.status == "raised" else ""


def _affected(walk: Walk) -> str:
    found = walk.difference
    if found is None:
        return walk.why
    if found.same_bits:
        return "the predictions have the same bits"
    return f"{found.different} of {found.points} predictions differ, by at most {found.max_abs:.3g}"


def _executed(probe: Probe) -> str:
    """Return the executed ops that do the layers' arithmetic, in order."""
    if probe.executed is None:
        return ""
    ops = (op for op in probe.executed.ops if "/" in op.name and op.op not in _CARRIERS)
    return " ".join(op.label for op in ops)


def _executed_detail(one: Probe, other: Probe) -> str:
    if one.executed is None or other.executed is None:
        return ""
    p, q = one.executed.fingerprint(), other.executed.fingerprint()
    unlike = [
        f"{op} {p.get(op, 0)} against {q.get(op, 0)}"
        for op in sorted({*p, *q})
        if p.get(op, 0) != q.get(op, 0)
    ]
    return f"the executed graphs differ: {', '.join(unlike[:3])}" if unlike else ""
