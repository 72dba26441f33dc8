"""The self-test of one Keras generation: faults drawn, put in, searched for and scored."""

from __future__ import annotations

import importlib.util
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from bridge.capsule import Capsule, LayerState, Probe
from bridge.compare.result import RunPair
from bridge.compare.stages import compare_runs
from bridge.errors import BridgeError, JobError
from bridge.explain.lever_search import Pull, Searching, search
from bridge.explain.lever_targets import (
    Doubt,
    bits_same,
    disagreements,
    nothing,
    outcome,
    outputs,
    wrong_layers,
)
from bridge.explain.result import CauseEvidence, LeverOutcome, SelftestScore
from bridge.explain.stage_diff import attribute
from bridge.facts.keras import ACTIVATIONS, PACKAGES
from bridge.facts.layers import LAYERS, class_name
from bridge.faults.catalogue import (
    EVERYWHERE,
    FAULTS,
    IN_GRAPHS,
    IN_KERNELS,
    IN_XLA,
    TRACED,
    FaultKind,
    Group,
    is_cause_of,
)
from bridge.faults.layers import Fault
from bridge.faults.recording import damage
from bridge.pipeline.lever_runs import lever_of
from bridge.process.pool import Limits, Pool
from bridge.rounding.layer_graph import find_layer
from bridge.rounding.layer_records import Judge
from bridge.runs.levers import LEVERS, available
from bridge.runs.rerun import rerun
from bridge.runs.twin import run_twin

#: Causes that say that nothing is wrong, or that it is not known what.
_NO_CAUSE: Final = frozenset({"", "not-known"})
_SURE: Final = frozenset({"proven", "likely"})


@dataclass(frozen=True)
class Trial:
    """One fault that was put in and changed what was computed, and what was said of it.

    ``place`` is the layer that had it, "" where it was the input; ``truth`` the right cause.
    ``found`` is None where nothing was noticed; ``places`` are what was named as wrong.
    """

    kind: str
    generation: int
    model: str
    place: str
    truth: str
    ways: tuple[str, ...] = ()
    found: CauseEvidence | None = None
    localised: bool = False
    said: str = ""
    named: int = 0
    cls: str = ""

    @property
    def executions(self) -> int:
        """How often the model was run: with the fault, and under every lever that was pulled."""
        return 1 + (len(self.found.levers) if self.found is not None else 0)

    @property
    def detected(self) -> bool:
        """Say whether the run was found to be wrong."""
        return self.found is not None

    @property
    def attributed(self) -> bool:
        """Say whether the right cause was named."""
        return self.found is not None and is_cause_of(self.truth, self.found.cause)

    @property
    def abstained(self) -> bool:
        """Say whether it was noticed, and no cause was named."""
        return self.found is not None and self.found.cause in _NO_CAUSE

    @property
    def confidently_wrong(self) -> bool:
        """Say whether another cause was named as likely or proven."""
        return (
            self.found is not None
            and not self.attributed
            and not self.abstained
            and self.found.confidence in _SURE
        )

    def line(self) -> str:
        """Say in one line what went wrong with it; empty if nothing did."""
        where = (
            f"{self.kind} in {self.place or 'the input'} of {self.model} (Keras {self.generation}"
        )
        where += f", shows in {'/'.join(self.ways)})" if self.ways else ")"
        if self.confidently_wrong and self.found is not None:
            return f"{where}: {self.found.cause} was named, {self.truth} is right"
        if not self.detected:
            return f"{where}: not noticed{f' ({self.said})' if self.said else ''}"
        if not self.localised:
            return f"{where}: the place was not named ({self.said})"
        if not self.attributed and self.found is not None:
            named = "no cause was" if self.abstained else f"{self.found.cause} was possibly"
            return f"{where}: {named} named, {self.truth} is right"
        return ""

    @property
    def badness(self) -> int:
        """How bad what went wrong is; 0 if nothing did."""
        if self.confidently_wrong:
            return 4
        if not self.detected:
            return 3
        if not self.localised:
            return 2
        return 0 if self.attributed else 1


@dataclass(frozen=True)
class Benign:
    """A run without a fault; ``alarm`` says what was taken for one, "" if nothing was."""

    generation: int
    model: str
    lever: str
    alarm: str = ""


