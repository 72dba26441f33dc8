"""From capsules, their comparison and the conclusion to the report of a case."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bridge.capsule import Capsule, FrontEnd, Manifest, Probe
from bridge.cases.case import Case
from bridge.compare.alignment import label_of
from bridge.compare.result import ProbePair, RunPair, StageResult
from bridge.exact.records import ExactResult
from bridge.explain.answer import answer
from bridge.explain.conclusion import Conclusion, standing
from bridge.explain.experiment import ExperimentOutcome, outcome_of
from bridge.explain.responses import Described
from bridge.explain.result import Hypothesis, SelftestScore, SymptomTable, Upstream
from bridge.report.schema import (
    CaseReport,
    Claim,
    Execution,
    Expected,
    ExperimentRow,
    Pair,
    Picture,
    RunSummary,
    SourceLine,
)

#: Ops that carry a layer's weights or shape to it, and compute nothing of their own.
_CARRIERS = frozenset({"ReadVariableOp", "Shape", "ExpandDims", "Pack", "StridedSlice", "Cast"})

#: Objects as :mod:`bridge.translate.spelling` names them: the class, and a number within the run.
_NUMBERED = re.compile(r"\b([a-z][a-z0-9]*)_\d+\b")

_LOG_LENGTH = 10_000

_NO_FRONTEND = FrontEnd(kind="none", package="", version="")

STAGES = ("arguments", "config", "weights", "input", "layer", "prediction", "training curve")


@dataclass(frozen=True)
class ReportParts:
    """What a report is put together from, besides runs, pairs and conclusion.

    ``labels`` names the probes by their index; ``calls`` spells R's calls, by line.
    """

    labels: Mapping[int, str] = field(default_factory=dict)
    described: Described = ((), (), ())
    hypotheses: tuple[Hypothesis, ...] = ()
    calls: Mapping[int, Sequence[str]] = field(default_factory=dict)
    exact: ExactResult | None = None
    claims: tuple[Claim, ...] = ()
    symptoms: SymptomTable | None = None
    experiments: tuple[ExperimentOutcome, ...] = ()
    pictures: tuple[Picture, ...] = ()
    notes: tuple[str, ...] = ()
    selftest: SelftestScore | None = None


_NO_PARTS: Final = ReportParts()


def build_report(
    case: Case,
    runs: Mapping[str, Capsule],
    pairs: Sequence[RunPair],
    finding: Conclusion,
    parts: ReportParts = _NO_PARTS,
) -> CaseReport:
    """Put together what is known of a case; ``runs`` has ``r`` at least."""
    r = runs["r"].manifest
    frontend = r.frontend or _NO_FRONTEND
    rows = tuple(_row(probe) for pair in pairs for probe in pair.probes)
    shapes, census, collapses = parts.described
    first = answer(finding, runs, pairs, parts.symptoms)
    upstream = standing(
        case.upstream, case.seen_with, finding.verdict, _decided(pairs), r.environment
    )
    return CaseReport(
        case=case.name,
        title=case.title,
        script=case.script.name,
        frontend=frontend,
        environment=r.environment,
        verdict=finding.verdict,
        cause=finding.cause,
        sentence=first.headline,
        explanation=(finding.sentence, *finding.explanation),
        unexplained=finding.unexplained,
        findings=(first, *(found for found in finding.findings if found is not first)),
        first_divergence=finding.first_divergence,
        expected=_expected(case, finding, r, upstream),
        upstream=upstream,
        stages=(_text(runs["r"]), *_ladder(pairs)),
        pairs=rows,
        exact=parts.exact,
        claims=parts.claims,
        hypotheses=parts.hypotheses,
        **_why(finding),
        symptoms=parts.symptoms,
        experiments=tuple(map(_experiment, parts.experiments)),
        shapes=shapes,
        census=census,
        collapses=collapses,
        selftest=parts.selftest,
        runs=tuple(_run(name, capsule) for name, capsule in runs.items()),
        executions=tuple(_executions(runs, parts.labels)),
        source=tuple(_source(runs["r"], parts.calls)),
        python=_python(runs),
        pictures=parts.pictures,
        log=_log(runs["r"]),
        notes=(*parts.notes, *case.problems, *r.notes, *_conditions(runs["r"])),
    )


def bare_report(case: Case, r: Capsule, finding: Conclusion) -> CaseReport:
    """Return the report of a case of which nothing more could be put together."""
    manifest = r.manifest
    first = answer(finding, {"r": r}, ())
    return CaseReport(
        case=case.name,
        title=case.title,
        script=case.script.name,
        frontend=manifest.frontend or _NO_FRONTEND,
        environment=manifest.environment,
        verdict=finding.verdict,
        cause=finding.cause,
        sentence=first.headline,
        explanation=(finding.sentence, *finding.explanation),
        unexplained=finding.unexplained,
        findings=(first, *(found for found in finding.findings if found is not first)),
        expected=_expected(case, finding, manifest, None),
        notes=case.problems,
    )


def _experiment(result: ExperimentOutcome) -> ExperimentRow:
    experiment = result.experiment
    return ExperimentRow(
        kind=experiment.kind,
        changed=experiment.changed,
        expected=experiment.expected,
        outcome=outcome_of(result),
        made=result.capsule is not None,
        seconds=round(result.seconds, 2),
    )


def _why(finding: Conclusion) -> dict[str, Any]:
    """Return what speaks for the cause and against it; levers are told in any case."""
    found = finding.attribution
    if found is None:
        return {}
    if found.cause != finding.cause:
        return {"levers": found.levers}
    return {
        "levers": found.levers,
        "confidence": found.confidence,
        "evidence_for": found.evidence_for,
        "evidence_against": found.evidence_against,
    }


def _row(probe: ProbePair) -> Pair:
    numbers = {}
    if probe.difference is not None:
        fields = {"max_abs", "max_rel", "max_ulp", "different", "nan", "inf", "worst"}
        numbers = {name: getattr(probe.difference, name) for name in fields}
    return Pair(
        a=probe.a,
        b=probe.b,
        probe=probe.probe,
        verdict=probe.verdict,
        rung=probe.rung,
        points=probe.points,
        beyond_bound=probe.beyond_bound,
        stages=probe.stages,
        layers=probe.layers,
        detail=probe.detail,
        **numbers,
    )


def _expected(
    case: Case, finding: Conclusion, r: Manifest, upstream: Upstream | None
) -> Expected | None:
    """Say whether the header's expectations are met; a fault that is mended is no reproach."""
    situation = (r.frontend or _NO_FRONTEND, r.environment)
    verdicts, causes = case.verdicts(*situation), case.causes(*situation)
    if not verdicts and not causes:
        return None
    mended = upstream is not None and not upstream.shows
    met = mended or (
        (not verdicts or finding.verdict in verdicts) and (not causes or finding.cause in causes)
    )
    return Expected(verdict=" or ".join(verdicts), cause=" or ".join(causes), met=met)


