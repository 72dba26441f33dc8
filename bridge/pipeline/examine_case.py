"""Examining scripts: each is a case, all of a suite share warm processes; and what is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

from bridge.capsule import Capsule, write_capsule
from bridge.cases.case import Case
from bridge.errors import Errors, collected, isolated
from bridge.explain.attribution import Undo
from bridge.explain.conclusion import OtherGeneration
from bridge.explain.experiment import Experiment, ExperimentOutcome
from bridge.explain.repairs import repairs, works
from bridge.facts.keras import OTHER, RANDOM_INITIALIZER
from bridge.facts.layers import RANDOM_LAYER
from bridge.facts.r import SEEDING_KERAS
from bridge.pipeline.case_run import (
    STEPS_AT_ONCE,
    CaseRun,
    Examined,
    Progress,
    Settings,
    was_begun,
)
from bridge.pipeline.lever_runs import ScriptUnderLever, slow_to_start
from bridge.pipeline.tried_fixes import BUDGET, Asked, asked, tried
from bridge.process.pool import Pool, Warm
from bridge.r.script import Inspection, Served, inspect, serve
from bridge.reduce.reproducer import Repro
from bridge.reduce.script_reduction import ScriptRunner, make_small
from bridge.report import folders, write_report
from bridge.rules.registry import Answered, answers, rules, unknown
from bridge.rules.rule import Finding
from bridge.rules.run import Mended
from bridge.runs.claims import Claimed, run_claims
from bridge.runs.experiments import make_experiments
from bridge.runs.intent import intended, run_intent
from bridge.runs.layer_capture import look
from bridge.runs.levers import Lever
from bridge.runs.r import not_run, run_r, warm_for_r
from bridge.runs.replay import run_replay
from bridge.runs.twin import run_twin, script_of
from bridge.trace.call_semantics import up_to
from bridge.verify.certificate import certificates, write_certificates

__all__ = ["Examined", "Settings", "Suite", "write"]

_UNSEEDED: Final = (
    "The script does not seed Keras. Every run here starts from the same seeds, so that they can "
    "be compared; where weights start at random, plain R gives other numbers each time."
)

#: Is told of a case that is done, and of the seconds that it took.
Finished = Callable[[Examined, float], None]


@dataclass
class ScriptRun(CaseRun):
    """A script, run by R and then in other ways.

    Attributes:
        inspection: what R read in the script.
        served: who answers its ``library()`` calls.
        translation: of its text, by what is taken as R has it.
    """

    inspection: Inspection
    served: Served

    def __post_init__(self) -> None:
        self.translation = cache(partial(intended, self.case.script, self.inspection))

    @property
    def private(self) -> tuple[str, ...]:
        """The folders whose names stay out of the report."""
        return (*super().private, *self.served.libraries)

    def record(self) -> Capsule:
        """Run the script in R, if R can read it."""
        return self.not_recorded() if self.inspection.problem else self.run_r()

    def run_r(self, lever: Lever | None = None) -> Capsule:
        """Run the script in R, under a lever."""
        if lever is None:
            self.tell("runs R")
        arguments = (self.pool, self.case.name, self.case.script, self.inspection, self.served)
        places = self.translation(frozenset()).places
        return run_r(*arguments, self.limits, lever=lever, places=places)

    def not_recorded(self) -> Capsule:
        """Return the capsule of a script that was not run."""
        case, frontend = self.case, self.served.frontend
        return not_run(case.name, case.script, self.inspection, frontend)

    def script(self) -> ScriptUnderLever:
        """Return what runs the whole script under a lever."""
        return lambda lever: look(self.pool, self.run_r(lever), self.generation, self.limits)

    def replay(self, r: Capsule, confirmed: bool) -> Capsule | None:
        """Make R's calls again without R, if it made any."""
        if confirmed or not r.manifest.calls:
            return None
        self.tell("replays and looks inside")
        full = self.settings.full
        return run_replay(self.pool, r, self.generation, self.limits, full=full)

    def look_into_r(self, r: Capsule, confirmed: bool) -> Capsule:
        """Return R's run with what its layers received and made."""
        if confirmed or self.settings.quick or not r.manifest.calls:
            return r
        return look(self.pool, r, self.generation, self.limits)

    def twin(self) -> Capsule | None:
        """Run the equivalent that was written by hand."""
        case = self.case
        if case.twin is None or self.inspection.problem:
            return None
        return run_twin(self.pool, case.name, case.twin, self.generation, self.limits)

    def intent(self, r: Capsule, undo: Undo | None = None) -> Capsule | None:
        """Run what the text means, with something taken as R has it."""
        if self.settings.quick or not was_begun(r):
            return None
        undo = undo or Undo()
        return run_intent(
            self.pool, self.case.name, self.case.script, self.inspection, r, self.limits, undo,
            self.translation(undo.as_r), full=self.settings.full,
        )  # fmt: skip

    def claims(self, r: Capsule) -> Claimed | None:
        """Compute the claims; they may read R's run."""
        if self.case.twin is None:
            return None
        return run_claims(
            self.pool, self.case.name, self.case.twin, self.generation, self.limits,
            recorded=r if was_begun(r) else None,
            quick=self.settings.quick,
            tell=lambda text: self.tell(f"claims: {text}"),
        )  # fmt: skip

    def other_generation(self, r: Capsule) -> OtherGeneration | None:
        """Make the calls that raise here on the other Keras, to see whose rule it is."""
        raising = [call for call in r.manifest.calls if call.error]
        if not raising:
            return None
        calls = [call for call in raising if call.parent is None and not call.internal]
        needed = up_to(r, {call.id for call in calls})
        done = run_replay(self.pool, needed, OTHER[self.generation], self.limits)
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

    def answers(self, r: Capsule, repairs: Sequence[Mended] | None) -> Asked:
        """Ask what the rules find, without those that the script's header allows."""

        def ask(outcomes: Mapping[Experiment, Capsule]) -> Answered:
            return answers(
                r, self.inspection.tree, outcomes, repairs or (), allowed=self.case.allowed
            )

        if self.settings.quick:
            return Asked(ask({}).findings)

        return asked(ask, partial(self.experiments, r), max(BUDGET, r.manifest.seconds))

    def experiments(
        self, r: Capsule, wanted: Sequence[Experiment], seconds: float
    ) -> Sequence[ExperimentOutcome]:
        """Make what the rules want to know."""
        self.tell(f"makes {len(wanted)} experiments")
        return make_experiments(self.pool, r, self.generation, wanted, self.limits, seconds)

    def fixed(self, r: Capsule, asked: Asked | None) -> Asked | None:
        """Try the fix of the first finding that decides, and keep what came of it."""
        if asked is None or self.settings.quick or r.manifest.status not in ("ok", "error"):
            return asked
        found = tried(asked.findings, self.case.script, self.run_changed)
        return replace(asked, findings=found)

    def run_changed(self, script: Path, finding: Finding) -> tuple[Capsule, Sequence[Finding]]:
        """Run a changed script, and ask all rules of it; one of them may make experiments."""
        self.tell("tries a fix")
        _, (inspection,) = inspect([script])
        name = self.case.name
        r = run_r(self.pool, name, script, inspection, self.served, self.limits)
        if r.manifest.status != "ok":
            return r, ()
        seen = look(self.pool, r, self.generation, self.limits)
        allowed = set(self.case.allowed)
        found = answers(seen, inspection.tree, allowed=allowed).findings
        others = allowed | (set(rules()) - {finding.rule})

        def ask(outcomes: Mapping[Experiment, Capsule]) -> Answered:
            return answers(seen, inspection.tree, outcomes, allowed=others)

        own = asked(ask, partial(self.experiments, seen), BUDGET / 2).findings
        known = {result.rule for result in found}
        return r, (*found, *(result for result in own if result.rule not in known))

    def repaired(self, r: Capsule, replay: Capsule | None) -> tuple[Mended, ...]:
        """Return the first repair with which the call works that raises, and what follows it."""
        if replay is None:
            return ()
        for repair in repairs(r, replay, self.inspection.tree):
            needed = up_to(repair.capsule, repair.followers | {repair.call})
            if works(repair, run_replay(self.pool, needed, self.generation, self.limits)):
                return (repair.said,)
        return ()

    def chance(self, runs: Mapping[str, Capsule]) -> tuple[str, ...]:
        """Say where the numbers are one draw of many."""
        return chance(self.inspection, runs)


