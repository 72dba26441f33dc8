"""The ladder: what decides whether a layer's output is right, strongest first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import numpy as np

from bridge._typing import F64, AnyArray, Mask
from bridge.capsule.numbers import words
from bridge.compare.result import LayerVerdict, Rung, Verdict, Worst
from bridge.rounding.rules import Evaluation, Layer, UnsupportedError, evaluate_chain
from bridge.rounding.rules.rounding import FLOAT32, FORMATS, Format

#: How many elements a verdict lists.
WORST: Final = 3


@dataclass(frozen=True)
class Marks:
    """One output beside its evaluation, element by element."""

    y: AnyArray
    evaluation: Evaluation

    @property
    def format(self) -> Format:
        """The type of the output; of integers and others, float32."""
        return FORMATS.get(self.y.dtype.name, FLOAT32)

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
            overflow = np.isinf(y) & (np.sign(y) * value + bound >= self.format.overflow)
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
        if np.isinf(self.evaluation.missed):
            return np.ones(self.y.shape, np.bool_)
        wide = Evaluation(
            self.evaluation.value, lambda: self.evaluation.bound * self.evaluation.missed
        )
        return Marks(self.y, wide).inside

    def unfit(self) -> str:
        """Say why the output cannot be set beside its evaluation, or nothing."""
        if self.y.shape != self.evaluation.value.shape:
            return (
                f"its output has shape {self.y.shape}; its rule gives {self.evaluation.value.shape}"
            )
        if self.evaluation.derive is not None and self.y.dtype.name not in FORMATS:
            return f"its output is {self.y.dtype.name}; rules are for {', '.join(FORMATS)}"
        return ""

    def why_undecided(self) -> str:
        """Say why the elements that are undecided are."""
        if bool((self.undecided & ~np.isfinite(self.evaluation.bound)).any()):
            return "are not finite, or may overflow in some order of summation"
        if self.evaluation.doubt:
            return f"are beyond what rounding in float32 can do, but {self.evaluation.doubt}"
        if np.isinf(self.evaluation.missed):
            return (
                f"are beyond a bound that rests on the kernels of {self.evaluation.sampled}, which "
                "were not measured on the installation that ran it"
            )
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
        order = np.argsort(-flat, kind="stable")[:WORST]
        unit = self.format.ulp(np.asarray(self.evaluation.value, np.float64).ravel()[order])
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


# What rounding did to a layer in repeated runs: the yardstick for layers without a rule.

#: The probability, over all elements together, with which rounding may be judged wrongly: as the
#: reason for a difference, or as none.
CHANCE: Final = 1e-9


@dataclass(frozen=True)
class SpreadJudgement:
    """What the spread says of a result; ``ratio`` is its statistic over the runs' largest."""

    verdict: Verdict
    why: str
    ratio: float
    error: float
    beyond: int
    worst: tuple[Worst, ...]


