"""One probe as two runs made it, stage by stage, and the verdict on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.capsule import Capsule, CapsuleError, LayerState, ModelState, Probe
from bridge.capsule.numbers import same_bits
from bridge.compare.alignment import (
    elements_same,
    index_code,
    output_code,
    parting,
    result_code,
)
from bridge.compare.array_difference import difference
from bridge.compare.config_normal_form import compare_configs, layers_of
from bridge.compare.result import (
    RUNGS,
    Difference,
    LayerVerdict,
    ProbePair,
    Rung,
    Stage,
    StageResult,
    Verdict,
)
from bridge.compare.training import WITH_TARGETS, asked, first_curves, trained
from bridge.rounding.ladder import CHANCE
from bridge.rounding.layer_graph import Network, WiringError, fed_inputs
from bridge.rounding.layer_records import PREDICTION, Judge, beyond_bound
from bridge.rounding.rules import Evaluation, UnsupportedError
from bridge.rounding.rules.layer import policy_name
from bridge.rounding.rules.rounding import FORMATS

# How far rounding carries from a model's input to its output, as a matter of probability.
#
# Bounds that are carried through many layers grow without saying anything. Roundings, though,
# hardly ever conspire: taken as independent, with mean zero and each within its layer's bound,
# their effect on the output is far smaller (N. J. Higham and T. Mary, A new approach to
# probabilistic rounding error analysis, SIAM J. Sci. Comput. 41, 2019). Here every layer's output
# is moved by its bound, up or down at random, and handed on, many times; the spread of the outputs
# estimates the deviation of a sum of independent errors that are as large as the bounds allow. By
# Hoeffding's inequality such a sum exceeds q deviations with a probability of at most 2 exp(-q^2 /
# 2).
#
# This can show that a difference is no larger than rounding makes it. That one is larger proves
# nothing: the roundings of equal numbers are equal, and not independent at all.

#: Outputs of that many models are drawn.
DRAWS: Final = 32
#: Outputs of all draws together that are not worth the time.
_MOST: Final = 2**27


def explains(capsule: Capsule, state: ModelState, probe: Probe) -> str:
    """Say why rounding does not account for a prediction, or "" where it does.

    The prediction is the recorded one of ``probe``; nothing of its layers need be known.
    """
    try:
        arrays = {ref.name: capsule.array(ref) for ref in probe.inputs}
        inputs = fed_inputs(state, probe, arrays)
        outputs = [capsule.array(ref) for ref in probe.outputs]
        points = sum(y.size for y in outputs)
        if points * DRAWS > _MOST:
            return f"{points:,} outputs are too many to draw {DRAWS} times"
        network = Network(capsule, state)
        exact = network.run(inputs)
        draws = [network.run(inputs, _Mover(seed)) for seed in range(DRAWS)]
    except (UnsupportedError, WiringError, CapsuleError) as error:
        return str(error)
    for number, (y, value) in enumerate(zip(outputs, exact, strict=True)):
        fmt = FORMATS.get(y.dtype.name)
        if fmt is None or y.shape != value.shape:
            return f"its output is {y.dtype.name} of shape {y.shape}"
        off = np.stack([draw[number] - value for draw in draws])
        with np.errstate(all="ignore"):
            deviation = _quantile(points) * np.sqrt((off**2).mean(axis=0)) + 0.5 * fmt.ulp(value)
            gap = np.abs(y.astype(np.float64) - value)
        outside = int((~(gap <= deviation)).sum())
        if outside:
            return f"{outside} of {value.size} outputs are further off than independent roundings"
    return ""


class _Mover:
    """Hands on a layer's value moved by its bound, up or down at random."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def __call__(self, evaluation: Evaluation) -> AnyArray:
        if evaluation.derive is None:
            return evaluation.value
        bound: F64 = evaluation.bound
        if not np.isfinite(bound).all():
            raise UnsupportedError("a sum may overflow in some order")
        sign = self._random.integers(0, 2, bound.shape) * 2 - 1
        return np.asarray(evaluation.value + sign * bound)


def _quantile(points: int) -> float:
    """Return q such that no element exceeds q estimated deviations but by :data:`CHANCE`.

    Half of the chance is Hoeffding's. The other half is that a deviation estimated from so few
    draws is too small: the sum of squares of K draws is, to a good approximation, distributed as
    chi-squared, whose lower quantile Wilson and Hilferty's formula gives.
    """
    share = 0.5 * CHANCE / max(points, 1)
    hoeffding = math.sqrt(2.0 * math.log(2.0 / share))
    normal = math.sqrt(2.0 * math.log(1.0 / share))
    spread = 2.0 / (9.0 * DRAWS)
    low = (1.0 - spread - normal * math.sqrt(spread)) ** 3
    return hoeffding / math.sqrt(low)