def chance(inspection: Inspection, runs: Mapping[str, Capsule]) -> tuple[str, ...]:
    """Say where the numbers are one draw of many: no seed in the script, and chance in a model."""
    if SEEDING_KERAS & set(inspection.functions):
        return ()
    text = "".join(
        layer.model_dump_json() for state in runs["r"].manifest.states for layer in state.layers
    )
    drawn = RANDOM_INITIALIZER.search(text) or RANDOM_LAYER.search(text)
    return (_UNSEEDED,) if drawn else ()


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
        self._threads = ThreadPoolExecutor(max_workers=STEPS_AT_ONCE * settings.jobs)

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
        self.pool.warm(
            *(Warm(inspection.generation) for inspection in inspections if not inspection.problem)
        )
        if self.settings.explain:
            # A second core is idle until the first of them is there.
            self.pool.warm(*(
                warm for inspection in inspections if not inspection.problem
                for warm in slow_to_start(inspection.generation)
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
            except BaseException:  # also where nobody wants the rest: it is raised again
                for future in futures:
                    future.cancel()
                self._close_pool()
                raise

    def make_small(self, case: Case, examined: Examined, folder: Path) -> Repro:
        """Write the smallest model or script that still shows what was found of a case."""
        settings = replace(self.settings, explain=False, exact=False, quick=False)

        def examine(smaller: Case) -> Examined:
            with Suite(settings, pool=self.pool) as suite:
                (found,) = suite.examine([smaller])
            return found

        limits, tell = settings.limits_of(case), partial(self.progress, case.name)
        means = ScriptRunner(self.pool, limits, settings.frontend, examine, tell)
        return make_small(means, case, examined, folder)

    def _close_pool(self) -> None:
        if not self._borrowed:
            self.pool.close()

    def _timed(
        self, case: Case, inspection: Inspection, served: Served, finished: Finished
    ) -> Examined:
        began = time.monotonic()
        case = replace(case, problems=(*case.problems, *unknown(case.allowed)))
        tell = partial(self.progress, case.name)
        examined = ScriptRun(
            self.pool, case, inspection.generation, self.settings, self._threads, tell,
            inspection, served,
        ).examined()  # fmt: skip
        finished(examined, time.monotonic() - began)
        return examined


def write(
    examined: Sequence[Examined],
    out: Path,
    *,
    single: bool = False,
    changed: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Write the reports, pictures, capsules and certificates; return the path of ``index.html``.

    ``single``: that page can be sent by itself. ``changed`` has the headline that a case had in
    the run before, where it had another end.
    """
    places = folders([result.report for result in examined])
    written = [
        _write_files(result, out / folder) for result, folder in zip(examined, places, strict=True)
    ]
    pictures = {result.report.case: result.pictures for result in written}
    reports = [result.report for result in written]
    return write_report(reports, out, pictures=pictures, single=single, changed=changed)


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
                issued = isolated(
                    "issuing certificates", partial(certificates, capsule, given), None
                )
                if issued is not None:
                    write_certificates(path, issued)
        _write_script(examined.runs.get("r"), folder / "replay.py")
        for number, capsule in enumerate(examined.probed):
            write_capsule(capsule, folder / f"exact-{number}.capsule")
    return examined.with_errors(errors.found, (str(folder.resolve()),))


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
