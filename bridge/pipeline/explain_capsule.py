"""A recorded capsule explained: its calls made again here, compared, and the cause looked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bridge.capsule import Capsule, Environment, Probe, read_capsule
from bridge.cases.case import Case
from bridge.compare.alignment import labels_of
from bridge.compare.pairs import Walk, compare_probes, walk_outputs
from bridge.compare.result import RUNGS, SEVERITY, LayerVerdict, RunPair, Verdict
from bridge.errors import BridgeError
from bridge.explain.executed_ops import asked_again, elsewhere
from bridge.explain.lever_targets import wrong_layers
from bridge.explain.result import CauseEvidence
from bridge.facts.keras import generation_of as generation_of_package
from bridge.pipeline.case_run import STEPS_AT_ONCE, CaseRun, Examined, Settings
from bridge.process.pool import Limits, Pool
from bridge.rounding.layer_records import Judge
from bridge.runs.layer_capture import look
from bridge.runs.rerun import rerun


class NothingRecordedError(BridgeError, ValueError):
    """There is nothing in the capsule that could be made again; the message says what is needed."""


@dataclass(frozen=True)
class ProbeAgain:
    """A prediction as it was recorded, and as it was made again.

    ``same_bits`` is None where they cannot be set side by side. ``layers`` are the verdicts on
    the run that was made again, each layer on the input that it received there. ``verdict`` is
    that on the pair, or "different" where a layer is wrong: both runs may make the same wrong bits.
    """

    label: str
    verdict: Verdict
    same_bits: bool | None
    detail: str = ""
    layers: tuple[LayerVerdict, ...] = field(default=())

    def lines(self) -> Iterator[str]:
        """Yield the prediction, and its layers, as lines of text."""
        bits = {True: "the recorded bits", False: "other bits", None: "not compared"}
        said = f"{self.verdict:16} {self.label}: {bits[self.same_bits]}"
        yield f"{said}; {self.detail}" if self.detail else said
        for verdict in self.layers:
            why = f": {verdict.why}" if verdict.why and verdict.verdict != "same-bits" else ""
            yield f"    {verdict.layer}: {verdict.verdict} ({verdict.rung}){why}"


def generation_of(recorded: Capsule) -> int:
    """Return the generation of Keras, 2 or 3, of the models whose predictions were recorded.

    Raises:
        NothingRecordedError: there is no prediction of a recorded model.
    """
    states = recorded.manifest.states
    of = [
        states[probe.state].keras
        for probe in recorded.manifest.probes
        if probe.kind in ("predict", "call") and probe.state is not None and probe.inputs
        and 0 <= probe.state < len(states)
    ]  # fmt: skip
    if not of:
        raise NothingRecordedError(
            "there is no prediction of a recorded model in it: record a script that calls predict()"
        )
    return 2 if generation_of_package(of[0]) == 2 else 3


def set_beside(recorded: Capsule, again: Capsule) -> tuple[ProbeAgain, ...]:
    """Set every prediction that was made again beside the recorded one."""
    by_index = {probe.index: probe for probe in recorded.manifest.probes}
    labels = labels_of([recorded])
    names = dict(zip(by_index, labels.values(), strict=True))
    judge = Judge()
    return tuple(
        _beside(recorded, again, by_index[probe.index], probe, names[probe.index], judge)
        for probe in again.manifest.probes
        if probe.kind in ("predict", "call")
    )


def summary(found: Sequence[ProbeAgain]) -> str:
    """Say in one line how many predictions have the recorded bits, and how the others fare."""
    same = sum(probe.same_bits is True for probe in found)
    counts = Counter(probe.verdict for probe in found)
    counted = ", ".join(f"{counts[verdict]} {verdict}" for verdict in SEVERITY if counts[verdict])
    return f"{same} of {len(found)} predictions have the recorded bits: {counted}."


def _beside(
    recorded: Capsule, again: Capsule, left: Probe, right: Probe, label: str, judge: Judge
) -> ProbeAgain:
    layers = judge(again, right)
    if right.status == "not-run":
        return ProbeAgain(label, "abstained", None, "; ".join(right.notes))
    types = [{ref.dtype for ref in probe.outputs} for probe in (left, right)]
    if left.outputs and right.outputs and types[0] != types[1]:
        return _of_other_type(Walk(recorded, again, left, right), label, layers)
    pair = compare_probes(recorded, again, left, right, label, judge)
    same = pair.difference.same_bits if pair.difference is not None else None
    # A layer of which nothing can be said takes nothing from bits that are the recorded ones.
    verdict = "different" if _wrong(layers) else pair.verdict
    rung = max((layer.rung for layer in layers), key=RUNGS.index, default=pair.rung)
    detail = [] if pair.verdict == "same-bits" else [pair.detail]
    if pair.difference is not None and not pair.difference.same_bits:
        detail.insert(0, f"by {pair.difference.max_abs:.3g} at most, rung {rung}")
    before, now = pair.executed
    if now and before != now:
        detail.append(f"executed {now}")
    return ProbeAgain(label, verdict, same, "; ".join(filter(None, detail)), layers)


def _of_other_type(walk: Walk, label: str, layers: tuple[LayerVerdict, ...]) -> ProbeAgain:
    """Tell how far predictions in another float type are; no rule says how far they should be."""
    walk_outputs(walk)
    verdict: Verdict = "different" if _wrong(layers) else "abstained"
    types = sorted({ref.dtype for ref in walk.right.outputs})
    far = f" by {walk.difference.max_abs:.3g} at most" if walk.difference is not None else ""
    return ProbeAgain(label, verdict, False, f"made in {' and '.join(types)}, differs{far}", layers)


def _wrong(layers: Sequence[LayerVerdict]) -> bool:
    return any(layer.verdict == "different" for layer in layers)


# A run that was recorded elsewhere, explained here.


def explain_capsule(
    pool: Pool,
    path: Path,
    limits: Limits,
    observed: Path | None = None,
    progress: Callable[[str], None] = lambda _text: None,
) -> Examined:
    """Explain the run in a capsule: the verdicts here, levers pulled here, and what differs.

    Raises:
        CapsuleError: the file is no capsule.
        NothingRecordedError: it has no prediction of a recorded model.
        PoolError: TensorFlow or Keras cannot be started.
    """
    recorded = _as_first(read_capsule(path))
    script = recorded.manifest.script
    case = Case(path.stem, Path(script.name if script else path.name), observed=observed)
    with ThreadPoolExecutor(STEPS_AT_ONCE) as threads:
        return CapsuleRun(
            pool, case, generation_of(recorded), Settings(limits=limits, explain=True), threads,
            progress, recorded, path,
        ).examined()  # fmt: skip


@dataclass
class CapsuleRun(CaseRun):
    """A recorded run: a case whose first run is there already. Nothing of its script is run.

    Attributes:
        recorded: the run.
        path: the file that it came in.
    """

    recorded: Capsule
    path: Path

    @property
    def private(self) -> tuple[str, ...]:
        """The folders whose names stay out of the report."""
        return (str(self.path.resolve().parent), str(self.pool.folder))

    def record(self) -> Capsule:
        """Return the run that was recorded."""
        return self.recorded

    not_recorded = record

    def replay(self, r: Capsule, _confirmed: bool) -> Capsule:
        """Make the recorded predictions again on this machine."""
        self.tell("runs the models again")
        return rerun(self.pool, r, self.generation, self.limits)

    def look_into_r(self, r: Capsule, _confirmed: bool) -> Capsule:
        """Return the run with its layers: those that were recorded, or else as they are here.

        Only where this machine makes the recorded bits can it be looked into.
        """
        if any(probe.layers for probe in r.manifest.probes):
            return r
        return look(self.pool, r, self.generation, self.limits)

    def look_into(self, run: Capsule | None, _r: Capsule) -> Capsule | None:
        """Return the run as it is: making it again has looked into it."""
        return run

    def labels(self, runs: Mapping[str, Capsule]) -> dict[int, str]:
        """Return the names of the predictions; what was made again may be fewer of them."""
        return labels_of([runs["r"]])

    def investigate(
        self, runs: Mapping[str, Capsule], pairs: Sequence[RunPair]
    ) -> CauseEvidence | None:
        """Look for the cause here, and set this machine beside that of the recording."""
        found = super().investigate(runs, pairs)
        r = runs["r"]
        doubts = wrong_layers({"r": r}, self.judge)
        if found is None or not doubts or "replay" not in runs:
            return found
        target = doubts[0].target
        found = elsewhere(found, r, runs["replay"], target.probe, target.names)
        lost = doubts[0].searched_place(r, frozenset(), (), False).lost
        return in_its_graph(found, r.manifest.environment, lost)


def _as_first(recorded: Capsule) -> Capsule:
    """Return the run as the one that is explained; what is run again here is the replay of it."""
    manifest = recorded.manifest
    if manifest.runner != "replay":
        return recorded
    is_r = manifest.script is not None and manifest.script.language == "r"
    return Capsule(manifest.model_copy(update={"runner": "r" if is_r else "twin"}), recorded.arrays)


def in_its_graph(
    found: CauseEvidence, there: Environment, lost: tuple[str, ...] | None
) -> CauseEvidence:
    """Say of a fault that this machine does not show what was executed for it there.

    Args:
        found: what looking for the cause here, and setting the machines side by side, found.
        there: the machine of the recording.
        lost: what the wrong layer should do and no op lists that was executed for it there.
    """
    on_cpu = all(device.startswith("CPU") for device in there.devices)
    if not asked_again(found) or not lost or not on_cpu:
        return found
    said = ", ".join(lost)
    return found.model_copy(
        update={
            "cause": "grappler:remapping",
            "confidence": "possible",
            "sentence": f"The graph that was executed there lacks {said}, which was fused away; "
            "run again on this machine it is there.",
            "evidence_for": (f"what was executed there lacks {said}", *found.evidence_for),
            "evidence_against": ("this machine does not show it",),
        }
    )
