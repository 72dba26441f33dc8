"""Examining cases: run, compare, conclude, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bridge.candidates import symptom_table
from bridge.capsule import Capsule, write_capsule
from bridge.case import Case
from bridge.certify.issue import certificates, write_certificates
from bridge.compare.align import labels_of
from bridge.compare.exact import judge_exact
from bridge.compare.judge import Judge
from bridge.compare.result import RunPair
from bridge.compare.stages import compare_runs
from bridge.doubt import agree, chance, in_doubt, other_bits
from bridge.explain.intended import Undo, intent_notes
from bridge.explain.observed import read_observed
from bridge.explain.reaching import up_to
from bridge.explain.repairs import repairs
from bridge.explain.result import Attribution, SymptomTable
from bridge.explain.usage import Answer, answers
from bridge.explain.usage.answer import repaired
from bridge.explain.verdict import Finding, OtherGeneration, conclude
from bridge.investigate import investigate, slow_to_start
from bridge.meant import meant
from bridge.r.frontend import Served, Wanted, serve
from bridge.r.script import Inspection, inspect
from bridge.report import CaseReport, folders, write_report
from bridge.report.build import build_report
from bridge.report.claimed import report_claims, report_pictures
from bridge.report.pictures import draw
from bridge.runners.claims import Claimed, run_claims
from bridge.runners.exact import run_exact
from bridge.runners.intent import run_intent
from bridge.runners.levers import EXACT_LEVERS, Lever
from bridge.runners.pool import Limits, Pool, PoolError, Warm
from bridge.runners.reference import reference
from bridge.runners.run import look, not_run, run_r, run_replay, run_twin, warm_for_r
from bridge.runners.scripted import script_of
from bridge.scorebook import last_score

_QUICK: Final = (
    "--quick: no layer was looked at on its own; only predictions were compared. Where the twin "
    "has R's bits, R's calls were not replayed."
)

Progress = Callable[[str, str], None]
#: Is told of a case that is done, and of the seconds that it took.
Finished = Callable[["Examined", float], None]

#: Which pairs are compared, in this order, where both runs are there.
_PAIRS: Final = (("r", "replay"), ("r", "twin"), ("r", "intent"), ("r", "reference"))


@dataclass(frozen=True)
class Examined:
    """A case's report with the runs and pictures behind it, and its exact probes."""

    report: CaseReport
    runs: dict[str, Capsule]
    pictures: dict[str, bytes]
    probed: tuple[Capsule, ...] = ()


def with_score(examined: Examined) -> Examined:
    """Return a case whose report carries the last self-test's score, where there is one."""
    report = examined.report.model_copy(update={"selftest": last_score()})
    return replace(examined, report=report)


@dataclass
class _Begun:
    """What is still being computed beside the comparison of the runs."""

    claims: Future[Claimed] | None
    other: Future[OtherGeneration] | None = None