@dataclass(frozen=True)
class Selftest:
    """A self-test: its trials, runs without a fault, how many faults changed no bit, the time."""

    trials: tuple[Trial, ...]
    benign: tuple[Benign, ...]
    redrawn: int
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def score(self) -> SelftestScore:
        """The score."""
        trials = self.trials
        return SelftestScore(
            injected=len(trials),
            detected=sum(trial.detected for trial in trials),
            localised=sum(trial.localised for trial in trials),
            attributed=sum(trial.attributed for trial in trials),
            abstained=sum(trial.abstained for trial in trials),
            confidently_wrong=sum(trial.confidently_wrong for trial in trials),
            false_alarms=sum(bool(trial.alarm) for trial in self.benign),
            seconds=round(self.seconds, 1),
            benign=len(self.benign),
        )

    @property
    def passed(self) -> bool:
        """Say whether nothing was said that is not so."""
        score = self.score
        return score.injected > 0 and not score.confidently_wrong and not score.false_alarms

    def as_json(self) -> str:
        """Return the score as JSON: its eight numbers, and nothing else."""
        return json.dumps(self.score.model_dump(exclude={"benign", "date"}), indent=1)

    def lines(self) -> Iterable[str]:
        """Yield the sentence, the table by kind of fault, and what went wrong, the worst first."""
        yield self.sentence
        yield ""
        yield from _table(self.trials)
        worst = sorted(self.trials, key=lambda trial: -trial.badness)
        wrong = [trial.line() for trial in worst if trial.badness]
        alarms = [
            f"{trial.model} (Keras {trial.generation}, {trial.lever}): a false alarm: {trial.alarm}"
            for trial in self.benign
            if trial.alarm
        ]
        if alarms or wrong:
            yield ""
            yield from (*alarms, *wrong)
        yield from self.notes

    @property
    def sentence(self) -> str:
        """The result in words."""
        score = self.score
        if not score.injected:
            return "No fault could be put in that changed anything."
        return (
            f"Of {score.injected} faults, {score.detected} were noticed, the place of "
            f"{score.localised} and the cause of {score.attributed} were named right; "
            f"{score.abstained} were left open, {score.confidently_wrong} were blamed on something "
            f"else. {score.benign} runs without a fault gave {_alarms(score.false_alarms)} "
            f"({self.redrawn} further faults changed no bit; {score.seconds:.0f} s)."
        )


def _alarms(count: int) -> str:
    return {0: "no false alarm", 1: "1 false alarm"}.get(count, f"{count} false alarms")


def _table(trials: Sequence[Trial]) -> Iterable[str]:
    head = ("fault", "put in", "noticed", "placed", "cause right", "left open", "wrong")
    rows: list[tuple[str, tuple[int, ...]]] = []
    for kind in FAULTS:
        of = [trial for trial in trials if trial.kind == kind]
        if of:
            asked = (
                [trial.detected for trial in of],
                [trial.localised for trial in of],
                [trial.attributed for trial in of],
                [trial.abstained for trial in of],
                [trial.confidently_wrong for trial in of],
            )
            rows.append((kind, (len(of), *map(sum, asked))))
    if not rows:
        return
    width = max(len(kind) for kind, _ in rows)
    yield "  ".join((head[0].ljust(width), *head[1:]))
    for kind, counts in rows:
        numbers = (str(x).rjust(len(name)) for x, name in zip(counts, head[1:], strict=True))
        yield "  ".join((kind.ljust(width), *numbers))


Key = TypeVar("Key", bound=Hashable)


def drive_together(
    searches: Mapping[Key, Searching],
    answers: Callable[[Pull, list[Key]], Mapping[Key, LeverOutcome]],
) -> dict[Key, CauseEvidence]:
    """Run searches to their ends, round by round.

    ``answers`` runs everything that asks for one lever, and answers each.
    """
    found: dict[Key, CauseEvidence] = {}
    waiting: dict[Key, Pull] = {}
    taken: dict[Key, int] = defaultdict(int)

    def step(key: Key, outcome: LeverOutcome | None) -> None:
        try:
            search = searches[key]
            waiting[key] = next(search) if outcome is None else search.send(outcome)
        except StopIteration as stop:
            found[key] = stop.value

    for key in searches:
        step(key, None)
    while waiting:
        asked: dict[Pull, list[Key]] = defaultdict(list)
        for key, pull in waiting.items():
            asked[pull].append(key)
        # Those that are behind come first: they may come to ask for what the others wait for.
        pull = min(
            asked, key=lambda entry: (min(taken[key] for key in asked[entry]), -len(asked[entry]))
        )
        outcomes = answers(pull, asked[pull])
        for key in asked[pull]:
            del waiting[key]
            taken[key] += 1
            step(key, outcomes[key])
    return found