@dataclass(frozen=True)
class Spread:
    """The float64 result, the scale of the runs' deviations from it, and each run's statistic.

    ``exact`` and ``scale`` have the shape of the output, or of its first rows.
    """

    exact: F64
    scale: F64
    statistics: tuple[float, ...]

    def judge(self, y: AnyArray) -> SpreadJudgement:
        """Judge the output of the layer on the unmoved arguments."""
        fmt = FORMATS[y.dtype.name]
        y = y[: len(self.exact)] if self.exact.ndim else y
        most, runs = max(self.statistics, default=0.0), len(self.statistics)
        with np.errstate(all="ignore"):
            error = np.abs(y.astype(np.float64) - self.exact)
            ratio = np.where(error == 0.0, 0.0, error / self.scale)
            alike = (np.isnan(y) & np.isnan(self.exact)) | (y.astype(np.float64) == self.exact)
        ratio = np.where(alike, 0.0, np.where(np.isnan(ratio), np.inf, ratio))
        largest = float(ratio.max(initial=0.0))
        order = np.argsort(-ratio.ravel(), kind="stable")[:WORST]
        unit = fmt.ulp(self.exact.ravel()[order])
        worst = tuple(
            Worst(
                index=tuple(int(part) for part in np.unravel_index(place, y.shape)),
                a=float(y.ravel()[place]),
                b=float(self.exact.ravel()[place]),
                ulp=float(np.nan_to_num(error.ravel()[place] / step, nan=np.inf)),
            )
            for place, step in zip(order.tolist(), unit.tolist(), strict=True)
        )
        finite = error[np.isfinite(error)]

        def finding(verdict: Verdict, why: str) -> SpreadJudgement:
            return SpreadJudgement(
                verdict,
                why,
                largest / most if most > 0.0 else float(largest > 0.0),
                float(finite.max(initial=0.0)),
                int((ratio > most).sum()),
                worst,
            )

        if largest <= most:
            return finding("within-rounding", f"no further from float64 than {runs} perturbed runs")
        chance = tail(largest, self.statistics)
        if chance < CHANCE:
            much = f"{largest / most:.3g} times" if most > 0.0 and math.isfinite(largest) else "far"
            return finding(
                "different",
                f"{much} as far from float64 as any of {runs} perturbed runs; rounding does that "
                f"with a probability below {CHANCE:g}",
            )
        return finding(
            "abstained",
            f"further from float64 than {runs} perturbed runs, but not so far that it cannot be "
            f"rounding (probability {chance:.1g})",
        )


def tail(largest: float, statistics: tuple[float, ...]) -> float:
    """Bound the probability that a further run has a statistic of at least ``largest``.

    The logarithms are taken as normal, so that a further one, standardised by the mean and the
    deviation of the sample, follows Student's t. Its tail is bounded by
    C (1 / t) (v / (v - 1)) (1 + t^2 / v)^(-(v - 1) / 2), which follows from x >= t under the
    integral. 1 is returned where a sample says nothing.
    """
    logs = [math.log(statistic) for statistic in statistics if 0.0 < statistic < math.inf]
    degrees = len(logs) - 1
    if degrees < 7 or len(logs) < len(statistics):
        return 1.0
    if math.isinf(largest):
        return 0.0
    mean = math.fsum(logs) / len(logs)
    deviation = math.sqrt(math.fsum((log - mean) ** 2 for log in logs) / degrees)
    away = math.log(largest) - mean
    if deviation == 0.0:
        return 1.0
    t = away / (deviation * math.sqrt(1.0 + 1.0 / len(logs)))
    if t <= 1.0:
        return 1.0
    log_c = (
        math.lgamma((degrees + 1) / 2)
        - math.lgamma(degrees / 2)
        - 0.5 * math.log(degrees * math.pi)
    )
    log_tail = (
        log_c
        - math.log(t)
        + math.log(degrees / (degrees - 1))
        - 0.5 * (degrees - 1) * math.log1p(t * t / degrees)
    )
    return min(1.0, math.exp(log_tail))


# The ladder: what decides whether a layer's output is right, strongest first.


@dataclass(frozen=True)
class LayerCase:
    """A layer with what it received and what it made.

    ``then`` are layers that were executed in one with it, whose outputs could not be seen without
    changing that: what was made is the last one's output. ``spread`` says what rounding did to the
    layer in repeated runs, for layers without a rule; ``why_no_spread`` why that is not known.
    ``unseen`` are the places of outputs that nobody used, so that they were never made; ``outputs``
    lacks them.
    """

    layer: Layer
    inputs: tuple[AnyArray, ...]
    outputs: tuple[AnyArray, ...]
    then: tuple[Layer, ...] = ()
    spread: Spread | None = None
    why_no_spread: str = ""
    unseen: frozenset[int] = frozenset()

    @cached_property
    def marks(self) -> tuple[Marks, ...] | str:
        """Each output beside its float64 evaluation, or the sentence that says why not."""
        try:
            evaluations = evaluate_chain(
                (self.layer, *self.then),
                self.inputs,
                outputs=None if self.unseen else self.outputs,
            )
        except UnsupportedError as error:
            return str(error)
        evaluations = tuple(
            evaluation for place, evaluation in enumerate(evaluations) if place not in self.unseen
        )
        if len(evaluations) != len(self.outputs):
            return f"it has {len(self.outputs)} outputs; its rule gives {len(evaluations)}"
        pairs = tuple(zip(self.outputs, evaluations, strict=True))
        found = tuple(Marks(y, evaluation) for y, evaluation in pairs)
        unfit = next((why for mark in found if (why := mark.unfit() or self._lowered(mark))), None)
        return unfit or found

    def _lowered(self, marks: Marks) -> str:
        """Say that an output is of another type than its layer computes in, or nothing.

        Set beside a value that was rounded to its own type, it would seem right.
        """
        dtype, meant = marks.y.dtype.name, (self.then or (self.layer,))[-1].compute_dtype
        if dtype not in FORMATS or meant not in FORMATS or dtype == meant:
            return ""
        return f"its output is {dtype}, and it computes in {meant}"

    @property
    def points(self) -> int:
        """The number of elements of the outputs."""
        return sum(y.size for y in self.outputs)