#: How a configuration spells a function that is not Keras' own.
_FUNCTIONS: Final = frozenset({"a function of the script's own", "python_function"})


@dataclass
class Walk:
    """A probe of two runs, the stages that were walked, and how the outputs differ.

    ``difference`` is None where the outputs cannot be set side by side; ``why`` then says why.
    """

    a: Capsule
    b: Capsule
    left: Probe
    right: Probe
    stages: list[StageResult] = field(default_factory=list)
    difference: Difference | None = None
    why: str = ""
    #: Only functions part, of which the code is not to be compared.
    opaque: bool = False
    #: One of the runs alone got a result here, the other was refused.
    alone: bool = False

    def note(self, stage: Stage, same: bool | None, where: str = "", detail: str = "") -> None:
        """Add a stage."""
        self.stages.append(StageResult(stage=stage, same=same, where=where, detail=detail))

    def parted(self, *stages: Stage) -> StageResult | None:
        """Return the first of the given stages that is not the same."""
        return next((s for s in self.stages if s.stage in stages and s.same is False), None)

    def settle(self, stage: Stage, same: bool | None, detail: str) -> None:
        """Say what a difference at a stage turned out to be."""
        self.stages = [
            noted.model_copy(update={"same": same, "detail": f"{detail}: {noted.detail}"})
            if noted.stage == stage and noted.same is False
            else noted
            for noted in self.stages
        ]


def walk_stages(a: Capsule, b: Capsule, left: Probe, right: Probe) -> Walk:
    """Walk a probe of ``a`` and one of ``b`` through all stages."""
    walk = Walk(a, b, left, right)
    _models(walk)
    _inputs(walk)
    _layers(walk)
    walk_outputs(walk)
    if walk.difference is not None and walk.difference.same_bits:
        if walk.opaque:
            walk.settle("config", True, "functions that do the same")
        if "intent" in (a.manifest.runner, b.manifest.runner) and _same_values(walk):
            walk.settle("input", True, "the same values make the same bits")
    if walk.difference is not None and left.kind != "fit":
        _prediction(walk, walk.difference)
    found = trained(a, left, b, right)
    if found is not None:
        walk.stages.append(found)
    if left.kind in WITH_TARGETS and walk.parted("prediction", "training curve"):
        # What was asked need not be spelled the same; only where numbers part does it matter.
        unlike = asked(a, left, b, right)
        if unlike is not None:
            walk.stages.append(unlike)
    return walk


def walk_outputs(walk: Walk) -> None:
    """Set the outputs side by side and measure how they differ."""
    curves = first_curves(walk.left, walk.right)
    if curves is not None:
        # Of a training of which the first epochs were made again, they are what it gave.
        walk.difference = difference(*curves)
        return
    left, right = walk.left.outputs, walk.right.outputs
    code = result_code(walk.left.kind)
    if not left and not right:
        walk.why = next(
            iter((*walk.right.notes, *walk.left.notes)), "there is no output to compare"
        )
        return
    if len(left) != len(right) and walk.left.kind == "evaluate" and _listed(walk):
        return
    if len(left) != len(right):
        walk.why = f"{len(left)} against {len(right)} outputs"
        walk.note("prediction", False, code, walk.why)
        return
    try:
        pairs = [(walk.a.array(p), walk.b.array(q)) for p, q in zip(left, right, strict=True)]
        unlike = next(((x, y) for x, y in pairs if x.shape != y.shape), None)
        if unlike is None:
            walk.difference = _joined([difference(x, y) for x, y in pairs])
            return
    except (CapsuleError, TypeError) as error:
        walk.why = str(error)
        return
    walk.why = f"shape {unlike[0].shape} against {unlike[1].shape}"
    walk.note("prediction", False, f"{code}.shape", walk.why)