# Drawing faults: which, in which layer, showing in which ways of running.

#: How many of a hundred faults are of each group.
_SHARES: Final[Mapping[Group, int]] = {
    "marshalling": 15, "arguments": 12, "weights": 13, "layers": 30, "graph": 15, "kernel": 15,
}  # fmt: skip
#: By how much a weight is moved: as an edit of the weights would, and as a rounding never does.
_MOVED: Final = (0.5, 0.1, 1e-2)


@dataclass(frozen=True)
class PlannedFault:
    """A fault that is to be put into one prediction.

    ``damaged`` is the recording that has it, for a fault of what was asked for; ``fault`` is put
    in when the model is run.
    """

    kind: FaultKind
    probe: int
    model: str
    layer: str
    truth: str
    ways: tuple[str, ...]
    fault: Fault | None = None
    damaged: Capsule | None = None


def draw(
    recorded: Capsule, probe: Probe, rng: np.random.Generator, without: Collection[str] = ()
) -> PlannedFault | None:
    """Draw a fault for a prediction, of a kind that was not tried; None if it can have none."""
    names = list(_SHARES)
    shares = np.array([_SHARES[name] for name in names], dtype=float)
    order = rng.choice(len(names), len(names), replace=False, p=shares / shares.sum())
    for place in order:
        group = names[int(place)]
        kinds = [k for k in FAULTS.values() if k.group == group and k.kind not in without]
        for number in rng.permutation(len(kinds)):
            drawn = _drawn(recorded, probe, kinds[int(number)], rng)
            if drawn is not None:
                return drawn
    return None


def _drawn(
    recorded: Capsule, probe: Probe, kind: FaultKind, rng: np.random.Generator
) -> PlannedFault | None:
    if kind.into == "recording":
        damaged = damage(recorded, kind.kind, rng, probe.index)
        if damaged is None:
            return None
        return PlannedFault(
            kind,
            probe.index,
            probe.label,
            damaged.layer,
            kind.cause,
            EVERYWHERE,
            None,
            damaged.capsule,
        )
    if probe.state is None:
        return None
    compiled = probe.executed is not None and probe.executed.jit_compiled
    layers = [
        layer for layer in recorded.manifest.states[probe.state].layers if _can_have(kind, layer)
    ]
    ways = list(_ways(kind, compiled))
    if not layers or not ways:
        return None
    layer = layers[int(rng.integers(len(layers)))]
    way = ways[int(rng.integers(len(ways)))]
    truth = kind.causes[way]
    if truth.endswith(":"):
        truth += LAYERS[class_name(layer.cls) or ""].op
    amount = _MOVED[int(rng.integers(len(_MOVED)))] if kind.kind == "weight-moved" else 0.0
    fault = Fault(kind.kind, layer.name, way, int(rng.integers(8)), amount)
    return PlannedFault(kind, probe.index, probe.label, layer.name, truth, way, fault)


def _ways(kind: FaultKind, compiled: bool) -> Iterator[tuple[str, ...]]:
    """Yield the ways in which a fault may show, those in which it cannot be seen here left out."""
    for ways in kind.causes:
        if compiled and ways in (EVERYWHERE, TRACED, IN_XLA):
            yield ways
        if not compiled and ways in (EVERYWHERE, TRACED, IN_GRAPHS, IN_KERNELS):
            yield ways


def _can_have(kind: FaultKind, layer: LayerState) -> bool:
    """Say whether a layer can have a fault, as far as its configuration tells."""
    name = class_name(layer.cls) or ""
    if not kind.fits(name):
        return False
    activation = layer.config.get("activation", "linear")
    shapes = [weight.array.shape for weight in layer.weights if len(weight.array.shape) >= 2]
    if kind.kind in ("activation-lost", "activation-lost-in-unit"):
        alone = "activation" not in layer.config and name in LAYERS and LAYERS[name].activates
        return alone or activation != "linear"
    if kind.kind == "relu-lost-in-fused":
        return activation == "relu"
    if kind.kind in ("fused-activation-lost", "fused-order-wrong"):
        return (
            isinstance(activation, str)
            and activation in ACTIVATIONS
            and (ACTIVATIONS[activation].fused)
        )
    if kind.kind == "gelu-approximate":
        return activation == "gelu"
    if kind.kind == "kernel-transposed":
        return any(shape[0] == shape[1] for shape in shapes)
    if kind.kind == "padding-shifted":
        return layer.config.get("padding") == "same"
    return True


