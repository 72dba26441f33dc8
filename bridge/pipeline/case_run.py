"""One case on its way from runs to a report: its steps, and what they share.

A :class:`CaseRun` holds what is made once and handed on: the runs, the names of their predictions,
the verdicts on layers. Where the runs come from is all that differs between a script, which
:mod:`bridge.pipeline.examine_case` runs, and a capsule that was recorded elsewhere
(:mod:`bridge.pipeline.explain_capsule`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Final

from bridge.capsule import Call, Capsule
from bridge.cases.case import Case
from bridge.compare.alignment import labels_of
from bridge.compare.result import LayerVerdict, RunPair
from bridge.compare.stages import compare_runs, judged_by_layers, not_compared
from bridge.errors import Errors, InternalError, bound, collected, isolated
from bridge.exact.judge import judge_exact
from bridge.exact.records import ExactResult
from bridge.explain.attribution import Undo, intent_notes
from bridge.explain.conclusion import Conclusion, OtherGeneration, run_name
from bridge.explain.lever_search import weigh
from bridge.explain.observations import read_observed
from bridge.explain.responses import describe_run
from bridge.explain.result import CauseEvidence, Hypothesis, SymptomTable
from bridge.explain.verdict import conclude
from bridge.facts.causes import OF_R
from bridge.pipeline.hypothesis_runs import symptom_table
from bridge.pipeline.intent_attribution import as_counted, beyond, meant
from bridge.pipeline.lever_runs import ScriptUnderLever, investigate
from bridge.pipeline.tried_fixes import Asked
from bridge.process.pool import Limits, Pool
from bridge.r.script import Wanted
from bridge.report.build import ReportParts, bare_report, build_report
from bridge.report.pictures import Drawing, draw, report_claims, report_pictures
from bridge.report.schema import CaseReport, Claim
from bridge.report.selftest_score import last_score
from bridge.rounding.layer_records import Judge
from bridge.rules.run import Mended
from bridge.runs.claims import Claimed
from bridge.runs.exact_probes import run_exact
from bridge.runs.layer_capture import look
from bridge.runs.levers import EXACT_LEVERS
from bridge.runs.reference import reference
from bridge.trace.capsule_builder import Scrubber
from bridge.translate.spelling import spell_call

NOT_CONCLUDED: Final = Conclusion(
    "abstained",
    "not-known",
    "Nothing could be concluded from the runs: a step of keras-bridge itself failed.",
)


def nothing(*_: object) -> None:
    """Stand for the result of a step that gives nothing where it fails us."""


@dataclass(frozen=True, eq=False)
class CaseStep:
    """One step of a case.

    Attributes:
        gives: the name of its result.
        name: of the step, for the record of an exception of ours that ends it.
        work: takes the results that the step needs, in their order, and returns its own.
        needs: the names of these results, with blanks between them.
        instead: the same as ``work``, for where that fails us.
        tells: what is not known without the step, as it follows "it is not known".
    """

    gives: str
    name: str
    work: Callable[..., Any]
    needs: str = ""
    instead: Callable[..., Any] = nothing
    tells: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepResults:
    """What steps gave, by name; and what is not known because one failed that would have told."""

    of: Mapping[str, Any]
    not_known: tuple[str, ...]


def run_steps(steps: Sequence[CaseStep], threads: Executor) -> StepResults:
    """Do all steps, each as soon as what it needs is there, and beside others.

    Raises:
        BridgeError: one that no case can survive; what is being done then is left to end.
        ValueError: nothing gives what a step needs.
    """
    results: dict[str, Any] = {}
    failed: list[CaseStep] = []
    waiting = list(steps)
    doing: dict[Future[list[Any] | None], tuple[CaseStep, list[Any]]] = {}
    while waiting or doing:
        for step in [ready for ready in waiting if results.keys() >= set(ready.needs.split())]:
            waiting.remove(step)
            given = [results[need] for need in step.needs.split()]
            doing[threads.submit(bound(_do), step, given)] = step, given
        if not doing:
            raise ValueError(f"nothing gives what these need: {[step.name for step in waiting]}")
        for future in wait(doing, return_when=FIRST_COMPLETED).done:
            step, given = doing.pop(future)
            outcome = future.result()
            failed += [step] if outcome is None else []
            results[step.gives] = step.instead(*given) if outcome is None else outcome[0]
    lost = (sentence for step in steps if step in failed for sentence in step.tells)
    return StepResults(results, tuple(dict.fromkeys(lost)))


def _do(step: CaseStep, given: Sequence[Any]) -> list[Any] | None:
    """Do the work of a step; return its result in a list, None where it fails us."""
    return isolated(step.name, lambda: [step.work(*given)], None)


def honest(found: Conclusion, unjudged: Sequence[str]) -> Conclusion:
    """Do not say that nothing is wrong where a step failed that would have told."""
    if not unjudged:
        return found
    left = tuple(dict.fromkeys((*found.unexplained, *unjudged)))
    if found.cause != "none":
        return replace(found, unexplained=left)
    listed = "; ".join(dict.fromkeys(unjudged))
    sentence = f"A step of keras-bridge itself failed, so that it is not known {listed}."
    return replace(
        found,
        verdict="abstained",
        cause="not-known",
        sentence=sentence,
        explanation=(found.sentence, *found.explanation),
        unexplained=left,
        first_divergence=None,
    )


#: The runs of a case, in the order of the report; the first that names a prediction names it.
_RUNS: Final = ("r", "replay", "intent", "twin", "reference")
#: Which runs are compared with R's, in this order, where they are there.
_COMPARED: Final = ("replay", "twin", "intent", "reference")
#: Steps of one case at once: R's run and the twin's, then the replay, the intent and the looks.
STEPS_AT_ONCE: Final = 4

_QUICK: Final = (
    "--quick: no layer was looked at on its own; only predictions were compared. Where the twin "
    "has R's bits, R's calls were not replayed."
)
_STARTED: Final = (
    "Trainings were judged on their first {} epochs. What follows them started from the weights of "
    "R's run; with --full every epoch is made again."
)
_NOT_RECORDED: Final = Conclusion(
    "abstained",
    "not-known",
    "R's run could not be recorded: a step of keras-bridge itself failed.",
)

Progress = Callable[[str, str], None]


@dataclass(frozen=True)
class Settings:
    """How cases are run.

    ``quick`` looks at no layer; ``exact`` probes every model with whole numbers, under every lever.
    ``full`` repeats every training to its end, not only its first epochs.
    ``explain`` pulls a basic set of levers even where nothing is wrong. ``sandbox`` contains
    every process that runs what a script asked for; a machine that cannot is told at the start.
    """

    frontend: Wanted = "auto"
    jobs: int = 2
    limits: Limits = field(default_factory=Limits)
    quick: bool = False
    exact: bool = False
    full: bool = False
    explain: bool = False
    sandbox: bool = False

    def limits_of(self, case: Case) -> Limits:
        """Return what each process of a case may use."""
        return self.limits if case.seconds is None else replace(self.limits, seconds=case.seconds)


@dataclass(frozen=True)
class Examined:
    """A case's report with the runs and pictures behind it, and its exact probes.

    ``verdicts`` are those on the layers of each run's probes, by the name of the run and the index
    of the probe; ``finding`` is what was concluded.
    """

    report: CaseReport
    runs: dict[str, Capsule]
    pictures: dict[str, bytes]
    probed: tuple[Capsule, ...] = ()
    verdicts: Mapping[str, Mapping[int, tuple[LayerVerdict, ...]]] = field(default_factory=dict)
    finding: Conclusion | None = None

    def with_errors(self, errors: Sequence[InternalError], private: tuple[str, ...]) -> Examined:
        """List exceptions of ours in the report, without the folders that name the user."""
        if not errors:
            return self
        clean = Scrubber(private)
        listed = tuple(InternalError(**clean(asdict(error))) for error in errors)
        known = self.report.internal_errors
        report = self.report.model_copy(update={"internal_errors": (*known, *listed)})
        return replace(self, report=report)


@dataclass
class CaseRun:
    """A case, and the steps in which it is examined.

    Attributes:
        pool: where processes come from.
        case: what is examined.
        generation: of Keras, 2 or 3.
        settings: how it is run.
        threads: in which the steps are done.
        tell: is told what is done.
    """

    pool: Pool
    case: Case
    generation: int
    settings: Settings
    threads: Executor
    tell: Callable[[str], None]
    judge: Judge = field(default_factory=Judge, init=False)
    runs: dict[str, Capsule] = field(default_factory=dict, init=False)

    # What a kind of case has is said by its own class; what it cannot have gives nothing.
    record: ClassVar[Callable[..., Capsule]]
    not_recorded: ClassVar[Callable[..., Capsule]]
    replay: ClassVar[Callable[..., Capsule | None]]
    look_into_r: ClassVar[Callable[..., Capsule]]
    twin: ClassVar[Callable[..., Capsule | None]] = nothing
    intent: ClassVar[Callable[..., Capsule | None]] = nothing
    claims: ClassVar[Callable[..., Claimed | None]] = nothing
    other_generation: ClassVar[Callable[..., OtherGeneration | None]] = nothing
    answers: ClassVar[Callable[..., Asked | None]] = nothing
    fixed: ClassVar[Callable[..., Asked | None]] = nothing
    repaired: ClassVar[Callable[..., tuple[Mended, ...] | None]] = nothing
    chance: ClassVar[Callable[..., tuple[str, ...] | None]] = nothing
    script: ClassVar[Callable[..., ScriptUnderLever | None]] = nothing

    @property
    def limits(self) -> Limits:
        """What each process of the case may use."""
        return self.settings.limits_of(self.case)

    @property
    def private(self) -> tuple[str, ...]:
        """The folders whose names stay out of the report."""
        return (str(self.case.script.resolve().parent), str(self.pool.folder))

    def examined(self) -> Examined:
        """Examine the case; an exception of ours costs what its step would have told."""
        with collected(Errors()) as errors:
            found = isolated("examining the case", self._examined, None)
            if found is None:
                runs = self.runs or {"r": self.not_recorded()}
                found = Examined(bare_report(self.case, runs["r"], NOT_CONCLUDED), runs, {})
        return found.with_errors(errors.found, self.private)

    def _examined(self) -> Examined:
        steps = (*self._runs(), *self._findings(), *self._tellings())
        results = run_steps(steps, self.threads)
        outcomes = results.of
        finding = honest(outcomes["concluded"], results.not_known)
        (pairs, _), (of_claims, undrawn) = outcomes["found"], outcomes["claim_pictures"]
        quick = (_QUICK,) if self.settings.quick else ()
        asked: Asked = outcomes["usage"] or Asked()
        notes = (
            quick, self._started(), outcomes["chance"] or (), undrawn, outcomes["meant"] or (),
            asked.details,
        )  # fmt: skip
        parts = ReportParts(
            labels=outcomes["labels"],
            described=outcomes["described"],
            hypotheses=outcomes["hypotheses"],
            calls=outcomes["calls"],
            exact=outcomes["exact"],
            claims=outcomes["decided"],
            symptoms=outcomes["symptoms"],
            experiments=asked.made,
            pictures=(*of_claims.pictures, *outcomes["drawn"].pictures),
            notes=tuple(note for some in notes for note in some),
            selftest=outcomes["score"],
        )
        report = isolated(
            "building the report",
            lambda: build_report(self.case, self.runs, pairs, finding, parts),
            None,
        ) or bare_report(self.case, self.runs["r"], finding)
        self.tell("done")
        files = {**outcomes["drawn"].files, **of_claims.files}
        verdicts = {name: self.judge.verdicts(run) for name, run in self.runs.items()}
        return Examined(report, self.runs, files, outcomes["probed"], verdicts, finding)

    def _started(self) -> tuple[str, ...]:
        """Note that trainings were judged on their first epochs, where they were."""
        probes = (probe for run in self.runs.values() for probe in run.manifest.probes)
        epochs = {probe.first_epochs for probe in probes if probe.first_epochs is not None}
        return tuple(_STARTED.format(count) for count in sorted(epochs))

    def _runs(self) -> Iterator[CaseStep]:
        """Yield the steps that make the runs, and look into them."""
        yield CaseStep("twin", "the run twin", self.twin, tells=_whether("twin"))
        subject = ("what R's run gives",)
        yield CaseStep("r", "the run r", self.record, instead=self.not_recorded, tells=subject)
        yield CaseStep("claims", "computing the claims", self.claims, "r", _no_claims)
        # With --quick a twin that has R's bits saves the replay.
        first = "r twin" if self.settings.quick else "r"
        yield CaseStep("agree", "comparing r with twin", self.agree, first)
        yield CaseStep("replay", "the run replay", self.replay, "r agree", tells=_whether("replay"))
        yield CaseStep(
            "seen_r", "looking into r", self.look_into_r, "r agree", _first, _unseen("r")
        )
        yield CaseStep("intent", "the run intent", self.intent, "r", tells=_whether("intent"))
        yield CaseStep("other", "trying the other Keras", self.other_generation, "r")
        for run in ("replay", "intent", "twin"):
            yield CaseStep(
                f"seen_{run}", f"looking into {run}", self.look_into, f"{run} r", _first,
                _unseen(run),
            )  # fmt: skip
        yield CaseStep(
            "reference", "the run reference", self.reference, "seen_r", tells=_whether("reference")
        )
        needs = "seen_r seen_replay seen_intent seen_twin reference"
        yield CaseStep("runs", "gathering the runs", self.gather, needs)
        yield CaseStep("labels", "naming the predictions", self.labels, "runs", lambda _: {})

    def _findings(self) -> Iterator[CaseStep]:
        """Yield the steps that find out what the runs say."""
        yield CaseStep("symptoms", "trying every fault", self.symptoms, "seen_r labels")
        before = ""
        for name in _COMPARED:
            # One after the other: they share verdicts on the layers of R's run.
            yield CaseStep(
                f"pairs_{name}", f"comparing r with {name}", partial(self.compared, name),
                f"runs labels {before}", partial(_uncompared, name), _whether(name),
            )  # fmt: skip
            before = f"pairs_{name}"
        subject = ("whether probes with whole numbers come out exactly",)
        probe = self.probe_exactly
        yield CaseStep(
            "probed", "probing with whole numbers", probe, "seen_r", lambda _: (), subject
        )
        name = "judging the probes with whole numbers"
        yield CaseStep("exact", name, _judged, "probed", tells=subject)
        subject = ("what pulling levers would have shown",)
        yield CaseStep(
            "cause", "looking for the cause", self.investigate, f"runs {before}", tells=subject
        )
        yield CaseStep(
            "found", "finding out what R took otherwise than its text says", self.attribute_intent,
            f"{before} cause runs labels", lambda pairs, cause, *_: (pairs, cause),
            ("whether R does what its text says",),
        )  # fmt: skip
        yield CaseStep("mended", "trying repairs", self.repaired, "seen_r seen_replay")
        yield CaseStep("asked", "asking how the script uses Keras", self.answers, "seen_r mended")
        yield CaseStep("usage", "trying a fix", self.fixed, "seen_r asked", lambda _, asked: asked)
        yield CaseStep(
            "concluded", "drawing the conclusion", self.conclude,
            "runs found other exact usage", lambda *_: NOT_CONCLUDED,
        )  # fmt: skip

    def _tellings(self) -> Iterator[CaseStep]:
        """Yield the steps that make the parts of the report."""
        yield CaseStep("drawn", "drawing the pictures", self.draw, "runs found", _no_pictures)
        yield CaseStep(
            "claim_pictures", "drawing the pictures of the claims", _pictures, "claims",
            lambda _: (_no_pictures(), ()),
        )  # fmt: skip
        yield CaseStep("decided", "writing the claims", _claims, "claims", lambda _: ())
        yield CaseStep(
            "described", "describing what the models make of their inputs", describe_run,
            "seen_r labels", lambda *_: ((), (), ()),
        )  # fmt: skip
        yield CaseStep("calls", "writing down R's calls", calls_by_line, "seen_r", lambda _: {})
        yield CaseStep("chance", "noting what is chance", self.chance, "runs")
        yield CaseStep("meant", "noting what the text means", intent_notes, "runs")
        yield CaseStep("score", "reading the last self-test's score", last_score)
        yield CaseStep("hypotheses", "weighing every cause", _weighed, "concluded", lambda _: ())

    def agree(self, r: Capsule, twin: Capsule | None = None) -> bool:
        """Say whether the twin has all bits and errors of R's run: a replay tells nothing new."""
        return twin is not None and compare_runs(r, twin).verdict in ("same-bits", "same-error")

    def look_into(self, run: Capsule | None, r: Capsule) -> Capsule | None:
        """Look into another run where that is worth the time: equal bits need no bound."""
        if run is None or self.settings.quick:
            return run
        probes = judged_by_layers(r, run)
        return look(self.pool, run, self.generation, self.limits, probes) if probes else run

    def reference(self, r: Capsule) -> Capsule | None:
        """Evaluate what was predicted in float64."""
        if not r.manifest.probes:
            return None
        self.tell("computes the reference")
        return reference(r)

    def gather(self, *runs: Capsule | None) -> dict[str, Capsule]:
        """Keep the runs that were made, by the names of their runners."""
        self.runs = {name: run for name, run in zip(_RUNS, runs, strict=True) if run is not None}
        return self.runs

    def labels(self, runs: Mapping[str, Capsule]) -> dict[int, str]:
        """Return the names of the predictions, by their index."""
        return labels_of(runs.values())

    def compared(
        self,
        name: str,
        runs: Mapping[str, Capsule],
        labels: Mapping[int, str],
        before: tuple[RunPair, ...] = (),
    ) -> tuple[RunPair, ...]:
        """Compare R's run with another, and add that to what was compared before."""
        if name not in runs or not was_run(runs["r"]):
            return before
        return (*before, compare_runs(runs["r"], runs[name], judge=self.judge, labels=labels))

    def symptoms(self, r: Capsule, labels: Mapping[int, str]) -> SymptomTable | None:
        """Set what was reported against what every fault would have made."""
        if self.case.observed is None or self.settings.quick or not r.manifest.probes:
            return None
        self.tell("tries what was reported against every fault")
        reports = read_observed(self.case.observed)
        return symptom_table(self.pool, r, reports, self.generation, self.limits, labels)

    def probe_exactly(self, r: Capsule) -> tuple[Capsule, ...]:
        """Probe the models of the run with whole numbers, if that was asked for."""
        if not r.manifest.states or self.settings.quick or not self.settings.exact:
            return ()
        self.tell("probes with whole numbers")
        return run_exact(self.pool, r, self.generation, self.limits, tuple(EXACT_LEVERS.values()))

    def investigate(
        self, runs: Mapping[str, Capsule], pairs: Sequence[RunPair]
    ) -> CauseEvidence | None:
        """Look for the cause of what is wrong; nothing is run where nothing is."""
        asked = self.settings.explain
        if not was_begun(runs["r"]) or (self.settings.quick and not asked):
            return None
        return investigate(
            self.pool,
            runs,
            pairs,
            generation=self.generation,
            limits=self.limits,
            script=self.script(),
            judge=self.judge,
            basic=asked,
            progress=self.tell,
        )

    def attribute_intent(
        self,
        pairs: Sequence[RunPair],
        cause: CauseEvidence | None,
        runs: Mapping[str, Capsule],
        labels: Mapping[int, str],
    ) -> tuple[Sequence[RunPair], CauseEvidence | None]:
        """Find out what R took otherwise than its text says."""

        def as_r(undo: Undo) -> Capsule:
            self.tell("takes the text as R does")
            r = runs["r"]
            return self.look_into(self.intent(r, undo), r) or runs["intent"]

        def again_with(intent: Capsule, pairs: Sequence[RunPair]) -> list[RunPair]:
            self.runs["intent"] = intent
            now = compare_runs(runs["r"], intent, judge=self.judge, labels=labels)
            return [now if pair.b == "intent" else pair for pair in pairs]

        base = Undo()
        if "intent" in runs and (counted := as_counted(runs["r"], runs["intent"], as_r)):
            pairs, base = again_with(counted[0], pairs), counted[1]
        pairs, found = meant(
            self.runs, pairs, cause, lambda undo: as_r(base | undo), self.judge, labels
        )
        if "intent" not in runs or (found is not None and found.cause in OF_R):
            return pairs, found
        further = beyond(runs["r"], self.runs["intent"], lambda undo: as_r(base | undo))
        if further is None:
            return pairs, found
        pairs, taken = again_with(further[0], pairs), Undo(further[1])
        return meant(
            self.runs, pairs, cause, lambda undo: as_r(base | taken | undo), self.judge, labels
        )

    def conclude(
        self,
        runs: Mapping[str, Capsule],
        found: tuple[Sequence[RunPair], CauseEvidence | None],
        other: OtherGeneration | None,
        exact: ExactResult | None,
        usage: Asked | None,
    ) -> Conclusion:
        """Draw the conclusion, if there is a run to draw it from."""
        if not was_run(runs["r"]):
            return _NOT_RECORDED
        return conclude(runs, found[0], other, exact, found[1], (usage or Asked()).findings)

    def draw(
        self,
        runs: Mapping[str, Capsule],
        found: tuple[Sequence[RunPair], CauseEvidence | None],
    ) -> Drawing:
        """Draw what the runs computed."""
        self.tell("draws")
        return draw(runs, [probe for pair in found[0] for probe in pair.probes])