def _listed(walk: Walk) -> bool:
    """Set results of an evaluation side by side of which one came as a list, the other by name."""
    try:
        flat = [
            np.concatenate([np.ravel(capsule.array(ref)) for ref in outputs])
            for capsule, outputs in ((walk.a, walk.left.outputs), (walk.b, walk.right.outputs))
            if outputs
        ]
        if len(flat) != 2 or flat[0].shape != flat[1].shape or flat[0].dtype != flat[1].dtype:
            return False
        walk.difference = difference(flat[0], flat[1])
    except (CapsuleError, TypeError, ValueError):
        return False
    return True


def _models(walk: Walk) -> None:
    """Compare configurations and, where the layers answer to each other, weights."""
    a, b = walk.a.state_of(walk.left), walk.b.state_of(walk.right)
    if a is None or b is None:
        if walk.left.kind != "value":
            walk.note("config", None, detail="a model was not recorded")
        return
    deciding, telling = compare_configs(a, b)
    if deciding:
        # How a function is spelled says little: by its code, or by the name of what wraps it.
        walk.opaque = all(
            setting.path[-1:] == ("function",) or {str(setting.a), str(setting.b)} & _FUNCTIONS
            for setting in deciding
        )
        walk.note("config", False, deciding[0].spell(a), deciding[0].tell())
    else:
        aside = f"not decisive: {telling[0].spell(a)}: {telling[0].tell()}" if telling else ""
        walk.note("config", True, detail=aside)
    layers_a, layers_b = layers_of(a), layers_of(b)
    if len(layers_a) == len(layers_b):
        unlike = (_weights(walk, p, q) for p, q in zip(layers_a, layers_b, strict=True))
        found = next((result for result in unlike if result is not None), None)
        walk.stages.append(found or StageResult(stage="weights", same=True))


def _weights(walk: Walk, left: LayerState, right: LayerState) -> StageResult | None:
    """Return the stage if the weights of two layers part, else None."""
    model = f"model.get_layer({left.name!r})"
    if len(left.weights) != len(right.weights):
        detail = f"{len(left.weights)} against {len(right.weights)} weights"
        return StageResult(stage="weights", same=False, where=f"{model}.weights", detail=detail)
    for number, (w, v) in enumerate(zip(left.weights, right.weights, strict=True)):
        unlike = parting(walk.a, w.array, walk.b, v.array)
        if unlike is not None:
            name = f"{model}.{w.name}" if w.name.isidentifier() else f"{model}.weights[{number}]"
            same = False if unlike.known else None
            where = f"{name}{unlike.suffix}"
            return StageResult(stage="weights", same=same, where=where, detail=unlike.detail)
    return None


def _inputs(walk: Walk) -> None:
    left, right = walk.left.inputs, walk.right.inputs
    if len(left) != len(right):
        walk.note("input", False, "x", f"{len(left)} against {len(right)} arrays")
        return
    for number, (p, q) in enumerate(zip(left, right, strict=True)):
        unlike = parting(walk.a, p, walk.b, q)
        if unlike is None:
            continue
        name = "x" if len(left) == 1 else f"x[{number}]"
        if _received_the_same(walk):
            detail = f"{p.dtype}{p.shape} against {q.dtype}{q.shape}; the model received the same"
            walk.note("input", True, detail=detail)
        else:
            same = False if unlike.known else None
            walk.note("input", same, f"{name}{unlike.suffix}", unlike.detail)
        return
    walk.note("input", True if left else None)


def _received_the_same(walk: Walk) -> bool:
    """Say whether the first layers got the same bits, although the arguments were not the same.

    R's doubles and Python's float32 are the same to Keras, which casts the doubles.
    """
    left, right = walk.left.layers, walk.right.layers
    if not left or not right:
        return _cast_alike(walk)
    if len(left[0].inputs) != len(right[0].inputs):
        return False
    return all(
        elements_same(walk.a, p, walk.b, q)
        for p, q in zip(left[0].inputs, right[0].inputs, strict=True)
    )


def _cast_alike(walk: Walk) -> bool:
    """Say whether inputs of unlike float types are the same bits once they are float32.

    Keras casts floating-point data to ``floatx()`` before a model sees it (``data_adapter`` in
    Keras 2, ``data_adapter_utils`` in Keras 3). Only models that compute in float32 throughout are
    judged so: there ``floatx()`` can be nothing else that matters.
    """
    states = (walk.a.state_of(walk.left), walk.b.state_of(walk.right))
    if not all(state is not None and _all_float32(state) for state in states):
        return False
    try:
        pairs = [
            (walk.a.array(p), walk.b.array(q))
            for p, q in zip(walk.left.inputs, walk.right.inputs, strict=True)
        ]
    except CapsuleError:
        return False
    # A double beyond float32's range becomes infinite, in Keras as here.
    with np.errstate(over="ignore"):
        return all(
            x.shape == y.shape
            and {x.dtype.name, y.dtype.name} <= {"float32", "float64"}
            and same_bits(x.astype(np.float32), y.astype(np.float32))
            for x, y in pairs
        )


