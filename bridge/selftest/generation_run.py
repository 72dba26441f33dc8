"""One half of the self-test: all that is done with one generation of Keras."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from bridge.capsule import Capsule, Probe
from bridge.compare.result import RunPair
from bridge.compare.stages import compare_runs
from bridge.explain.intent_diff.stage_diff import attribute
from bridge.explain.lever_search.outcome import bits_same, nothing, outcome, outputs
from bridge.explain.lever_search.protocol import Pull, Searching
from bridge.explain.lever_search.search import search
from bridge.explain.lever_search.targets import Doubt, disagreements, wrong_layers
from bridge.explain.result import Attribution, LeverOutcome
from bridge.faults.layers import IDLE, WITHOUT
from bridge.pipeline.lever_runs import lever_of
from bridge.process.pool import Limits, Pool
from bridge.rounding.judge import Judge
from bridge.rounding.layer_graph import find_layer
from bridge.rounding.rules import class_name
from bridge.runs.levers import LEVERS, available
from bridge.runs.rerun import rerun
from bridge.runs.run import run_twin
from bridge.selftest.batched_search import drive_together
from bridge.selftest.draw import Drawn, draw
from bridge.selftest.score import Benign, Trial

#: How often another fault is drawn for a model whose fault changed nothing.
_ROUNDS: Final = 12
_FEW_ROUNDS: Final = 4
#: Levers that must change nothing that matters. Eager runs are had soonest, and use other kernels.
_HARMLESS: Final = ("", "eager", "batch-1", "eager")
#: Verdicts on two runs that are not the same.
_APART: Final = ("different", "failed")

_LEFT_OPEN: Final = Attribution(cause="not-known", confidence="", sentence="")

_TWIN: Final = """\
from bridge.selftest.random_models import predict


def twin():
    import {package}

    predict({package}, {seed}, range({count}))
