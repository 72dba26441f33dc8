"""Examining cases: run, compare, conclude, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from bridge.capsule import Capsule, write_capsule
from bridge.cases.case import Case
from bridge.compare.alignment import labels_of
from bridge.compare.result import LayerVerdict, RunPair
from bridge.compare.stages import compare_runs, not_compared
from bridge.errors import Errors, InternalError, collected, isolated
from bridge.exact import judge_exact
from bridge.explain.finding import Finding, OtherGeneration, run_name
from bridge.explain.intent_diff.attribution import Undo, intent_notes
from bridge.explain.repairs import repairs, works
from bridge.explain.result import CauseEvidence, SymptomTable
from bridge.explain.symptoms.observations import read_observed
from bridge.explain.verdict import conclude
from bridge.pipeline.hypothesis_runs import symptom_table
from bridge.pipeline.intent_attribution import meant
from bridge.pipeline.lever_runs import investigate, slow_to_start
from bridge.pipeline.plan import agree, chance, other_bits
from bridge.pipeline.steps import NOT_CONCLUDED, Steps, honest
from bridge.process.pool import Limits, Pool, Warm
from bridge.r.script import Inspection, Served, Wanted, inspect, serve
from bridge.report import CaseReport, folders, write_report
from bridge.report.build import bare_report, build_report
from bridge.report.pictures import Drawing, draw, report_claims, report_pictures
from bridge.report.selftest_score import last_score
from bridge.rounding.layer_records import Judge
from bridge.rules import answers
from bridge.rules.registry import repaired
from bridge.runs.claims import Claimed, run_claims
from bridge.runs.exact_probes import run_exact
from bridge.runs.intent import run_intent
from bridge.runs.levers import EXACT_LEVERS, Lever
from bridge.runs.reference import reference
from bridge.runs.replay_script import script_of
from bridge.runs.run import look, not_run, run_r, run_replay, run_twin, warm_for_r
from bridge.trace.capsule_builder import Scrubber
from bridge.trace.slicing import up_to
from bridge.verify.issue import certificates, write_certificates

_QUICK: Final = (
    "--quick: no layer was looked at on its own; only predictions were compared. Where the twin "
    "has R's bits, R's calls were not replayed."
)

Progress = Callable[[str, str], None]
#: Is told of a case that is done, and of the seconds that it took.
Finished = Callable[["Examined", float], None]

_NOT_RECORDED: Final = Finding(
    "abstained",
    "not-known",
    "R's run could not be recorded: a step of keras-bridge itself failed.",
)
_NO_PICTURES: Final[tuple[Drawing, tuple[str, ...]]] = (Drawing((), {}), ())

#: Which pairs are compared, in this order, where both runs are there.
_PAIRS: Final = (("r", "replay"), ("r", "twin"), ("r", "intent"), ("r", "reference"))


@dataclass(frozen=True)
class Examined:
    """A case's report with the runs and pictures behind it, and its exact probes.

    ``verdicts`` are those on the layers of each run's probes, by the name of the run and the index
    of the probe.
    """

    report: CaseReport
    runs: dict[str, Capsule]
    pictures: dict[str, bytes]
    probed: tuple[Capsule, ...] = ()
    verdicts: Mapping[str, Mapping[int, tuple[LayerVerdict, ...]]] = field(default_factory=dict)
    finding: Finding | None = None


def with_score(examined: Examined) -> Examined:
    """Return a case whose report carries the last self-test's score, where there is one."""
    report = examined.report.model_copy(update={"selftest": last_score()})
    return replace(examined, report=report)


@dataclass
class _Begun:
    """What is still being computed beside the comparison of the runs."""

    claims: Future[Claimed] | None
    other: Future[OtherGeneration | None] | None = None


@dataclass(frozen=True)
class Settings:
    """How a suite is run.

    ``quick`` looks at no layer; ``exact`` probes every model with whole numbers, under every lever.
    ``explain`` pulls a basic set of levers even where nothing is wrong. ``sandbox`` contains
    every process that runs what a script asked for; a machine that cannot is told at the start.
    """

    frontend: Wanted = "auto"
    jobs: int = 2
    limits: Limits = field(default_factory=Limits)
    quick: bool = False
    exact: bool = False
    explain: bool = False
    sandbox: bool = False


