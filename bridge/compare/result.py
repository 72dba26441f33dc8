"""What a comparison found, as data. Every number that a report prints is in one of these."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import ConfigDict

from bridge.capsule.values import Frozen

Verdict = Literal["same-bits", "within-rounding", "different", "same-error", "failed", "abstained"]

Stage = Literal[
    "text", "arguments", "config", "weights", "input", "layer", "prediction", "training curve"
]

Rung = Literal["bit-equal", "exact-probe", "certified", "probabilistic", "stochastic", "abstained"]

#: The rungs of the ladder, strongest first.
RUNGS: Final[tuple[Rung, ...]] = (
    "bit-equal",
    "exact-probe",
    "certified",
    "probabilistic",
    "stochastic",
    "abstained",
)

#: Worst first: the order in which verdicts are listed, and the one that speaks for many.
SEVERITY: tuple[Verdict, ...] = (
    "failed",
    "different",
    "abstained",
    "within-rounding",
    "same-error",
    "same-bits",
)


class Result(Frozen):
    """Base of every result: NaN and the infinities are written to JSON as strings and read back."""

    model_config = ConfigDict(ser_json_inf_nan="strings")


class Worst(Result):
    """One element at which two arrays differ most: its index, both values, the gap in ULPs.

    The gap is infinite where only one side is finite. In a :class:`LayerVerdict`, ``a`` is what
    the layer returned and ``b`` its float64 evaluation.
    """

    index: tuple[int, ...]
    a: float
    b: float
    ulp: float


class Difference(Result):
    """How two arrays of one shape differ, element by element; NaN and Inf are counted apart.

    ``points`` counts elements, ``different`` those whose values differ (a NaN equals a NaN).
    ``max_abs``, ``max_rel`` (relative to ``|b|``, infinite where b is 0) and ``max_ulp`` are over
    the pairs that are both finite. ULPs are the steps between two numbers of one type; for two
    types, |a - b| in units in the last place of the coarser type at the larger magnitude.
    ``nan`` and ``inf`` count elements at which exactly one side is NaN, or the infinities differ.
    """

    points: int
    same_bits: bool
    different: int = 0
    max_abs: float = 0.0
    max_rel: float = 0.0
    max_ulp: float = 0.0
    nan: int = 0
    inf: int = 0
    nan_in_both: int = 0
    worst: tuple[Worst, ...] = ()


class LayerVerdict(Result):
    """One layer of one run, judged on the input that it really received.

    ``max_ratio`` is the largest |float32 - float64| / bound over the layer's outputs (at most 1
    inside the bound); ``bound`` is the largest bound, ``error`` the largest error. ``layer`` is
    "prediction" for the model's own output, judged as what its last layer made.
    """

    layer: str
    cls: str
    verdict: Verdict
    rung: Rung
    points: int = 0
    beyond_bound: int = 0
    error: float = 0.0
    bound: float = 0.0
    max_ratio: float = 0.0
    worst: tuple[Worst, ...] = ()
    why: str = ""


class StageResult(Result):
    """One stage of one pair of probes; ``where`` is runnable code that leads to the place."""

    stage: Stage
    same: bool | None
    where: str = ""
    detail: str = ""


class ProbePair(Result):
    """One probe as two runs made it; ``alone`` says that one of them alone got a result there."""

    a: str
    b: str
    probe: str
    verdict: Verdict
    rung: Rung
    points: int
    difference: Difference | None
    beyond_bound: int | None = None
    stages: tuple[StageResult, ...] = ()
    layers: tuple[LayerVerdict, ...] = ()
    executed: tuple[str, str] = ("", "")
    alone: bool = False
    detail: str = ""


class Divergence(Result):
    """Where two runs first part: the stage, and runnable code that leads to the place."""

    stage: Stage
    where: str
    detail: str = ""


class RunPair(Result):
    """Two runs compared: every probe, and the first place at which they part.

    ``alone`` says that there one of them was refused and the other was not. ``answers`` counts the
    numbers and texts that came back to the script and were compared.
    """

    a: str
    b: str
    verdict: Verdict
    first_divergence: Divergence | None
    probes: tuple[ProbePair, ...]
    answers: int = 0
    alone: bool = False
    detail: str = ""