# One half of the self-test: all that is done with one generation of Keras.

#: How often another fault is drawn for a model whose fault changed nothing.
_ROUNDS: Final = 12
_FEW_ROUNDS: Final = 4
#: Levers that must change nothing that matters. Eager runs are had soonest, and use other kernels.
_HARMLESS: Final = ("", "eager", "batch-1", "eager")
#: Verdicts on two runs that are not the same.
_APART: Final = ("different", "failed")

_LEFT_OPEN: Final = CauseEvidence(cause="not-known", confidence="", sentence="")

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
        faulty, alone, redrawn = self._put_in(sound, probes)
        trials = self._trials(sound, faulty, alone)
        benign = [] if self._only_locate else self._benign(sound, probes)
        return Done(tuple(trials), tuple(benign), redrawn, tuple(notes))

    def _models(self, folder: Path, count: int) -> Capsule:
        package = PACKAGES[self._generation]
        twin = folder / f"selftest_{self._generation}.py"
        twin.write_text(self._twin.format(package=package, seed=self._seed, count=count))
        return run_twin(self._pool, "selftest", twin, self._generation, self._limits)

    def _put_in(
        self, sound: Capsule, probes: Mapping[int, Probe]
    ) -> tuple[dict[int, PlannedFault], dict[int, Capsule], int]:
        """Put a fault into every model; draw another where no bit of the result changes."""
        found: dict[int, PlannedFault] = {}
        alone: dict[int, Capsule] = {}
        redrawn = 0
        left = set(probes)
        tried: dict[int, set[str]] = defaultdict(set)
        for attempt in range(_FEW_ROUNDS if self._only_locate else _ROUNDS):
            self._progress(f"puts {len(left)} faults in")
            drawn: dict[int, PlannedFault] = {}
            damaged = sound
            for index in sorted(left):
                rng = np.random.default_rng([self._seed, self._generation, index, attempt])
                choice = draw(damaged, probes[index], rng, tried[index])
                if choice is not None:
                    tried[index].add(choice.kind.kind)
                    drawn[index] = choice
                    damaged = choice.damaged or damaged
            run = self._again(damaged, drawn, None)
            for index in drawn:
                if isinstance(run, str) or not _visible(sound, run, index):
                    redrawn += 1
                    continue
                found[index], alone[index] = drawn[index], _alone(run, index, "r")
                left.discard(index)
            if not left or not drawn:
                break
        return found, alone, redrawn

    def _again(
        self,
        recorded: Capsule,
        drawn: Mapping[int, PlannedFault],
        pull: Pull | None,
        probes: Collection[int] = (),
    ) -> Capsule | str:
        """Run models again with their faults, under a lever; or say why that cannot be."""
        faults = {
            index: choice.fault for index, choice in drawn.items() if choice.fault is not None
        }
        lever = lever_of(pull) if pull is not None else None
        try:
            return rerun(
                self._pool, recorded, self._generation, self._limits,
                lever=lever, fault=faults, probes=sorted(probes or drawn),
            )  # fmt: skip
        except BridgeError as error:
            # A defect of ours is none of the model's, and ends the self-test.
            if error.ends_everything or isinstance(error, JobError):
                raise
            return f"{type(error).__name__}: {error}"[:300]

    def _trials(
        self, sound: Capsule, faulty: Mapping[int, PlannedFault], alone: Mapping[int, Capsule]
    ) -> list[Trial]:
        """See what is said of every fault."""
        trials: list[Trial] = []
        doubts: dict[int, Doubt] = {}
        named: dict[int, list[str]] = {}
        for index, drawn in faulty.items():
            runs = {"r": alone[index], "twin": _alone(sound, index, "twin")}
            pair = compare_runs(runs["r"], runs["twin"], judge=self._judge)
            if drawn.fault is None:
                trials.append(self._asked_for(drawn, runs, pair))
                continue
            wrong = wrong_layers(runs, self._judge) or disagreements(runs, [pair])
            if wrong:
                doubts[index], named[index] = wrong[0], [doubt.subject for doubt in wrong]
            else:
                trials.append(self._trial(sound, drawn, None, False, pair.verdict, 0))
        attributions = dict.fromkeys(doubts, _LEFT_OPEN)
        if not self._only_locate:
            attributions = self._search(sound, faulty, alone, doubts)
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
        faulty: Mapping[int, PlannedFault],
        alone: Mapping[int, Capsule],
        doubts: Mapping[int, Doubt],
    ) -> dict[int, CauseEvidence]:
        names = available(self._generation)
        passes = tuple(LEVERS[name].grappler_pass for name in names if LEVERS[name].grappler_pass)
        searches: dict[int, Searching] = {}
        for index, doubt in doubts.items():
            # The fault is put in again for every run: that it lasts needs no proof.
            searches[index] = search(
                doubt.searched_place(alone[index], frozenset(names), passes, repeated=True)
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

    def _asked_for(self, drawn: PlannedFault, runs: Mapping[str, Capsule], pair: RunPair) -> Trial:
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
        drawn: PlannedFault,
        found: CauseEvidence | None,
        localised: bool,
        said: str,
        named: int,
    ) -> Trial:
        probe = next(probe for probe in capsule.manifest.probes if probe.index == drawn.probe)
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

    def _alarm(self, left: Capsule, right: Capsule) -> str:
        runs = {"r": left, "twin": right}
        pair = compare_runs(left, right, judge=self._judge)
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
            moments = [place for place, state in enumerate(manifest.states) if state.id == model]
            own = {"index": len(probes), "state": len(states) + moments.index(probe.state)}
            probes.append(probe.model_copy(update=own))
            states += [
                manifest.states[moment].model_copy(update={"id": free}) for moment in moments
            ]
            free += 1
    changed = {"probes": tuple(probes), "states": tuple(states)}
    return Capsule(manifest.model_copy(update=changed), capsule.arrays)