class Suite:
    """Examines cases in warm processes; use it as a context manager.

    Args:
        settings: how the cases are run.
        progress: is told which case has come to which step.
        pool: warm processes of the caller's to run in, which are left running; without it the
            suite starts its own. ``Settings.sandbox`` says nothing of them: whoever made the pool
            chose whether its jobs are contained.
    """

    def __init__(
        self,
        settings: Settings,
        progress: Progress = lambda _case, _step: None,
        *,
        pool: Pool | None = None,
    ) -> None:
        self.settings = settings
        self.progress = progress
        self._borrowed = pool is not None
        self.pool = pool or Pool(contained=settings.sandbox)
        # A case keeps a few processes busy at once: R's and the twin's, then the replay's, the
        # intent's and the look's.
        self._threads = ThreadPoolExecutor(max_workers=3 * settings.jobs)

    def __enter__(self) -> Suite:
        return self

    def __exit__(self, *_: object) -> None:
        # The pool first: with its processes gone, nothing waits for them any more.
        self._close_pool()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def examine(
        self, cases: Sequence[Case], finished: Finished = lambda _examined, _seconds: None
    ) -> Iterator[Examined]:
        """Yield the examined cases in the given order; ``finished`` hears of each as it is done.

        Raises:
            NoRError: R cannot be run.
            NoFrontEndError: the wanted front end is not there.
            StandinError: the stand-in cannot be built.
            PoolError: R, TensorFlow or Keras cannot be started.
        """
        installed, inspections = inspect([case.script for case in cases])
        # TensorFlow loads while the stand-in is built.
        self.pool.warm(*(Warm(each.generation) for each in inspections if not each.problem))
        if self.settings.explain:
            # A second core is idle until the first of them is there.
            self.pool.warm(*(
                warm for each in inspections if not each.problem
                for warm in slow_to_start(each.generation)
            ))  # fmt: skip
        served = [
            serve(inspection.package, self.settings.frontend, installed)
            for inspection in inspections
        ]
        for inspection, by in zip(inspections, served, strict=True):
            if not inspection.problem:
                self.pool.warm(warm_for_r(inspection, by))
        with ThreadPoolExecutor(max_workers=self.settings.jobs) as cases_at_once:
            futures = [
                cases_at_once.submit(self._timed, case, inspection, by, finished)
                for case, inspection, by in zip(cases, inspections, served, strict=True)
            ]
            try:
                for future in futures:
                    yield future.result()
            except BaseException:
                for future in futures:
                    future.cancel()
                self._close_pool()
                raise

    def _close_pool(self) -> None:
        if not self._borrowed:
            self.pool.close()

    def _timed(
        self, case: Case, inspection: Inspection, served: Served, finished: Finished
    ) -> Examined:
        began = time.monotonic()
        examined = with_score(self._examine(case, inspection, served))
        finished(examined, time.monotonic() - began)
        return examined

    def _examine(self, case: Case, inspection: Inspection, served: Served) -> Examined:
        """Examine a case step by step; one odd step must not cost the others their results."""
        steps = Steps()
        runs: dict[str, Capsule] = {}
        with collected(steps.errors):
            examined = steps.do(
                "examining the case",
                lambda: self._examine_steps(steps, case, inspection, served, runs),
                None,
            )
        if examined is None:
            # What goes wrong between two steps; the runs that were made are kept.
            runs.setdefault("r", not_run(case.name, case.script, inspection, served.frontend))
            examined = Examined(bare_report(case, runs["r"], NOT_CONCLUDED), runs, {})
        private = (str(case.script.resolve().parent), str(self.pool.folder), *served.libraries)
        return with_errors(examined, steps.errors.found, private)

    def _examine_steps(
        self,
        steps: Steps,
        case: Case,
        inspection: Inspection,
        served: Served,
        runs: dict[str, Capsule],
    ) -> Examined:
        begun = self._run(steps, case, inspection, served, runs)
        judge, labels = Judge(), labels_of(runs.values())
        symptoms = self._symptoms(steps, case, inspection, runs["r"], labels)
        pairs = [
            steps.do(
                f"comparing {a} with {b}",
                partial(compare_runs, runs[a], runs[b], judge=judge, labels=labels),
                not_compared(a, b),
                tells=(_whether(a, b),),
            )
            for a, b in _PAIRS
            if a in runs and b in runs and _was_run(runs)
        ]
        probed = steps.do(
            "probing with whole numbers",
            lambda: self._probe_exactly(case, inspection, runs["r"]),
            (),
            tells=("whether probes with whole numbers come out exactly",),
        )
        exact = steps.do(
            "judging the probes with whole numbers",
            lambda: judge_exact(probed) if probed else None,
            None,
            tells=("whether probes with whole numbers come out exactly",),
        )
        attribution = steps.do(
            "looking for the cause",
            lambda: self._investigate(case, inspection, served, runs, pairs, judge),
            None,
            tells=("what pulling levers would have shown",),
        )

        def as_r(undo: Undo) -> Capsule:
            self.progress(case.name, "takes the text as R does")
            limits = self.limits(case)
            made = run_intent(
                self.pool, case.name, case.script, inspection, runs["r"], limits, undo
            )
            if not self.settings.quick and other_bits(runs["r"], made):
                made = look(self.pool, made, inspection.generation, limits)
            return made

        pairs, attribution = steps.do(
            "finding out what R took otherwise than its text says",
            partial(meant, runs, pairs, attribution, as_r, judge, labels),
            (pairs, attribution),
            tells=("whether R does what its text says",),
        )
        usage = self._usage(steps, runs, inspection)
        other = begun.other.result() if begun.other is not None else None
        finding = _NOT_RECORDED
        if _was_run(runs):
            finding = steps.do(
                "drawing the conclusion",
                lambda: conclude(runs, pairs, other, exact, attribution, usage),
                NOT_CONCLUDED,
            )
        finding = honest(finding, steps.unjudged)
        self.progress(case.name, "computes the claims")
        claimed = begun.claims.result() if begun.claims is not None else Claimed()
        table = self._table(case, symptoms)
        self.progress(case.name, "draws")
        drawn, undrawn = steps.do(
            "drawing the pictures of the claims",
            lambda: report_pictures(claimed.pictures),
            _NO_PICTURES,
        )
        by_chance = steps.do("noting what is chance", lambda: chance(inspection, runs), ())
        meant_by = steps.do("noting what the text means", lambda: intent_notes(runs), ())
        quick = (_QUICK,) if self.settings.quick else ()
        notes = (*quick, *by_chance, *undrawn, *meant_by)
        report = steps.do(
            "building the report",
            lambda: build_report(case, runs, pairs, finding, notes, exact),
            None,
        ) or bare_report(case, runs["r"], finding)
        drawing = steps.do(
            "drawing the pictures", lambda: draw(runs, report.pairs), Drawing((), {})
        )
        claims_of = steps.do("writing the claims", lambda: report_claims(claimed.claims), ())
        pictures = (*drawn.pictures, *drawing.pictures)
        report = report.model_copy(
            update={"pictures": pictures, "claims": claims_of, "symptoms": table}
        )
        self.progress(case.name, "done")
        verdicts = {name: judge.verdicts(capsule) for name, capsule in runs.items()}
        files = {**drawing.files, **drawn.files}
        return Examined(report, runs, files, probed, verdicts, finding)

    def _investigate(
        self,
        case: Case,
        inspection: Inspection,
        served: Served,
        runs: Mapping[str, Capsule],
        pairs: Sequence[RunPair],
        judge: Judge,
    ) -> CauseEvidence | None:
        """Look for the cause of what is wrong; nothing is run where nothing is."""
        asked = self.settings.explain
        if inspection.problem or (self.settings.quick and not asked):
            return None
        pool, limits, generation = self.pool, self.limits(case), inspection.generation

        def script(lever: Lever | None) -> Capsule:
            made = run_r(pool, case.name, case.script, inspection, served, limits, lever=lever)
            return look(pool, made, generation, limits)

        return investigate(
            pool,
            runs,
            pairs,
            generation=generation,
            limits=limits,
            script=script,
            judge=judge,
            basic=asked,
            progress=lambda text: self.progress(case.name, text),
        )

    def _usage(
        self, steps: Steps, runs: Mapping[str, Capsule], inspection: Inspection
    ) -> tuple[CauseEvidence, ...]:
        """Ask what the script's own use of Keras answers, and try to repair what raises."""
        found = steps.do(
            "asking how the script uses Keras", lambda: answers(runs["r"], inspection.tree), ()
        )
        if inspection.problem or "replay" not in runs:
            return found
        worked = steps.do("trying repairs", lambda: self._repaired(runs, inspection), ())
        return (*worked, *found)

    def _repaired(
        self, runs: Mapping[str, Capsule], inspection: Inspection
    ) -> tuple[CauseEvidence, ...]:
        """Return the first repair with which the call works that raises, and what follows it."""
        for repair in repairs(runs["r"], runs["replay"], inspection.tree):
            limits = self.settings.limits
            needed = up_to(repair.capsule, repair.followers | {repair.call})
            made = run_replay(self.pool, needed, inspection.generation, limits)
            if works(repair, made):
                return (repaired(repair.sentence, repair.line),)
        return ()

    def _symptoms(
        self,
        steps: Steps,
        case: Case,
        inspection: Inspection,
        r: Capsule,
        labels: Mapping[int, str],
    ) -> Future[SymptomTable | None] | None:
        """Begin to make what every fault would have made, beside the comparison."""
        if case.observed is None or self.settings.quick or not r.manifest.probes:
            return None
        observed, limits = case.observed, self.limits(case)

        def made() -> SymptomTable | None:
            reports = read_observed(observed)
            return symptom_table(self.pool, r, reports, inspection.generation, limits, labels)

        return steps.begin(self._threads, "trying every fault", made, None)

    def _table(
        self, case: Case, symptoms: Future[SymptomTable | None] | None
    ) -> SymptomTable | None:
        if symptoms is None:
            return None
        self.progress(case.name, "tries what was reported against every fault")
        return symptoms.result()

    def _probe_exactly(self, case: Case, inspection: Inspection, r: Capsule) -> tuple[Capsule, ...]:
        """Probe the models of R's run with whole numbers, if that was asked for."""
        if not r.manifest.states or self.settings.quick or not self.settings.exact:
            return ()
        self.progress(case.name, "probes with whole numbers")
        levers = tuple(EXACT_LEVERS.values())
        return run_exact(self.pool, r, inspection.generation, self.limits(case), levers)

    def _run(
        self,
        steps: Steps,
        case: Case,
        inspection: Inspection,
        served: Served,
        runs: dict[str, Capsule],
    ) -> _Begun:
        """Fill ``runs`` one by one: if one of them fails us, the others are kept."""
        if inspection.problem:
            runs["r"] = not_run(case.name, case.script, inspection, served.frontend)
            return _Begun(self._claims(steps, case, inspection, None))
        pool, limits, generation = self.pool, self.limits(case), inspection.generation

        def begin(name: str, run: Callable[[], Capsule]) -> Future[Capsule | None]:
            return steps.begin(self._threads, f"the run {name}", run, None, tells=_missing(name))

        def seen(name: str) -> Capsule:
            looked = partial(look, pool, runs[name], generation, limits)
            return steps.do(f"looking into {name}", looked, runs[name], tells=_unseen(name))

        twin: Future[Capsule | None] | None = None
        if case.twin is not None:
            twin = begin("twin", partial(run_twin, pool, case.name, case.twin, generation, limits))
        self.progress(case.name, "runs R")
        recorded = steps.do(
            "the run r",
            lambda: run_r(pool, case.name, case.script, inspection, served, limits),
            None,
            tells=("what R's run gives",),
        )
        r = recorded or not_run(case.name, case.script, inspection, served.frontend)
        runs["r"] = r
        begun = _Begun(self._claims(steps, case, inspection, recorded))
        if any(call.error for call in r.manifest.calls):
            begun.other = steps.begin(
                self._threads,
                "trying the other Keras",
                lambda: self._try_other_generation(r, inspection),
                None,
            )
        intent: Future[Capsule | None] | None = None
        if not self.settings.quick and recorded is not None:
            intent = begin(
                "intent", partial(run_intent, pool, case.name, case.script, inspection, r, limits)
            )
        if twin is not None and self.settings.quick:
            _take(runs, "twin", twin)
        confirmed = "twin" in runs and steps.do(
            "comparing r with twin", lambda: agree(r, runs["twin"]), False
        )
        if r.manifest.calls and not confirmed:
            self.progress(case.name, "replays and looks inside")
            replay = begin("replay", partial(run_replay, pool, r, generation, limits))
            if not self.settings.quick:
                runs["r"] = seen("r")
            _take(runs, "replay", replay)
        _take(runs, "intent", intent)
        _take(runs, "twin", twin)
        for name in ("replay", "twin", "intent"):
            if name in runs and not self.settings.quick and other_bits(runs["r"], runs[name]):
                # Only then is it worth the time: equal bits need no bound.
                runs[name] = seen(name)
        if runs["r"].manifest.probes:
            self.progress(case.name, "computes the reference")
            made = steps.do(
                "the run reference",
                lambda: reference(runs["r"]),
                None,
                tells=_missing("reference"),
            )
            if made is not None:
                runs["reference"] = made
        return begun

    def _claims(
        self, steps: Steps, case: Case, inspection: Inspection, r: Capsule | None
    ) -> Future[Claimed] | None:
        """Begin to compute the claims beside the replay; they may read R's run."""
        if case.twin is None:
            return None
        return steps.begin(
            self._threads,
            "computing the claims",
            partial(
                run_claims,
                self.pool,
                case.name,
                case.twin,
                inspection.generation,
                self.limits(case),
                recorded=r,
                quick=self.settings.quick,
                tell=lambda text: self.progress(case.name, f"claims: {text}"),
            ),
            Claimed(trouble="a step of keras-bridge itself failed"),
        )

    def limits(self, case: Case) -> Limits:
        """Return what each process of a case may use."""
        given = self.settings.limits
        return given if case.seconds is None else Limits(case.seconds, given.memory_bytes)

    def _try_other_generation(self, r: Capsule, inspection: Inspection) -> OtherGeneration:
        """Make the calls that raise here on the other Keras, to see whose rule it is."""
        calls = [
            call
            for call in r.manifest.calls
            if call.error and call.parent is None and not call.internal
        ]
        other = 5 - inspection.generation
        needed = up_to(r, {call.id for call in calls})
        done = run_replay(self.pool, needed, other, self.settings.limits)
        # What could not be tried is not among the calls: it was neither accepted nor refused.
        raised = {call.id: call.error is not None for call in done.manifest.calls}
        return OtherGeneration(
            done.manifest.environment.keras,
            accepts=tuple(raised.get(call.id) is False for call in calls),
            refuses=tuple(raised.get(call.id) is True for call in calls),
            in_use=tuple(
                call.error for call in done.manifest.calls if call.error and call.error.in_use
            ),
        )


