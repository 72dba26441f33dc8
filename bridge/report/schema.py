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
        frozen=True, extra="forbid", populate_by_name=True, ser_json_inf_nan="strings"
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


class Run(_Model):
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
    """All that is known about one case.

    ``exact`` is what probes with whole numbers found, where they were made. ``log`` is what came
    past R's and Python's own output: TensorFlow's C++ messages, and programs that the script
    started. ``internal_errors`` are exceptions of keras-bridge itself, each of which ended a step.
    """

    schema_: Literal[1] = Field(default=1, alias="schema")
    case: str
    title: str = ""
    script: str
    frontend: FrontEnd
    environment: Environment
    verdict: Verdict
    cause: str
    sentence: str
    explanation: tuple[str, ...] = ()
    unexplained: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    first_divergence: Divergence | None = None
    expected: Expected | None = None
    stages: tuple[StageResult, ...] = ()
    pairs: tuple[Pair, ...] = ()
    exact: ExactResult | None = None
    claims: tuple[Claim, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    levers: tuple[LeverOutcome, ...] = ()
    experiments: tuple[ExperimentRow, ...] = ()
    confidence: Confidence = ""
    evidence_for: tuple[str, ...] = ()
    evidence_against: tuple[str, ...] = ()
    symptoms: SymptomTable | None = None
    shapes: tuple[ResponseShape, ...] = ()
    census: tuple[UnitCensus, ...] = ()
    collapses: tuple[Collapse, ...] = ()
    upstream: Upstream | None = None
    selftest: SelftestScore | None = None
    runs: tuple[Run, ...] = ()
    executions: tuple[Execution, ...] = ()
    source: tuple[SourceLine, ...] = ()
    python: str = ""
    pictures: tuple[Picture, ...] = ()
    notes: tuple[str, ...] = ()
    log: str = ""
    internal_errors: tuple[InternalError, ...] = ()
    extra: dict[str, JsonValue] = Field(default_factory=dict)