def _narrow(x: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    """Return doubles as Keras takes them by itself, in float32."""
    with np.errstate(over="ignore"):
        return x.astype(np.float32) if x.dtype.kind == "f" else x


def _same_values(walk: Walk) -> bool:
    """Say whether the inputs are the same numbers, whatever their types."""
    pairs = zip(walk.left.inputs, walk.right.inputs, strict=False)
    try:
        return all(
            p.shape == q.shape
            and np.array_equal(_narrow(walk.a.array(p)), _narrow(walk.b.array(q)), equal_nan=True)
            for p, q in pairs
        )
    except (CapsuleError, TypeError):
        return False


def _all_float32(state: ModelState) -> bool:
    names = [policy_name(layer.config.get("dtype")) for layer in state.layers]
    return bool(names) and all(name == "float32" for name in names)


def _layers(walk: Walk) -> None:
    """Name the first layer whose output has other bits; what that means, the ladder says."""
    left, right = walk.left.layers, walk.right.layers
    if not left or not right or len(left) != len(right):
        return
    for number, (p, q) in enumerate(zip(left, right, strict=True), start=1):
        for x, y in zip(p.outputs, q.outputs, strict=False):
            unlike = parting(walk.a, x, walk.b, y)
            if unlike is not None:
                where = output_code(p.layer, unlike.suffix)
                walk.note("layer", None, where, f"layer {number}: {unlike.detail}")
                return
    walk.note("layer", True)


def _prediction(walk: Walk, found: Difference) -> None:
    if found.same_bits:
        walk.note("prediction", True)
        return
    suffix, detail = "", "the values agree, the bits do not (signs of zeros, NaN or types)"
    if found.worst:
        worst = found.worst[0]
        suffix = index_code(worst.index)
        detail = f"{found.different} of {found.points} points differ; {worst.a!r} and {worst.b!r}"
    walk.note("prediction", False, result_code(walk.left.kind, suffix), detail)


def _joined(found: Sequence[Difference]) -> Difference:
    """Return one difference that speaks for all outputs of a model."""
    if len(found) == 1:
        return found[0]
    worst = sorted((w for part in found for w in part.worst), key=lambda w: -abs(w.a - w.b))
    return Difference(
        points=sum(part.points for part in found),
        same_bits=all(part.same_bits for part in found),
        different=sum(part.different for part in found),
        max_abs=max(part.max_abs for part in found),
        max_rel=max(part.max_rel for part in found),
        max_ulp=max(part.max_ulp for part in found),
        nan=sum(part.nan for part in found),
        inf=sum(part.inf for part in found),
        nan_in_both=sum(part.nan_in_both for part in found),
        worst=tuple(worst[:5]),
    )


Decision = tuple[Verdict, Rung, str]

#: Ops that carry a layer's weights or shape to it, and compute nothing of their own.
_CARRIERS: Final = frozenset(
    {"ReadVariableOp", "Shape", "ExpandDims", "Pack", "StridedSlice", "Cast"}
)


def compare_probes(
    a: Capsule, b: Capsule, left: Probe, right: Probe, label: str, judge: Judge
) -> ProbePair:
    """Compare a probe of ``a`` with one of ``b``; ``label`` is its name in the result."""
    if "reference" in (a.manifest.runner, b.manifest.runner):
        return _against_reference(Walk(a, b, left, right), label, judge)
    walk = walk_stages(a, b, left, right)
    layers = judge(a, left), judge(b, right)
    decision = _decide(walk, layers)
    if decision[0] in ("within-rounding", "abstained"):
        same = True if decision[0] == "within-rounding" else None
        said = "within the rounding bound" if same else "not decided"
        walk.settle("prediction", same, said)
    beyond = [count for layer in layers if (count := beyond_bound(layer)) is not None]
    return _pair(walk, label, decision, max(beyond, default=None), layers[0] or layers[1])


def _against_reference(walk: Walk, label: str, judge: Judge) -> ProbePair:
    """Compare with a float64 evaluation: the run's own layers decide, each on its own input.

    What has added up along the layers is shown as the difference, but decides nothing.
    """
    swapped = walk.a.manifest.runner == "reference"
    run, probe = (walk.b, walk.right) if swapped else (walk.a, walk.left)
    evaluated = walk.left if swapped else walk.right
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
            evaluation = f"not evaluated from end to end: {evaluated.notes[-1]}"
            decision = (verdict, rung, "; ".join(part for part in (why, evaluation) if part))
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
    for p, q in zip(walk.left.outputs, walk.right.outputs, strict=True):
        x, y = walk.a.array(p), walk.b.array(q)
        exact, rounded = (x, y) if swapped else (y, x)
        with np.errstate(over="ignore", invalid="ignore"):
            if not same_bits(exact.astype(rounded.dtype), rounded):
                return False
    return True


def _decide(walk: Walk, layers: tuple[Sequence[LayerVerdict], Sequence[LayerVerdict]]) -> Decision:
    raised = _raised(walk.left), _raised(walk.right)
    unlike = walk.parted("config", "weights", "input", "arguments")
    if unlike is not None:
        return "different", "bit-equal", f"the {unlike.stage} differs; {_affected(walk)}"
    if raised[0] and raised[0] == raised[1]:
        return "same-error", "bit-equal", f"both {raised[0]}"
    if raised[0] or raised[1]:
        who = walk.a.manifest.runner if raised[0] else walk.b.manifest.runner
        walk.alone = True
        walk.note("prediction", False, result_code(walk.left.kind), f"only {who} {max(raised)}")
        return "different", "bit-equal", f"only {who} {max(raised)}"
    prediction = walk.parted("prediction")
    if walk.difference is None:
        if prediction is not None:
            return "different", "bit-equal", prediction.detail
        return "abstained", "abstained", walk.why
    if prediction is None and walk.parted("training curve") is None:
        return "same-bits", "bit-equal", ""
    if walk.left.kind not in ("predict", "call"):
        parted = walk.parted("training curve", "prediction")
        place = f", first at {parted.where} ({parted.detail})" if parted is not None else ""
        why = f"the results of {walk.left.kind} differ{place}"
        why = f"{why}, and no rule says how far rounding carries in training"
        return "abstained", "abstained", why
    return _both(walk, layers)


def _both(walk: Walk, layers: tuple[Sequence[LayerVerdict], Sequence[LayerVerdict]]) -> Decision:
    """Decide about predictions of one model with other bits: are both right?"""
    runs = walk.a.manifest.runner, walk.b.manifest.runner
    found = [
        _of_run(walk, walk.a, walk.left, layers[0], runs[0]),
        _of_run(walk, walk.b, walk.right, layers[1], runs[1]),
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
    for layer in layers:
        if layer.verdict == "different":
            name = f"{who}, {layer.layer}" if who else layer.layer
            walk.note("layer", False, _place(walk, layer), f"{name}: {layer.why}")
            return "different", layer.rung, f"layer {layer.layer}: {layer.why}"
    for layer in layers:
        if layer.verdict == "abstained":
            named = f" ({layer.cls.rpartition('.')[2]})" if layer.cls else ""
            return "abstained", "abstained", f"layer {layer.layer}{named}: {layer.why}"
    rounded = [layer for layer in layers if layer.verdict == "within-rounding"]
    if not rounded:
        return "same-bits", "bit-equal", ""
    weakest = max(rounded, key=lambda layer: RUNGS.index(layer.rung))
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
        return result_code(walk.left.kind, suffix)
    return output_code(verdict.layer, suffix)


def _pair(
    walk: Walk,
    label: str,
    decision: Decision,
    beyond: int | None,
    layers: tuple[LayerVerdict, ...],
) -> ProbePair:
    verdict, rung, detail = decision
    graphs = _executed_detail(walk.left, walk.right)
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
        executed=(_executed(walk.left), _executed(walk.right)),
        alone=walk.alone,
        predicts=walk.left.kind not in WITH_TARGETS,
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


def _executed_detail(left: Probe, right: Probe) -> str:
    if left.executed is None or right.executed is None:
        return ""
    p, q = left.executed.fingerprint(), right.executed.fingerprint()
    unlike = [
        f"{op} {p.get(op, 0)} against {q.get(op, 0)}"
        for op in sorted({*p, *q})
        if p.get(op, 0) != q.get(op, 0)
    ]
    return f"the executed graphs differ: {', '.join(unlike[:3])}" if unlike else ""