def _decided(pairs: Sequence[RunPair]) -> bool:
    """Say whether every layer was judged, so that agreement means that nothing is wrong."""
    layers = [layer for pair in pairs for probe in pair.probes for layer in probe.layers]
    return bool(layers) and all(layer.verdict != "abstained" for layer in layers)


def _text(capsule: Capsule) -> StageResult:
    """Say whether there is a text to run: the first stage, before anything is compared."""
    status = capsule.manifest.status
    broken = {"syntax-error": "does not parse", "not-utf8": "is not UTF-8", "empty": "is empty"}
    if status in broken:
        error = capsule.manifest.error
        where = f"line {error.line}" if error and error.line else ""
        return StageResult(stage="text", same=False, where=where, detail=broken[status])
    return StageResult(stage="text", same=True, detail="R parses the script")


def _ladder(pairs: Sequence[RunPair]) -> Iterator[StageResult]:
    """Say of each stage whether all pairs agree there; the first place that differs speaks."""
    for stage in STAGES:
        results = [
            (pair, result)
            for pair in pairs
            for probe in pair.probes
            for result in probe.stages
            if result.stage == stage
        ]
        differing = [(pair, result) for pair, result in results if result.same is False]
        if differing:
            pair, result = differing[0]
            detail = f"{pair.a} and {pair.b}: {result.detail}".rstrip(": ")
            yield StageResult(stage=stage, same=False, where=result.where, detail=detail)
        elif stage == "layer" and not results:
            yield _judged(pairs)
        else:
            reached = [result for _, result in results if result.same]
            detail = f"{len(reached)} comparisons agree" if reached else "not compared"
            yield StageResult(stage=stage, same=True if reached else None, detail=detail)


