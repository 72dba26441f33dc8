"""Asking the stack: the search's questions, answered by runs under levers.

The only part of explaining that runs anything. A model that was recorded is built again and run in
a fresh process for every lever; where that cannot be, the whole script is run under the lever.
A lever that cannot be pulled becomes a sentence, and costs no other lever its outcome.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final

from bridge.capsule import Capsule
from bridge.compare.result import RunPair
from bridge.errors import BridgeError, InternalError, attempted, bound
from bridge.explain.executed_ops import asked_again, elsewhere
from bridge.explain.lever_search import ALL_OFF, AS_RECORDED, Pull, drive, search
from bridge.explain.lever_targets import (
    FEW_ROWS,
    MOST_ROWS,
    Doubt,
    against,
    disagreements,
    narrowed,
    nothing,
    outcome,
    part_of,
    repeated,
    undecided,
    whole,
    wrong_layers,
)
from bridge.explain.result import CauseEvidence, LeverOutcome
from bridge.explain.stage_diff import attribute
from bridge.faults.layers import Fault
from bridge.process.pool import Limits, Pool, Warm
from bridge.rounding.layer_records import Judge
from bridge.runs.levers import LEVERS, Lever, available, without
from bridge.runs.rerun import rerun

#: What ``explain`` pulls in any case.
BASIC: Final = ("eager", ALL_OFF, "remapping-off", "onednn-off", "xla", "float64", "batch-1")
#: Runs under levers, at most, in all searches of a case.
MOST_RUNS: Final = 32
#: Further places, at most, that are searched for a cause of their own.
_MORE: Final = 2
#: Runs at once where the order does not matter.
_AT_ONCE: Final = 2

#: Runs the whole script under a lever and looks into its layers.
ScriptUnderLever = Callable[[Lever | None], Capsule]
Progress = Callable[[str], None]


@dataclass
class LeverRuns:
    """How runs under levers are had, each only once: ``script`` is asked where models cannot be.

    ``fault`` is put into every run, to see whether it is found.
    """

    pool: Pool
    recorded: Capsule
    generation: int
    limits: Limits
    script: ScriptUnderLever | None = None
    fault: Fault | None = None
    progress: Progress = lambda _text: None
    judge: Judge = field(default_factory=Judge)
    _runs: dict[tuple[Pull, frozenset[int]], tuple[Capsule | str, float]] = field(
        default_factory=dict
    )

    def run(self, pull: Pull, probes: frozenset[int]) -> tuple[Capsule | str, float]:
        """Return a run under a lever, or the sentence that says why there is none; and its time."""
        key = (pull, probes)
        if key not in self._runs:
            self.progress(f"pulls the lever {pull.name}")
            begun = time.perf_counter()
            try:
                capsule: Capsule | InternalError | str = attempted(
                    f"pulling the lever {pull.name}", lambda: self._run(pull, probes)
                )
            except BridgeError as error:
                capsule = f"{type(error).__name__}: {error}"[:500]
            if isinstance(capsule, InternalError):
                # One lever less: the others may still find the cause.
                capsule = capsule.message[:500]
            self._runs[key] = capsule, time.perf_counter() - begun
        return self._runs[key]

    def pulled(self, probes: frozenset[int]) -> list[Pull]:
        """Return the levers under which these probes were run so far."""
        return [pull for pull, wanted in self._runs if wanted == probes]

    def _run(self, pull: Pull, probes: frozenset[int]) -> Capsule:
        lever = lever_of(pull)
        capsule = rerun(
            self.pool,
            self.recorded,
            self.generation,
            self.limits,
            lever=lever,
            fault=self.fault,
            probes=sorted(probes),
        )
        if lever is not None and lever.dtype == "float64":
            capsule = narrowed(capsule)
        there = {probe.index for probe in capsule.manifest.probes if probe.outputs}
        if self.script is None or probes <= there or (lever is not None and lever.of_models):
            return capsule
        return self.script(lever)


def lever_of(pull: Pull) -> Lever | None:
    """Return the lever that a search asks for; None leaves everything as it was."""
    held = LEVERS[pull.way] if pull.way else None
    if pull.lever == AS_RECORDED:
        return held
    lever = without(pull.without) if pull.without else LEVERS[pull.lever]
    if held is not None:
        lever = replace(lever, way=held.way)
    return replace(lever, name=pull.name)


def investigate(
    pool: Pool,
    runs: Mapping[str, Capsule],
    pairs: Sequence[RunPair],
    *,
    generation: int,
    limits: Limits,
    script: ScriptUnderLever | None = None,
    fault: Fault | None = None,
    judge: Judge | None = None,
    basic: bool = False,
    progress: Progress = lambda _text: None,
) -> CauseEvidence | None:
    """Search for the cause of what is wrong, or of what runs disagree on.

    Args:
        pool: starts the processes.
        runs: the runs of the case, by their runners' names.
        pairs: their comparison.
        generation: the Keras of the case, 2 or 3.
        limits: of every run.
        script: runs the whole script under a lever, for what no recorded model makes.
        fault: a defect that is put into every run, to see whether it is found.
        judge: remembers the verdicts on layers.
        basic: pull the basic set of levers, even if nothing is wrong.
        progress: is told what is done.

    Returns:
        The cause, or None where there is nothing to explain and nothing was asked for.
    """
    means_judge = judge or Judge()
    doubts = wrong_layers(runs, means_judge) or disagreements(runs, pairs)
    subject = doubts[0].run if doubts else "r"
    asked = attribute(runs, pairs)
    if subject not in runs:
        return asked
    means = LeverRuns(
        pool,
        runs[subject],
        generation,
        limits,
        script if subject == "r" else None,
        fault,
        progress,
        means_judge,
    )
    if not doubts and asked is None:
        doubts = _eager_differs(means)
    found = _both(asked, _search(means, runs, doubts) if doubts else None)
    return _with_basic(means, found) if basic else found


def _both(asked: CauseEvidence | None, computed: CauseEvidence | None) -> CauseEvidence | None:
    """Put together what R asked for otherwise than was meant, and what was computed wrongly.

    The earlier stage comes first, if its cause is known; the other is left over as another fault.
    """
    if asked is None or computed is None:
        return asked or computed
    first, second = (asked, computed) if asked.cause != "not-known" else (computed, asked)
    besides = f"there is something else besides ({second.cause}): {second.sentence}"
    return first.model_copy(
        update={
            "levers": computed.levers,
            "verdict": "different",
            "unexplained": (*first.unexplained, besides),
        }
    )


def _search(
    means: LeverRuns, runs: Mapping[str, Capsule], doubts: Sequence[Doubt]
) -> CauseEvidence:
    """Search for the cause of the first doubt, and see whether it is that of the others too."""
    probes = frozenset(doubt.target.probe for doubt in doubts)
    first = _one(means, runs, doubts[0], probes, MOST_RUNS)
    found = first.model_copy(update={"verdict": "different"})
    others: list[str] = []
    for doubt in doubts[1:]:
        if _answers_alike(means, doubts[0], doubt, first, probes):
            continue
        if len(others) == _MORE:
            others.append("further places are wrong for other reasons")
            break
        left = max(0, MOST_RUNS - len(found.levers))
        second = _one(means, runs, doubt, probes, left)
        others.append(f"{doubt.subject} is wrong for another reason ({second.cause}): "
                      f"{second.sentence}")  # fmt: skip
        known = {lever.lever for lever in found.levers}
        more = (lever for lever in second.levers if lever.lever not in known)
        found = found.model_copy(update={"levers": (*found.levers, *more)})
    return found.model_copy(update={"unexplained": (*found.unexplained, *others)})


def _one(
    means: LeverRuns, runs: Mapping[str, Capsule], doubt: Doubt, probes: frozenset[int], limit: int
) -> CauseEvidence:
    names = available(means.generation)
    passes = tuple(LEVERS[name].grappler_pass for name in names if LEVERS[name].grappler_pass)
    place = doubt.searched_place(runs[doubt.run], frozenset(names), passes, repeated(runs, doubt))
    place = replace(place, limit=limit)
    found = drive(search(place), lambda pull: _pulled(means, doubt, pull, probes))
    again, _ = means.run(Pull(AS_RECORDED), probes) if asked_again(found) else ("", 0.0)
    if isinstance(again, str):
        return found
    target = doubt.target
    return elsewhere(found, runs[doubt.run], again, target.probe, target.names)


def _pulled(means: LeverRuns, doubt: Doubt, pull: Pull, probes: frozenset[int]) -> LeverOutcome:
    capsule, seconds = means.run(pull, probes)
    if isinstance(capsule, str):
        return nothing(pull.name, capsule, seconds)
    return outcome(capsule, doubt.target, pull.name, seconds, means.judge)


def _answers_alike(
    means: LeverRuns, first: Doubt, second: Doubt, found: CauseEvidence, probes: frozenset[int]
) -> bool:
    """Say whether every lever that was pulled for one place did the same for another."""
    if found.cause == "not-known":
        return False
    pulls = {pull.name: pull for pull in means.pulled(probes)}
    return all(
        _pulled(means, second, pulls[lever.lever], probes).verdict
        in _like(_pulled(means, first, pulls[lever.lever], probes))
        for lever in found.levers
        if lever.lever in pulls
    )


def _like(outcome: LeverOutcome) -> tuple[str, ...]:
    right = ("same-bits", "within-rounding")
    return right if outcome.verdict in right else (outcome.verdict,)


def _eager_differs(means: LeverRuns) -> list[Doubt]:
    """Return what is another result eagerly, of what no rule decides and no rounding changes."""
    targets = undecided(means.recorded, means.judge)
    if not targets:
        return []
    probes = frozenset(target.probe for target in targets)
    eager, _ = means.run(Pull("eager"), probes)
    if isinstance(eager, str):
        return []
    there = {probe.index for probe in eager.manifest.probes if probe.outputs}
    found = []
    for target in targets:
        if target.probe not in there:
            continue
        judged = against(target, eager)
        if outcome(means.recorded, judged, AS_RECORDED).verdict == "different":
            subject = f"the result of prediction {target.probe + 1}"
            found.append(Doubt("r", judged, subject, "model.predict(x)"))
    return found


def _with_basic(means: LeverRuns, found: CauseEvidence | None) -> CauseEvidence:
    """Add the basic set of levers, for what decides of all that the run predicted."""
    probes = frozenset(
        probe.index
        for probe in means.recorded.manifest.probes
        if probe.kind in ("predict", "call") and probe.outputs
    )
    known = {lever.lever for lever in found.levers} if found else set()
    more = list(_basic(means, probes, known)) if probes else []
    if found is not None:
        return found.model_copy(update={"levers": (*found.levers, *more)})
    return CauseEvidence(cause="none", confidence="", sentence="", levers=tuple(more))


def slow_to_start(generation: int) -> tuple[Warm, ...]:
    """Return the processes of basic levers of the environment: each has to load TensorFlow anew."""
    names = [name for name in BASIC if name in available(generation) and LEVERS[name].env]
    return tuple(LEVERS[name].warm(generation) for name in names)


def _basic(means: LeverRuns, probes: frozenset[int], known: set[str]) -> Iterable[LeverOutcome]:
    names = [name for name in BASIC if name not in known and name in available(means.generation)]
    means.pool.warm(*slow_to_start(means.generation))
    parts = {
        rows: part_of(means.recorded, probes, rows, means.judge) for rows in (FEW_ROWS, MOST_ROWS)
    }

    def pulled(name: str) -> LeverOutcome:
        part = parts[FEW_ROWS if LEVERS[name].rows else MOST_ROWS]
        passes = (LEVERS[name].grappler_pass,) if LEVERS[name].grappler_pass else ()
        fewer = replace(means, recorded=part.capsule, _runs={})
        capsule, seconds = fewer.run(Pull(name, passes), part.probes)
        if isinstance(capsule, str):
            return nothing(name, capsule, seconds)
        restricted = part.sentence if capsule.manifest.runner == "replay" else ""
        found = whole(capsule, name, seconds, means.judge)
        return found.model_copy(update={"restricted": restricted})

    with ThreadPoolExecutor(_AT_ONCE) as several:
        yield from several.map(bound(pulled), names)
