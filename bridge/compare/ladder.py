"""The ladder: what decides whether a layer's output is right, strongest first.

A layer is judged on the input that it really received. Each rung looks at the case and either
decides or passes it on; the verdict names the rung that decided. No tolerance is set by hand: a
rung decides by bits, or by a bound that follows from the arithmetic of the layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import numpy as np

from bridge.capsule import Capsule, CapsuleError, LayerOutput, ModelState, Probe
from bridge.compare.numbers import F64, AnyArray, Mask, same_bits, words
from bridge.compare.result import LayerVerdict, Rung, Verdict, Worst
from bridge.compare.rules import Evaluation, Layer, UnsupportedError, evaluate, layer_of
from bridge.compare.rules.rounding import OVERFLOW, ulp32
from bridge.compare.wiring import conform, input_shapes, output_names

#: The name under which the model's own output is judged.
PREDICTION: Final = "prediction"
_WORST: Final = 3


@dataclass(frozen=True)
class Case:
    """A layer with what it received and what it made."""

    layer: Layer
    inputs: tuple[AnyArray, ...]
    outputs: tuple[AnyArray, ...]

    @cached_property
    def marks(self) -> tuple[Marks, ...] | str:
        """Each output beside its float64 evaluation, or the sentence that says why not."""
        try:
            evaluations = evaluate(self.layer, self.inputs)
        except UnsupportedError as error:
            return str(error)
        if len(evaluations) != len(self.outputs):
            return f"it has {len(self.outputs)} outputs; its rule gives {len(evaluations)}"
        pairs = tuple(zip(self.outputs, evaluations, strict=True))
        unfit = next((why for y, each in pairs if (why := _unfit(y, each))), None)
        return unfit or tuple(Marks(y, each) for y, each in pairs)

    @property
    def points(self) -> int:
        """The number of elements of the outputs."""
        return sum(y.size for y in self.outputs)


@dataclass(frozen=True)
class Marks:
    """One output beside its evaluation, element by element."""

    y: AnyArray
    evaluation: Evaluation

    @cached_property
    def same(self) -> Mask:
        """Where the evaluation, rounded to the output's type, has the output's bits."""
        value = self.evaluation.value
        if self.y.dtype.kind in "biu":
            return np.asarray(value == self.y)
        with np.errstate(over="ignore", invalid="ignore"):
            rounded = np.ascontiguousarray(value.astype(self.y.dtype))
        equal = words(np.ascontiguousarray(self.y)) == words(rounded)
        return np.asarray(equal | (np.isnan(self.y) & np.isnan(rounded)))

    @cached_property
    def error(self) -> F64:
        """|y - value|; NaN where either is."""
        with np.errstate(all="ignore"):
            gap: F64 = np.abs(self.y.astype(np.float64) - self.evaluation.value.astype(np.float64))
        return gap

    @cached_property
    def inside(self) -> Mask:
        """Where rounding explains the output: the same bits, or an error within the bound."""
        bound = self.evaluation.bound
        with np.errstate(all="ignore"):
            value = self.evaluation.value.astype(np.float64)
            y = self.y.astype(np.float64)
            overflow = np.isinf(y) & (np.sign(y) * value + bound >= OVERFLOW)
            return np.asarray(self.same | (np.isfinite(bound) & ((self.error <= bound) | overflow)))

    @cached_property
    def undecided(self) -> Mask:
        """Where the bits differ and no bound holds, or one that may be a little too small."""
        return ~self.inside & (~np.isfinite(self.evaluation.bound) | self._missed)

    @cached_property
    def _missed(self) -> Mask:
        """Where the bound would hold if it were as much larger as a sample may have missed."""
        if self.evaluation.missed == 1.0:
            return np.zeros(self.y.shape, np.bool_)
        wide = Evaluation(
            self.evaluation.value, lambda: self.evaluation.bound * self.evaluation.missed
        )
        return Marks(self.y, wide).inside

    def why_undecided(self) -> str:
        """Say why the elements that are undecided are."""
        if bool((self.undecided & ~np.isfinite(self.evaluation.bound)).any()):
            return "are not finite, or may overflow in some order of summation"
        return (
            f"are just beyond a bound that rests on a sample of {self.evaluation.sampled}; where "
            f"all inputs were tried, a sample was up to {self.evaluation.missed:.3g} times too low"
        )

    @cached_property
    def ratio(self) -> F64:
        """Error over bound; 0 for the same bits, infinite where only one side is a number."""
        with np.errstate(all="ignore"):
            ratio = np.where(self.error > 0.0, self.error / self.evaluation.bound, 0.0)
        ratio = np.where(np.isnan(self.error) | np.isnan(ratio), np.inf, ratio)
        return np.where(self.same | self.undecided, 0.0, ratio)

    def worst(self) -> list[Worst]:
        """List the elements of the largest ratios."""
        flat = np.where(self.same | self.undecided, -1.0, self.ratio).ravel()
        order = np.argsort(-flat, kind="stable")[:_WORST]
        unit = ulp32(np.asarray(self.evaluation.value, np.float64).ravel()[order])
        return [
            Worst(
                index=tuple(int(part) for part in np.unravel_index(place, self.y.shape)),
                a=float(self.y.ravel()[place]),
                b=float(self.evaluation.value.ravel()[place]),
                ulp=float(np.nan_to_num(self.error.ravel()[place] / step, nan=np.inf)),
            )
            for place, step in zip(order.tolist(), unit.tolist(), strict=True)
            if flat[place] >= 0.0
        ]


class Step(Protocol):
    """A rung of the ladder."""

    def __call__(self, case: Case) -> LayerVerdict | None:
        """Decide, or return None to pass the case on."""


def bit_equal(case: Case) -> LayerVerdict | None:
    """Decide that nothing was rounded but the result: float64 rounded once gives these bits."""
    if isinstance(case.marks, str) or not all(marks.same.all() for marks in case.marks):
        return None
    error = max((_largest(marks.error) for marks in case.marks), default=0.0)
    return _verdict(case, "same-bits", "bit-equal").model_copy(update={"error": error})


def certified(case: Case) -> LayerVerdict | None:
    """Decide by the componentwise bound; pass on where rounding may decide about a number or none.

    One element beyond its bound is enough: no order of summation can have made it.
    """
    if isinstance(case.marks, str):
        return None
    beyond = sum(int((~marks.inside & ~marks.undecided).sum()) for marks in case.marks)
    undecided = sum(int(marks.undecided.sum()) for marks in case.marks)
    if undecided and not beyond:
        return None
    why = f"{beyond} of {case.points} outputs are beyond what rounding can do" if beyond else ""
    return LayerVerdict(
        layer=case.layer.name,
        cls=case.layer.cls,
        verdict="different" if beyond else "within-rounding",
        rung="certified",
        points=case.points,
        beyond_bound=beyond,
        error=max((_largest(marks.error) for marks in case.marks), default=0.0),
        bound=max((_largest(marks.evaluation.bound) for marks in case.marks), default=0.0),
        max_ratio=max((_largest(marks.ratio) for marks in case.marks), default=0.0),
        worst=tuple(one for marks in case.marks for one in marks.worst())[:_WORST],
        why=why,
    )


def abstain(case: Case) -> LayerVerdict | None:
    """Say why nothing can be said."""
    if isinstance(case.marks, str):
        why = case.marks
    else:
        count = sum(int(marks.undecided.sum()) for marks in case.marks)
        reason = next((m.why_undecided() for m in case.marks if m.undecided.any()), "")
        why = f"{count} of {case.points} outputs {reason}"
    return _verdict(case, "abstained", "abstained", why)


#: The rungs in the order in which they are asked.
LADDER: Final[tuple[Step, ...]] = (bit_equal, certified, abstain)


def judge_layer(
    layer: Layer,
    inputs: Sequence[AnyArray],
    outputs: Sequence[AnyArray],
    ladder: Sequence[Step] = LADDER,
) -> LayerVerdict:
    """Judge a layer on the inputs that it received and the outputs that it made."""
    case = Case(layer, tuple(inputs), tuple(outputs))
    for step in ladder:
        verdict = step(case)
        if verdict is not None:
            return verdict
    return _verdict(case, "abstained", "abstained", "no rung of the ladder applies")


def judge_probe(
    capsule: Capsule, probe: Probe, ladder: Sequence[Step] = LADDER
) -> tuple[LayerVerdict, ...]:
    """Judge every layer of a probe, and the model's own output as what its last layer made.

    The last verdict, named "prediction", says whether the probe's output is the last layer's, bit
    for bit or within that layer's bound. Nothing is returned where no layers were recorded.
    """
    if probe.state is None or not 0 <= probe.state < len(capsule.manifest.states):
        return ()
    if not probe.layers:
        return ()
    state = capsule.manifest.states[probe.state]
    known = [_Known(capsule, probe, state, output) for output in probe.layers]
    verdicts = [each.judge(ladder) for each in known]
    return (*verdicts, *_prediction(capsule, probe, state, known, verdicts, ladder))


@dataclass(frozen=True)
class _Known:
    """A layer of a probe, as recorded."""

    capsule: Capsule
    probe: Probe
    state: ModelState
    record: LayerOutput

    @cached_property
    def parts(self) -> tuple[Layer, tuple[AnyArray, ...], tuple[AnyArray, ...]] | str:
        """The layer with its inputs and outputs, or the sentence that says what is missing."""
        found = [layer for layer in self.state.layers if layer.name == self.record.layer]
        if len(found) != 1:
            return "its configuration was not recorded"
        try:
            training = self.probe.kind in ("fit", "train")
            layer = layer_of(self.capsule, self.state, found[0], training)
            inputs = [self.capsule.array(ref) for ref in self.record.inputs]
            outputs = tuple(self.capsule.array(ref) for ref in self.record.outputs)
        except CapsuleError as error:
            return str(error)
        made = {output.layer for output in self.probe.layers}
        shapes = input_shapes(self.state)
        if len(shapes) == 1 and not made.intersection(ref.name for ref in self.record.inputs):
            inputs = [conform(x, shapes[0]) for x in inputs]
        return layer, tuple(inputs), outputs

    def judge(self, ladder: Sequence[Step]) -> LayerVerdict:
        if isinstance(self.parts, str):
            return _missing(self.record.layer, self.parts)
        layer, inputs, outputs = self.parts
        return judge_layer(layer, inputs, outputs, ladder)


def _prediction(
    capsule: Capsule,
    probe: Probe,
    state: ModelState,
    known: Sequence[_Known],
    verdicts: Sequence[LayerVerdict],
    ladder: Sequence[Step],
) -> tuple[LayerVerdict, ...]:
    if not probe.outputs:
        return ()
    by_name = {each.record.layer: number for number, each in enumerate(known)}
    places = [by_name[name] for name in output_names(state) if name in by_name]
    if len(places) != len(probe.outputs):
        return (_missing(PREDICTION, "which layers made it was not recorded"),)
    found: list[LayerVerdict] = []
    for place, ref in zip(places, probe.outputs, strict=True):
        parts = known[place].parts
        try:
            y = capsule.array(ref)
        except CapsuleError as error:
            found.append(_missing(PREDICTION, str(error)))
            continue
        if isinstance(parts, str):
            found.append(_missing(PREDICTION, parts))
        elif len(parts[2]) == 1 and same_bits(parts[2][0], y):
            found.append(verdicts[place])
        else:
            found.append(judge_layer(parts[0], parts[1], [y], ladder))
    return tuple(each.model_copy(update={"layer": PREDICTION}) for each in found)


def _unfit(y: AnyArray, evaluation: Evaluation) -> str:
    """Say why an output cannot be set beside its evaluation, or nothing."""
    if y.shape != evaluation.value.shape:
        return f"its output has shape {y.shape}; its rule gives {evaluation.value.shape}"
    if evaluation.derive is not None and y.dtype != np.float32:
        return f"its output is {y.dtype.name}; only float32 has a rule"
    return ""


def _verdict(case: Case, verdict: Verdict, rung: Rung, why: str = "") -> LayerVerdict:
    return LayerVerdict(
        layer=case.layer.name,
        cls=case.layer.cls,
        verdict=verdict,
        rung=rung,
        points=case.points,
        why=why,
    )


def _missing(name: str, why: str) -> LayerVerdict:
    return LayerVerdict(layer=name, cls="", verdict="abstained", rung="abstained", why=why)


def _largest(values: F64) -> float:
    """Return the largest finite value or infinity; NaN and nothing count as 0."""
    return float(np.nan_to_num(values, nan=0.0, posinf=np.inf).max(initial=0.0))