def _judged(pairs: Sequence[RunPair]) -> StageResult:
    """Say whether the layers that were judged on their own inputs are inside their bounds."""
    layers = [layer for pair in pairs for probe in pair.probes for layer in probe.layers]
    judged = [layer for layer in layers if layer.verdict != "abstained"]
    outside = [layer for layer in judged if layer.verdict == "different"]
    if not judged:
        return StageResult(stage="layer", same=None, detail="not compared")
    if outside:
        detail = f"{len(outside)} of {len(judged)} layers are beyond their bound"
        return StageResult(stage="layer", same=False, where=outside[0].layer, detail=detail)
    return StageResult(stage="layer", same=True, detail=f"{len(judged)} layers inside their bounds")


def _run(name: str, capsule: Capsule) -> RunSummary:
    manifest = capsule.manifest
    return RunSummary(
        runner=name,
        status=manifest.status,
        keras=manifest.environment.keras,
        error=manifest.error,
        sentence="; ".join((*(reading.sentence for reading in manifest.readings), *manifest.notes)),
        seconds=round(manifest.seconds, 3),
        peak_mib=round(manifest.peak_bytes / 2**20, 1),
        capsule=f"{name}.capsule",
    )


def _executions(runs: Mapping[str, Capsule], labels: Mapping[int, str]) -> Iterator[Execution]:
    for name, capsule in runs.items():
        for probe in capsule.manifest.probes:
            if probe.executed is None:
                continue
            yield Execution(
                probe=labels.get(probe.index) or label_of(probe, None),
                run=name,
                ops=tuple(
                    op.label
                    for op in probe.executed.ops
                    if "/" in op.name and op.op not in _CARRIERS
                ),
                fingerprint=probe.executed.fingerprint(),
                unchanged_by_looking=_unchanged(probe),
            )


def _unchanged(probe: Probe) -> bool | None:
    answers = [layer.graph_unchanged for layer in probe.layers]
    if not answers or None in answers:
        return None
    return all(answers)


def _source(capsule: Capsule, calls: Mapping[int, Sequence[str]]) -> Iterator[SourceLine]:
    manifest = capsule.manifest
    if manifest.script is None:
        return
    printed: dict[int, str] = {}
    for output in manifest.output:
        if output.line is not None and output.stream != "python":
            printed[output.line] = printed.get(output.line, "") + output.text
    warned: dict[int, list[str]] = {}
    for condition in manifest.conditions:
        if condition.line is not None and condition.kind == "warning":
            warned.setdefault(condition.line, []).append(condition.text)
    for number, text in enumerate(manifest.script.text.splitlines(), start=1):
        yield SourceLine(
            number=number,
            text=text,
            calls=tuple(_counted(calls.get(number, ()))),
            output=printed.get(number, ""),
            warnings=tuple(warned.get(number, ())),
        )


def _counted(calls: Sequence[str]) -> Iterator[str]:
    """Say once, with how often, what a loop called many times with objects of the same kind."""
    kinds: dict[str, list[str]] = {}
    for call in calls:
        kinds.setdefault(_NUMBERED.sub(r"\1", call), []).append(call)
    for alike in kinds.values():
        yield alike[0] if len(alike) == 1 else f"{alike[0]}  # and {len(alike) - 1} more like it"


def _python(runs: Mapping[str, Capsule]) -> str:
    twin = runs.get("twin")
    script = twin.manifest.script if twin else None
    return script.text if script else ""


def _log(capsule: Capsule) -> str:
    streams = {"python": "", "native": ""}
    for output in capsule.manifest.output:
        if output.stream in streams:
            streams[output.stream] += output.text + ("\n" if output.stream == "native" else "")
    text = "\n".join(part.strip("\n") for part in streams.values() if part.strip())
    if len(text) <= _LOG_LENGTH:
        return text
    return f"{text[:_LOG_LENGTH]}\n... {len(text) - _LOG_LENGTH:,} characters more in the capsule"


def _conditions(capsule: Capsule) -> tuple[str, ...]:
    warned = [condition for condition in capsule.manifest.conditions if condition.kind == "warning"]
    if not warned:
        return ()
    first = warned[0]
    where = f" at line {first.line}" if first.line else ""
    more = f" (and {len(warned) - 1} more)" if len(warned) > 1 else ""
    return (f"R warned{where}: {first.text.strip()}{more}",)