def _alone(capsule: Capsule, index: int, runner: str) -> Capsule:
    """Return the capsule with one prediction only, as a run of this runner."""
    probes = tuple(probe for probe in capsule.manifest.probes if probe.index == index)
    changed = {"probes": probes, "runner": runner, "error": None, "caught": ()}
    return Capsule(capsule.manifest.model_copy(update=changed), capsule.arrays)


def _visible(sound: Capsule, run: Capsule, index: int) -> bool:
    """Say whether a fault changed a bit of the result, or kept it from being made."""
    before, after = (
        next((probe for probe in capsule.manifest.probes if probe.index == index), None)
        for capsule in (sound, run)
    )
    if before is None or after is None or after.status in ("without-fault", "idle"):
        return False
    return not bits_same(outputs(sound, before), outputs(run, after))


# Running the self-test: models, faults, searches for their causes, and runs without a fault.

#: The generations of Keras, and the packages that they are in.
Progress = Callable[[str], None]


class SelftestError(BridgeError, RuntimeError):
    """Nothing can be run; the message says what to do."""


def generations() -> tuple[int, ...]:
    """Return the generations of Keras that are installed."""
    return tuple(g for g, name in PACKAGES.items() if importlib.util.find_spec(name))


def run(
    faults: int = 100,
    seed: int = 1,
    *,
    limits: Limits | None = None,
    progress: Progress = lambda _text: None,
    pool: Pool | None = None,
) -> Selftest:
    """Put faults into models of this installation and see what is said of them.

    Args:
        faults: how many, in all installed generations of Keras together.
        seed: from which models, faults and places are drawn.
        limits: of every process.
        progress: is told what is done.
        pool: warm processes of the caller's to run in, which are left running.

    Raises:
        SelftestError: there is no Keras.
        PoolError: TensorFlow or Keras cannot be started.
    """
    begun = time.monotonic()
    installed = generations()
    if not installed:
        raise SelftestError(
            "There is no Keras to test: run 'keras-bridge doctor' to see how to install it."
        )
    limits = limits or Limits(seconds=600.0)
    halves = _shares(faults, len(installed))
    with ExitStack() as stack:
        pool = pool or stack.enter_context(Pool())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=pool.folder)))
        threads = stack.enter_context(ThreadPoolExecutor(len(installed)))
        running = [
            threads.submit(
                Half(pool, generation, seed, limits, _named(progress, generation)).run,
                folder,
                count,
            )
            for generation, count in zip(installed, halves, strict=True)
            if count
        ]
        done = [future.result() for future in running]
    return Selftest(
        trials=tuple(trial for result in done for trial in result.trials),
        benign=tuple(benign for result in done for benign in result.benign),
        redrawn=sum(result.redrawn for result in done),
        seconds=time.monotonic() - begun,
        notes=tuple(note for result in done for note in result.notes),
    )


def _shares(faults: int, parts: int) -> Sequence[int]:
    return [faults // parts + (place < faults % parts) for place in range(parts)]


def _named(progress: Progress, generation: int) -> Progress:
    return lambda text: progress(f"Keras {generation}: {text}")