@dataclass(frozen=True)
class Settings:
    """How a suite is run.

    ``quick`` looks at no layer; ``exact`` probes every model with whole numbers, under every lever,
    where otherwise only models are probed of which something is left open or is different.
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
        self._steps = ThreadPoolExecutor(max_workers=3 * settings.jobs)

    def __enter__(self) -> Suite:
        return self

    def __exit__(self, *_: object) -> None:
        # The pool first: with its processes gone, nothing waits for them any more.
        self._close_pool()
        self._steps.shutdown(wait=True, cancel_futures=True)

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
        runs: dict[str, Capsule] = {}
        try:
            return self._examine_runs(case, inspection, served, runs)
        except PoolError:
            raise
        except Exception as error:
            # One odd case must not cost the others their reports.
            runs.setdefault("r", not_run(case.name, case.script, inspection, served.frontend))
            sentence = (
                f"The case could not be compared: {type(error).__name__}: {error} (a defect of "
                "keras-bridge; please report it with the script)."
            )
            finding = Finding("abstained", "not-known", sentence)
            return Examined(build_report(case, runs, [], finding), runs, {})

    def _examine_runs(
        self, case: Case, inspection: Inspection, served: Served, runs: dict[str, Capsule]
    ) -> Examined:
        begun = self._run(case, inspection, served, runs)
        judge, labels = Judge(), labels_of(runs.values())
        symptoms = self._symptoms(case, inspection, runs["r"], labels)
        pairs = [
            compare_runs(runs[a], runs[b], judge=judge, labels=labels)
            for a, b in _PAIRS
            if a in runs and b in runs
        ]
        probed = self._probe_exactly(case, inspection, runs["r"], pairs)
        exact = judge_exact(probed) if probed else None
        attribution = self._investigate(case, inspection, served, runs, pairs, judge)

        def as_r(undo: Undo) -> Capsule:
            self.progress(case.name, "takes the text as R does")
            limits = self.limits(case)
            made = run_intent(
                self.pool, case.name, case.script, inspection, runs["r"], limits, undo
            )
            if not self.settings.quick and other_bits(runs["r"], made):
                made = look(self.pool, made, inspection.generation, limits)
            return made

        pairs, attribution = meant(runs, pairs, attribution, as_r, judge, labels)
        usage = self._usage(runs, inspection)
        other = begun.other.result() if begun.other is not None else None
        finding = conclude(runs, pairs, other, exact, attribution, usage)
        self.progress(case.name, "computes the claims")
        claimed = begun.claims.result() if begun.claims is not None else Claimed()
        table = self._table(case, symptoms)
        self.progress(case.name, "draws")
        drawn, undrawn = report_pictures(claimed.pictures)
        notes = (*((_QUICK,) if self.settings.quick else ()), *chance(inspection, runs), *undrawn)
        notes += intent_notes(runs)
        report = build_report(case, runs, pairs, finding, notes, exact)
        drawing = draw(runs, report.pairs)
        pictures = (*drawn.pictures, *drawing.pictures)
        claims_of = report_claims(claimed.claims)
        report = report.model_copy(
            update={"pictures": pictures, "claims": claims_of, "symptoms": table}
        )
        self.progress(case.name, "done")
        return Examined(report, runs, {**drawing.files, **drawn.files}, probed)

    def _investigate(
        self,
        case: Case,
        inspection: Inspection,
        served: Served,
        runs: Mapping[str, Capsule],
        pairs: Sequence[RunPair],
        judge: Judge,
    ) -> Attribution | None:
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

    def _usage(self, runs: Mapping[str, Capsule], inspection: Inspection) -> tuple[Answer, ...]:
        """Ask what the script's own use of Keras answers, and try to repair what raises."""
        found = answers(runs["r"], inspection.tree)
        for repair in repairs(runs["r"]) if not inspection.problem else ():
            limits = self.settings.limits
            needed = up_to(repair.capsule, {repair.call})
            made = run_replay(self.pool, needed, inspection.generation, limits)
            # Only calls that raise, or that raised when they were recorded, are told.
            worked = any(call.id == repair.call and not call.error for call in made.manifest.calls)
            if worked:
                return (repaired(repair.sentence, repair.line), *found)
        return found

    def _symptoms(
        self, case: Case, inspection: Inspection, r: Capsule, labels: Mapping[int, str]
    ) -> Future[SymptomTable] | None:
        """Begin to make what every fault would have made, beside the comparison."""
        if case.observed is None or self.settings.quick or not r.manifest.probes:
            return None
        reports = read_observed(case.observed)
        limits = self.limits(case)
        return self._steps.submit(
            symptom_table, self.pool, r, reports, inspection.generation, limits, labels
        )

    def _table(self, case: Case, symptoms: Future[SymptomTable] | None) -> SymptomTable | None:
        if symptoms is None:
            return None
        self.progress(case.name, "tries what was reported against every fault")
        return symptoms.result()

    def _probe_exactly(
        self, case: Case, inspection: Inspection, r: Capsule, pairs: Sequence[RunPair]
    ) -> tuple[Capsule, ...]:
        """Probe the models of R's run with whole numbers, if that was asked for or may help."""
        asked = self.settings.exact
        if not r.manifest.states or self.settings.quick or not (asked or in_doubt(pairs)):
            return ()
        self.progress(case.name, "probes with whole numbers")
        levers = tuple(EXACT_LEVERS.values()) if asked else ()
        return run_exact(self.pool, r, inspection.generation, self.limits(case), levers)

    def _run(
        self, case: Case, inspection: Inspection, served: Served, runs: dict[str, Capsule]
    ) -> _Begun:
        """Fill ``runs`` one by one: if one of them fails us, those before it are kept."""
        if inspection.problem:
            runs["r"] = not_run(case.name, case.script, inspection, served.frontend)
            return _Begun(self._claims(case, inspection, None))
        pool, limits = self.pool, self.limits(case)
        generation = inspection.generation
        twin: Future[Capsule] | None = None
        if case.twin is not None:
            twin = self._steps.submit(run_twin, pool, case.name, case.twin, generation, limits)
        self.progress(case.name, "runs R")
        r = run_r(pool, case.name, case.script, inspection, served, limits)
        runs["r"] = r
        begun = _Begun(self._claims(case, inspection, r))
        if any(call.error for call in r.manifest.calls):
            begun.other = self._steps.submit(self._try_other_generation, r, inspection)
        intent: Future[Capsule] | None = None
        if not self.settings.quick:
            intent = self._steps.submit(
                run_intent, pool, case.name, case.script, inspection, r, limits
            )
        if twin is not None and self.settings.quick:
            runs["twin"] = twin.result()
        if r.manifest.calls and not ("twin" in runs and agree(r, runs["twin"])):
            self.progress(case.name, "replays and looks inside")
            replay = self._steps.submit(run_replay, pool, r, generation, limits)
            if not self.settings.quick:
                runs["r"] = look(pool, r, generation, limits)
            runs["replay"] = replay.result()
        if intent is not None:
            runs["intent"] = intent.result()
        if twin is not None:
            runs["twin"] = twin.result()
        for name in ("replay", "twin", "intent"):
            if name in runs and not self.settings.quick and other_bits(runs["r"], runs[name]):
                # Only then is it worth the time: equal bits need no bound.
                runs[name] = look(pool, runs[name], generation, limits)
        if runs["r"].manifest.probes:
            self.progress(case.name, "computes the reference")
            runs["reference"] = reference(runs["r"])
        return begun

    def _claims(
        self, case: Case, inspection: Inspection, r: Capsule | None
    ) -> Future[Claimed] | None:
        """Begin to compute the claims beside the replay; they may read R's run."""
        if case.twin is None:
            return None
        return self._steps.submit(
            run_claims,
            self.pool,
            case.name,
            case.twin,
            inspection.generation,
            self.limits(case),
            recorded=r,
            quick=self.settings.quick,
            tell=lambda text: self.progress(case.name, f"claims: {text}"),
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
        )