def was_run(r: Capsule) -> bool:
    """Say whether a run was recorded, or could not begin for a reason of the script's own."""
    return r.manifest.status != "not-run"


def was_begun(r: Capsule) -> bool:
    """Say whether anything of the script was run at all."""
    return r.manifest.status not in ("not-run", "syntax-error", "not-utf8", "empty")


def _whether(name: str) -> tuple[str, ...]:
    return (f"whether {run_name('r')} and {run_name(name)} agree",)


def _unseen(name: str) -> tuple[str, ...]:
    return (f"whether the layers of {run_name(name)} are within their bounds",)


def _first(given: Any, *_: object) -> Any:
    return given


def _uncompared(
    name: str, _runs: object, _labels: object, before: tuple[RunPair, ...] = ()
) -> tuple[RunPair, ...]:
    return (*before, not_compared("r", name))


def _judged(probed: tuple[Capsule, ...]) -> ExactResult | None:
    return judge_exact(probed) if probed else None


def _no_claims(*_: object) -> Claimed:
    return Claimed(trouble="a step of keras-bridge itself failed")


def _claims(claimed: Claimed | None) -> tuple[Claim, ...]:
    return report_claims((claimed or Claimed()).claims)


def _pictures(claimed: Claimed | None) -> tuple[Drawing, tuple[str, ...]]:
    return report_pictures((claimed or Claimed()).pictures)


def _weighed(concluded: Conclusion) -> tuple[Hypothesis, ...]:
    return weigh(concluded.attribution)


def _no_pictures(*_: object) -> Drawing:
    return Drawing((), {})


def calls_by_line(r: Capsule) -> dict[int, list[str]]:
    """Return R's calls as Python, by the line of the script that made them."""
    calls: dict[int, list[str]] = {}
    for call in r.manifest.calls:
        if call.line is not None and _is_telling(call):
            calls.setdefault(call.line, []).append(spell_call(call))
    return calls


def _is_telling(call: Call) -> bool:
    """Leave out reads of attributes, which only lead to what is called."""
    return not call.internal and call.parent is None and call.kind in ("call", "setattr")