def _was_run(runs: Mapping[str, Capsule]) -> bool:
    """Say whether R's run was recorded, or could not begin for a reason of the script's own."""
    return runs["r"].manifest.status != "not-run"


def _take(runs: dict[str, Capsule], name: str, run: Future[Capsule | None] | None) -> None:
    """Wait for a run that was begun; one that failed us is not there."""
    made = run.result() if run is not None else None
    if made is not None:
        runs[name] = made


def _whether(a: str, b: str) -> str:
    return f"whether {run_name(a)} and {run_name(b)} agree"


def _missing(name: str) -> tuple[str, ...]:
    return (_whether("r", name),)


def _unseen(name: str) -> tuple[str, ...]:
    return (f"whether the layers of {run_name(name)} are within their bounds",)


def with_errors(
    examined: Examined, errors: Sequence[InternalError], private: tuple[str, ...]
) -> Examined:
    """List exceptions of ours in a report, without the folders that name the user."""
    if not errors:
        return examined
    clean = Scrubber(private)
    listed = tuple(InternalError(**clean(asdict(error))) for error in errors)
    known = examined.report.internal_errors
    report = examined.report.model_copy(update={"internal_errors": (*known, *listed)})
    return replace(examined, report=report)


def write(examined: Sequence[Examined], out: Path) -> Path:
    """Write the reports, pictures, capsules and certificates; return the path of ``index.html``."""
    places = folders([each.report for each in examined])
    written = [
        _write_files(each, out / folder) for each, folder in zip(examined, places, strict=True)
    ]
    pictures = {each.report.case: each.pictures for each in written}
    return write_report([each.report for each in written], out, pictures=pictures)


