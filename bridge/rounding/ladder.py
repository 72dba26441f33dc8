"""The ladder: what decides whether a layer's output is right, strongest first.

A layer is judged on the input that it really received. Each rung looks at the case and either
decides or passes it on; the verdict names the rung that decided. No tolerance is set by hand: a
rung decides by bits, by a bound that follows from the arithmetic of the layer, or by what rounding
did to the same layer in repeated runs.

Two rungs are not of layers: ``exact-probe`` (:mod:`bridge.exact`) asks a model other questions than
the script did, and ``probabilistic`` (:mod:`bridge.rounding.probabilistic_rung`) speaks of a model
from end to end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import numpy as np

from bridge._typing import F64, AnyArray
from bridge.compare.result import LayerVerdict, Rung, Verdict
from bridge.rounding.elementwise import WORST, Marks
from bridge.rounding.rules import Layer, UnsupportedError, evaluate_chain
from bridge.rounding.rules.rounding import FORMATS
from bridge.rounding.stochastic_rung import Spread


@dataclass(frozen=True)
class Case:
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
            each for place, each in enumerate(evaluations) if place not in self.unseen
        )
        if len(evaluations) != len(self.outputs):
            return f"it has {len(self.outputs)} outputs; its rule gives {len(evaluations)}"
        pairs = tuple(zip(self.outputs, evaluations, strict=True))
        found = tuple(Marks(y, each) for y, each in pairs)
        unfit = next((why for each in found if (why := each.unfit() or self._lowered(each))), None)
        return unfit or found

    def _lowered(self, marks: Marks) -> str:
        """Say that an output is of another type than its layer computes in, or nothing.

        Set beside a value that was rounded to its own type, it would seem right.
        """
        made, meant = marks.y.dtype.name, (self.then or (self.layer,))[-1].compute_dtype
        if made not in FORMATS or meant not in FORMATS or made == meant:
            return ""
        return f"its output is {made}, and it computes in {meant}"

    @property
    def points(self) -> int:
        """The number of elements of the outputs."""
        return sum(y.size for y in self.outputs)


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
        worst=tuple(one for marks in case.marks for one in marks.worst())[:WORST],
        why=why,
    )


def stochastic(case: Case) -> LayerVerdict | None:
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


def abstain(case: Case) -> LayerVerdict | None:
    """Say why nothing can be said."""
    if isinstance(case.marks, str):
        why = "; ".join(part for part in (case.marks, case.why_no_spread) if part)
    else:
        count = sum(int(marks.undecided.sum()) for marks in case.marks)
        reason = next((m.why_undecided() for m in case.marks if m.undecided.any()), "")
        why = f"{count} of {case.points} outputs {reason}"
    return _verdict(case, "abstained", "abstained", why)


#: The rungs in the order in which they are asked.
LADDER: Final[tuple[Step, ...]] = (bit_equal, certified, stochastic, abstain)


def judge_case(case: Case, ladder: Sequence[Step] = LADDER) -> LayerVerdict:
    """Judge a layer; the first rung that decides speaks."""
    for step in ladder:
        verdict = step(case)
        if verdict is not None:
            return verdict
    return _verdict(case, "abstained", "abstained", "no rung of the ladder applies")


def _verdict(case: Case, verdict: Verdict, rung: Rung, why: str = "") -> LayerVerdict:
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
