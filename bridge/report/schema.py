"""``report.json``, schema 1: the single source of every number in the HTML and the Markdown.

``pairs`` has one entry for each probe of each pair of runs. The keys named in the project's
contract are stable; further keys may be added.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from bridge.capsule import Environment, ErrorRecord, FrontEnd
from bridge.cases.claims import Holds
from bridge.compare.result import (
    Divergence,
    LayerVerdict,
    Rung,
    StageResult,
    Verdict,
    Worst,
)
from bridge.errors import InternalError
from bridge.exact.records import ExactResult
from bridge.explain.result import (
    Collapse,
    Confidence,
    Hypothesis,
    LeverOutcome,
    ResponseShape,
    SelftestScore,
    SymptomTable,
    UnitCensus,
    Upstream,
)
from bridge.rules.rule import Finding


class _Model(BaseModel):
    # NaN and infinities are words in JSON, or they would come back as nothing.
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        ser_json_inf_nan="strings",
        use_attribute_docstrings=True,
    )


class Pair(_Model):
    """One probe of one pair of runs."""

    a: str
    b: str
    probe: str
    verdict: Verdict
    rung: Rung
    points: int
    max_abs: float | None = None
    max_rel: float | None = None
    max_ulp: float | None = None
    different: int | None = None
    nan: int = 0
    inf: int = 0
    beyond_bound: int | None = None
    worst: tuple[Worst, ...] = ()
    stages: tuple[StageResult, ...] = ()
    layers: tuple[LayerVerdict, ...] = ()
    detail: str = ""


class Claim(_Model):
    """A sentence that somebody wrote, and what a computation says of it.

    ``holds`` is None both for what holds in part and for what is undecided; ``verdict`` tells
    these apart. ``number`` is the one that decides, ``interval`` its confidence interval where
    chance is involved. ``said_by`` says who would say it, ``source`` where it stands.
    """

    claim: str
    holds: bool | None
    evidence: str
    source: str = ""
    said_by: str = ""
    verdict: Holds | None = None
    number: float | None = None
    interval: tuple[float, float] | None = None
    seconds: float | None = None


class ExperimentRow(_Model):
    """An experiment: what was run again, what was changed, what is expected, what came out.

    ``made`` is false where it could not be made; ``outcome`` says why then.
    """

    kind: str
    changed: str
    expected: str
    outcome: str
    made: bool = True
    seconds: float = 0.0


class RunSummary(_Model):
    """One run behind the report."""

    runner: str
    status: str
    keras: str = ""
    error: ErrorRecord | None = None
    sentence: str = ""
    seconds: float = 0.0
    peak_mib: float = 0.0
    capsule: str = ""


class Execution(_Model):
    """What was executed for one probe, by run: the ops that carry layers, and all ops counted."""

    probe: str
    run: str
    ops: tuple[str, ...]
    fingerprint: dict[str, int] = Field(default_factory=dict)
    unchanged_by_looking: bool | None = None


class SourceLine(_Model):
    """A line of the R script, the Python calls that it made, and what it printed."""

    number: int
    text: str
    calls: tuple[str, ...] = ()
    output: str = ""
    warnings: tuple[str, ...] = ()


class Picture(_Model):
    """A picture in the case's folder; ``kind`` says who drew it."""

    file: str
    title: str
    kind: Literal["r-plot", "overlay", "difference", "other"]
    alt: str = ""


class Expected(_Model):
    """What the script's header expects, and whether it was so."""

    verdict: str = ""
    cause: str = ""
    met: bool = True


class CaseReport(_Model):
    """All that is known about one case."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    case: str
    """The name of the script, without its ending."""
    title: str = ""
    """What the header says that it is about."""
    script: str
    """The name of the script's file."""
    frontend: FrontEnd
    """Who answered ``library(keras)``."""
    environment: Environment
    """The machine and the versions that it ran with."""
    verdict: Verdict
    """Whether the runs agree."""
    cause: str
    """Why something surprises; from the closed list."""
    sentence: str
    """The headline of the first finding, for readers."""
    explanation: tuple[str, ...] = ()
    """The answer and what stands beside it, in sentences for readers."""
    unexplained: tuple[str, ...] = ()
    """What the cause leaves open, for readers."""
    findings: tuple[Finding, ...] = ()
    """What was found, the most important first."""
    first_divergence: Divergence | None = None
    """Where the first pair of runs that part does so."""
    expected: Expected | None = None
    """What the header expects, and whether it was so; null where it does not say."""
    stages: tuple[StageResult, ...] = ()
    """The stages at which the runs were compared."""
    pairs: tuple[Pair, ...] = ()
    """One entry for each probe of each pair of runs."""
    exact: ExactResult | None = None
    """What probes with whole numbers found, where they were made."""
    claims: tuple[Claim, ...] = ()
    """The sentences that a twin decides."""
    hypotheses: tuple[Hypothesis, ...] = ()
    """The causes that were weighed."""
    levers: tuple[LeverOutcome, ...] = ()
    """The switches that were pulled, and what came of each."""
    experiments: tuple[ExperimentRow, ...] = ()
    """What was changed and run again for the rules."""
    confidence: Confidence = ""
    """How sure the lever search is of the cause; empty where it named none."""
    evidence_for: tuple[str, ...] = ()
    """What speaks for the cause, for readers."""
    evidence_against: tuple[str, ...] = ()
    """What speaks against it, for readers."""
    symptoms: SymptomTable | None = None
    """What was reported, set against every fault."""
    shapes: tuple[ResponseShape, ...] = ()
    """The shape of each response of one number to one number."""
    census: tuple[UnitCensus, ...] = ()
    """How many units of each layer are dead or saturated."""
    collapses: tuple[Collapse, ...] = ()
    """Neighbouring layers that are one affine map."""
    upstream: Upstream | None = None
    """The known fault of a library that the case shows."""
    selftest: SelftestScore | None = None
    """What ``selftest`` scored with these versions."""
    runs: tuple[RunSummary, ...] = ()
    """The runs behind the report."""
    executions: tuple[Execution, ...] = ()
    """The operations that were executed."""
    source: tuple[SourceLine, ...] = ()
    """The lines of the script, with the calls that each made."""
    python: str = ""
    """The text of the twin, where there is one."""
    pictures: tuple[Picture, ...] = ()
    """The pictures that lie beside the report."""
    notes: tuple[str, ...] = ()
    """What else a reader should know."""
    log: str = ""
    """What came past R's and Python's own output: TensorFlow's C++ messages, and programs that the
    script started."""
    internal_errors: tuple[InternalError, ...] = ()
    """Exceptions of keras-bridge itself, each of which ended a step."""
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    """Anything that has no field of its own."""