def write(examined: Sequence[Examined], out: Path) -> Path:
    """Write the reports, pictures, capsules and certificates; return the path of ``index.html``."""
    reports = [each.report for each in examined]
    pictures = {each.report.case: each.pictures for each in examined}
    index = write_report(reports, out, pictures=pictures)
    for each, folder in zip(examined, folders(reports), strict=True):
        for name, capsule in each.runs.items():
            write_capsule(capsule, out / folder / f"{name}.capsule")
            path = out / folder / f"{name}.certificates"
            if any(probe.layers for probe in capsule.manifest.probes):
                write_certificates(path, certificates(capsule))
            else:
                # An earlier run into this folder may have looked, where this one did not.
                path.unlink(missing_ok=True)
        _write_script(each.runs.get("r"), out / folder / "replay.py")
        for number, capsule in enumerate(each.probed):
            write_capsule(capsule, out / folder / f"exact-{number}.capsule")
    return index


def _write_script(recorded: Capsule | None, path: Path) -> None:
    """Write what R asked of Python as a script; one that cannot be written costs no report."""
    path.unlink(missing_ok=True)
    if recorded is None or not recorded.manifest.calls:
        return
    try:
        script_of(recorded, path.stem).save(path)
    except Exception as error:
        path.write_text(f"# It could not be written: {type(error).__name__}.\n", "utf-8")
