"""A recorded run beside the same predictions made again here: what is the same, and what is right.

Pure: it speaks of two capsules, and runs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bridge.capsule import Capsule, Probe
from bridge.compare.alignment import labels_of
from bridge.compare.pairs import compare_probes
from bridge.compare.result import RUNGS, SEVERITY, LayerVerdict, Verdict
from bridge.compare.stage_walk import Walk, walk_outputs
from bridge.errors import BridgeError
from bridge.rounding.judge import Judge


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
        for each in self.layers:
            why = f": {each.why}" if each.why and each.verdict != "same-bits" else ""
            yield f"    {each.layer}: {each.verdict} ({each.rung}){why}"


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
    return 2 if of[0] == "tf_keras" else 3


def set_beside(recorded: Capsule, made: Capsule) -> tuple[ProbeAgain, ...]:
    """Set every prediction that was made again beside the recorded one."""
    by_index = {probe.index: probe for probe in recorded.manifest.probes}
    labels = labels_of([recorded])
    names = dict(zip(by_index, labels.values(), strict=True))
    judge = Judge()
    return tuple(
        _beside(recorded, made, by_index[probe.index], probe, names[probe.index], judge)
        for probe in made.manifest.probes
        if probe.kind in ("predict", "call")
    )


def summary(found: Sequence[ProbeAgain]) -> str:
    """Say in one line how many predictions have the recorded bits, and how the others fare."""
    same = sum(each.same_bits is True for each in found)
    counts = Counter(each.verdict for each in found)
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in SEVERITY if counts[verdict])
    return f"{same} of {len(found)} predictions have the recorded bits: {told}."


def _beside(
    recorded: Capsule, made: Capsule, one: Probe, other: Probe, label: str, judge: Judge
) -> ProbeAgain:
    layers = judge(made, other)
    not_run = next((note for note in other.notes if note.startswith("not run: ")), "")
    if not_run:
        return ProbeAgain(label, "abstained", None, not_run)
    types = [{ref.dtype for ref in probe.outputs} for probe in (one, other)]
    if one.outputs and other.outputs and types[0] != types[1]:
        return _of_other_type(Walk(recorded, made, one, other), label, layers)
    pair = compare_probes(recorded, made, one, other, label, judge)
    same = pair.difference.same_bits if pair.difference is not None else None
    # A layer of which nothing can be said takes nothing from bits that are the recorded ones.
    verdict = "different" if _wrong(layers) else pair.verdict
    rung = max((each.rung for each in layers), key=RUNGS.index, default=pair.rung)
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
    types = sorted({ref.dtype for ref in walk.other.outputs})
    far = f" by {walk.difference.max_abs:.3g} at most" if walk.difference is not None else ""
    return ProbeAgain(label, verdict, False, f"made in {' and '.join(types)}, differs{far}", layers)


def _wrong(layers: Sequence[LayerVerdict]) -> bool:
    return any(each.verdict == "different" for each in layers)