def _write_files(examined: Examined, folder: Path) -> Examined:
    """Write what lies beside a report; return it with what failed us in that."""
    folder.mkdir(parents=True, exist_ok=True)
    with collected(Errors()) as errors:
        for name, capsule in examined.runs.items():
            write_capsule(capsule, folder / f"{name}.capsule")
            path = folder / f"{name}.certificates"
            # An earlier run into this folder may have looked, where this one did not.
            path.unlink(missing_ok=True)
            if any(probe.layers for probe in capsule.manifest.probes):
                given = examined.verdicts.get(name)
                made = isolated("issuing certificates", partial(certificates, capsule, given), None)
                if made is not None:
                    write_certificates(path, made)
        _write_script(examined.runs.get("r"), folder / "replay.py")
        for number, capsule in enumerate(examined.probed):
            write_capsule(capsule, folder / f"exact-{number}.capsule")
    return with_errors(examined, errors.found, (str(folder.resolve()),))


def _write_script(recorded: Capsule | None, path: Path) -> None:
    """Write what R asked of Python as a script; one that cannot be written costs no report."""
    path.unlink(missing_ok=True)
    if recorded is None or not recorded.manifest.calls:
        return
    script = isolated("writing replay.py", partial(script_of, recorded, path.stem), None)
    if script is None:
        path.write_text("# It could not be written: see internal-errors.log.\n", "utf-8")
    else:
        script.save(path)