class LadderStep(Protocol):
    """A rung of the ladder."""

    def __call__(self, case: LayerCase) -> LayerVerdict | None:
        """Decide, or return None to pass the case on."""


def bit_equal(case: LayerCase) -> LayerVerdict | None:
    """Decide that nothing was rounded but the result: float64 rounded once gives these bits."""
    if isinstance(case.marks, str) or not all(marks.same.all() for marks in case.marks):
        return None
    error = max((_largest(marks.error) for marks in case.marks), default=0.0)
    return _verdict(case, "same-bits", "bit-equal").model_copy(update={"error": error})


def certified(case: LayerCase) -> LayerVerdict | None:
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
        worst=tuple(element for marks in case.marks for element in marks.worst())[:WORST],
        why=why,
    )


def stochastic(case: LayerCase) -> LayerVerdict | None:
    """Decide by how far repeated runs with perturbed arguments were from float64.

    Only where there is no rule: a bound that says nothing about an element is not overruled.
    """
    if not isinstance(case.marks, str) or case.spread is None or len(case.outputs) != 1:
        return None
    y = case.outputs[0]
    if y.dtype.name not in FORMATS or y.shape[1:] != case.spread.exact.shape[1:]:
        return None
    found = case.spread.judge(y)
    return LayerVerdict(
        layer=case.layer.name,
        cls=case.layer.cls,
        verdict=found.verdict,
        rung="abstained" if found.verdict == "abstained" else "stochastic",
        points=case.points,
        beyond_bound=found.beyond if found.verdict == "different" else 0,
        error=found.error,
        max_ratio=found.ratio,
        worst=found.worst,
        why=f"{case.marks}; {found.why}",
    )


def abstain(case: LayerCase) -> LayerVerdict | None:
    """Say why nothing can be said."""
    if isinstance(case.marks, str):
        why = "; ".join(part for part in (case.marks, case.why_no_spread) if part)
    else:
        count = sum(int(marks.undecided.sum()) for marks in case.marks)
        reason = next((m.why_undecided() for m in case.marks if m.undecided.any()), "")
        why = f"{count} of {case.points} outputs {reason}"
    return _verdict(case, "abstained", "abstained", why)


#: The rungs in the order in which they are asked.
LADDER: Final[tuple[LadderStep, ...]] = (bit_equal, certified, stochastic, abstain)


def judge_case(case: LayerCase, ladder: Sequence[LadderStep] = LADDER) -> LayerVerdict:
    """Judge a layer; the first rung that decides speaks."""
    for step in ladder:
        verdict = step(case)
        if verdict is not None:
            return verdict
    return _verdict(case, "abstained", "abstained", "no rung of the ladder applies")


def _verdict(case: LayerCase, verdict: Verdict, rung: Rung, why: str = "") -> LayerVerdict:
    return LayerVerdict(
        layer=case.layer.name,
        cls=case.layer.cls,
        verdict=verdict,
        rung=rung,
        points=case.points,
        why=why,
    )


def _largest(values: F64) -> float:
    """Return the largest finite value or infinity; NaN and nothing count as 0."""
    return float(np.nan_to_num(values, nan=0.0, posinf=np.inf).max(initial=0.0))