"""


@dataclass(frozen=True)
class Done:
    """What one half found."""

    trials: tuple[Trial, ...]
    benign: tuple[Benign, ...]
    redrawn: int
    notes: tuple[str, ...]


class Half:
    """Models of one generation: with faults, and without.

    With ``only_locate`` no lever is pulled, so that causes which need one are left open, and no
    model is run without a fault: what is asked then is only which layers are found guilty.
    """

    def __init__(
        self,
        pool: Pool,
        generation: int,
        seed: int,
        limits: Limits,
        progress: Callable[[str], None],
        twin: str = _TWIN,
        *,
        only_locate: bool = False,
    ) -> None:
        self._pool, self._generation, self._seed = pool, generation, seed
        self._twin, self._only_locate = twin, only_locate
        self._limits, self._progress = limits, progress
        self._judge = Judge()

    def run(self, folder: Path, count: int) -> Done:
        """Put ``count`` faults in, one into each of as many models."""
        models = -(-count // 2)
        self._progress(f"builds {models} models")
        sound = _twice(self._models(folder, models))
        tried = [probe for probe in sound.manifest.probes if _is_tried(probe)]
        probes = {probe.index: probe for probe in tried[:count]}
        notes = []
        if len(probes) < count:
            why = sound.manifest.error.message if sound.manifest.error else sound.manifest.status
            notes.append(
                f"Keras {self._generation}: only {len(probes)} of {count} predictions ran ({why})"
            )
        faulty, made, redrawn = self._put_in(sound, probes)
        trials = self._trials(sound, faulty, made)
        benign = [] if self._only_locate else self._benign(sound, probes)
        return Done(tuple(trials), tuple(benign), redrawn, tuple(notes))

    def _models(self, folder: Path, count: int) -> Capsule:
        package = "tf_keras" if self._generation == 2 else "keras"
        twin = folder / f"selftest_{self._generation}.py"
        twin.write_text(self._twin.format(package=package, seed=self._seed, count=count))
        return run_twin(self._pool, "selftest", twin, self._generation, self._limits)

    def _put_in(
        self, sound: Capsule, probes: Mapping[int, Probe]
    ) -> tuple[dict[int, Drawn], dict[int, Capsule], int]:
        """Put a fault into every model; draw another where no bit of the result changes."""
        found: dict[int, Drawn] = {}
        made: dict[int, Capsule] = {}
        redrawn = 0
        left = set(probes)
        tried: dict[int, set[str]] = defaultdict(set)
        for attempt in range(_FEW_ROUNDS if self._only_locate else _ROUNDS):
            self._progress(f"puts {len(left)} faults in")
            drawn: dict[int, Drawn] = {}
            damaged = sound
            for index in sorted(left):
                rng = np.random.default_rng([self._seed, self._generation, index, attempt])
                one = draw(damaged, probes[index], rng, tried[index])
                if one is not None:
                    tried[index].add(one.kind.kind)
                    drawn[index] = one
                    damaged = one.damaged or damaged
            run = self._again(damaged, drawn, None)
            for index in drawn:
                if isinstance(run, str) or not _visible(sound, run, index):
                    redrawn += 1
                    continue
                found[index], made[index] = drawn[index], _alone(run, index, "r")
                left.discard(index)
            if not left or not drawn:
                break
        return found, made, redrawn

    def _again(
        self,
        recorded: Capsule,
        drawn: Mapping[int, Drawn],
        pull: Pull | None,
        probes: Collection[int] = (),
    ) -> Capsule | str:
        """Run models again with their faults, under a lever; or say why that cannot be."""
        faults = {index: each.fault for index, each in drawn.items() if each.fault is not None}
        lever = lever_of(pull) if pull is not None else None
        try:
            return rerun(
                self._pool, recorded, self._generation, self._limits,
                lever=lever, fault=faults, probes=sorted(probes or drawn),
            )  # fmt: skip
        except Exception as error:
            return f"{type(error).__name__}: {error}"[:300]

    def _trials(
        self, sound: Capsule, faulty: Mapping[int, Drawn], made: Mapping[int, Capsule]
    ) -> list[Trial]:
        """See what is said of every fault."""
        trials: list[Trial] = []
        doubts: dict[int, Doubt] = {}
        named: dict[int, list[str]] = {}
        for index, drawn in faulty.items():
            runs = {"r": made[index], "twin": _alone(sound, index, "twin")}
            pair = compare_runs(runs["r"], runs["twin"], judge=self._judge)
            if drawn.fault is None:
                trials.append(self._asked_for(drawn, runs, pair))
                continue
            wrong = wrong_layers(runs, self._judge) or disagreements(runs, [pair])
            if wrong:
                doubts[index], named[index] = wrong[0], [each.subject for each in wrong]
            else:
                trials.append(self._trial(sound, drawn, None, False, pair.verdict, 0))
        attributions = dict.fromkeys(doubts, _LEFT_OPEN)
        if not self._only_locate:
            attributions = self._search(sound, faulty, made, doubts)
        for index, attribution in attributions.items():
            drawn, doubt = faulty[index], doubts[index]
            right = drawn.layer in doubt.target.names
            said = ", ".join(named[index])
            count = len(named[index])
            trial = self._trial(sound, drawn, attribution, right, said, count)
            trials.append(trial)
        return trials

    def _search(
        self,
        sound: Capsule,
        faulty: Mapping[int, Drawn],
        made: Mapping[int, Capsule],
        doubts: Mapping[int, Doubt],
    ) -> dict[int, Attribution]:
        names = available(self._generation)
        passes = tuple(LEVERS[name].grappler_pass for name in names if LEVERS[name].grappler_pass)
        searches: dict[int, Searching] = {}
        for index, doubt in doubts.items():
            # The fault is put in again for every run: that it lasts needs no proof.
            searches[index] = search(
                doubt.situation(made[index], frozenset(names), passes, repeated=True)
            )

        def answers(pull: Pull, asking: Collection[int]) -> dict[int, LeverOutcome]:
            self._progress(f"pulls the lever {pull.name} for {len(asking)} faults")
            begun = time.perf_counter()
            run = self._again(sound, {index: faulty[index] for index in asking}, pull)
            seconds = (time.perf_counter() - begun) / len(asking)
            if isinstance(run, str):
                return {index: nothing(pull.name, run, seconds) for index in asking}
            return {
                index: outcome(
                    _alone(run, index, "r"), doubts[index].target, pull.name, seconds, self._judge
                )
                for index in asking
            }

        return drive_together(searches, answers)

    def _asked_for(self, drawn: Drawn, runs: Mapping[str, Capsule], pair: RunPair) -> Trial:
        """See what is said of a fault of what was asked for, which needs no lever."""
        first = pair.first_divergence
        if pair.verdict not in _APART or first is None:
            return self._trial(runs["r"], drawn, None, False, pair.verdict, 0)
        right = first.stage == drawn.kind.stage and (not drawn.layer or drawn.layer in first.where)
        attribution = attribute(runs, [pair]) or _LEFT_OPEN
        said = f"{first.stage}: {first.where}"
        return self._trial(runs["r"], drawn, attribution, right, said, 1)

    def _trial(
        self,
        capsule: Capsule,
        drawn: Drawn,
        found: Attribution | None,
        localised: bool,
        said: str,
        named: int,
    ) -> Trial:
        probe = next(each for each in capsule.manifest.probes if each.index == drawn.probe)
        state = capsule.manifest.states[probe.state or 0]
        layer = find_layer(state.layers, drawn.layer)
        cls = (class_name(layer.cls) or "") if layer is not None else ""
        return Trial(
            drawn.kind.kind, self._generation, drawn.model, drawn.layer, drawn.truth,
            drawn.ways, found, localised, said, named, cls,
        )  # fmt: skip

    def _benign(self, sound: Capsule, probes: Mapping[int, Probe]) -> list[Benign]:
        """Run the models without a fault, each under a lever that changes nothing that matters."""
        groups: dict[str, list[int]] = defaultdict(list)
        # Every model has two faults, one after another; without one it is run once.
        alone = {probes[index].label: index for index in sorted(probes, reverse=True)}
        for place, index in enumerate(sorted(alone.values())):
            groups[_HARMLESS[place % len(_HARMLESS)]].append(index)
        found = []
        for lever, indices in groups.items():
            self._progress(f"runs {len(indices)} models without a fault")
            pull = Pull(lever) if lever else None
            run = self._again(sound, {}, pull, indices)
            for index in indices:
                label = lever or "as it was"
                if isinstance(run, str):
                    alarm = run
                else:
                    alarm = self._alarm(_alone(run, index, "r"), _alone(sound, index, "twin"))
                found.append(Benign(self._generation, probes[index].label, label, alarm))
        return found

    def _alarm(self, one: Capsule, other: Capsule) -> str:
        runs = {"r": one, "twin": other}
        pair = compare_runs(one, other, judge=self._judge)
        wrong = wrong_layers(runs, self._judge)
        if wrong:
            return f"{wrong[0].subject} was found wrong"
        return pair.detail or pair.verdict if pair.verdict in _APART else ""


def _is_tried(probe: Probe) -> bool:
    return bool(probe.outputs) and not probe.label.endswith("before")


def _twice(capsule: Capsule) -> Capsule:
    """Return the capsule with every prediction once more, of a model of its own.

    Building a model takes longer than running it, and each can have two faults, one after another.
    What one of them leaves behind is no earlier moment of the other's model.
    """
    manifest = capsule.manifest
    probes, states = list(manifest.probes), list(manifest.states)
    free = 1 + max((state.id for state in states), default=0)
    for probe in manifest.probes:
        if _is_tried(probe) and probe.state is not None:
            model = manifest.states[probe.state].id
            moments = [place for place, each in enumerate(manifest.states) if each.id == model]
            own = {"index": len(probes), "state": len(states) + moments.index(probe.state)}
            probes.append(probe.model_copy(update=own))
            states += [manifest.states[each].model_copy(update={"id": free}) for each in moments]
            free += 1
    changed = {"probes": tuple(probes), "states": tuple(states)}
    return Capsule(manifest.model_copy(update=changed), capsule.arrays)


def _alone(capsule: Capsule, index: int, runner: str) -> Capsule:
    """Return the capsule with one prediction only, as a run of this runner."""
    probes = tuple(each for each in capsule.manifest.probes if each.index == index)
    changed = {"probes": probes, "runner": runner, "error": None, "caught": ()}
    return Capsule(capsule.manifest.model_copy(update=changed), capsule.arrays)


def _visible(sound: Capsule, run: Capsule, index: int) -> bool:
    """Say whether a fault changed a bit of the result, or kept it from being made."""
    before, after = (
        next((each for each in capsule.manifest.probes if each.index == index), None)
        for capsule in (sound, run)
    )
    if before is None or after is None or any(n.startswith((WITHOUT, IDLE)) for n in after.notes):
        return False
    return not bits_same(outputs(sound, before), outputs(run, after))
