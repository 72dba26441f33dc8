"""Where two runs first ask for different things, and who made them do so.

The four-way pattern: where R's run and its replay agree and another run, which says what was meant,
differs from both before anything was computed, the cause lies above Keras. What differs, and how,
says whether R's conversion, a default, the base of an index or the script itself is to blame.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bridge._typing import AnyArray
from bridge.capsule import Array, Capsule, CapsuleError, LayerState, ModelState, Probe
from bridge.compare.alignment import align
from bridge.compare.code_locations import parting
from bridge.compare.config_normal_form import compare_configs, layers_of
from bridge.compare.result import RunPair, Stage, Verdict
from bridge.explain.conclusion import ran_through
from bridge.explain.intent_diff.array_patterns import read_arrays
from bridge.explain.intent_diff.config_diff import SettingCause, making_of, read_setting
from bridge.explain.result import CauseEvidence
from bridge.facts.keras import generation_of

#: The runs that say what was meant, the strongest first.
MEANT: Final = ("twin", "intent")
_AGREE: Final[frozenset[Verdict]] = frozenset({"same-bits", "within-rounding", "same-error"})
#: The stages before anything is computed, in order.
_ORDER: Final[tuple[Stage, ...]] = ("config", "weights", "input")
#: Differences, at most, that are read.
_MOST: Final = 40


@dataclass(frozen=True)
class StageDifference:
    """One thing that two runs ask for differently, with what its pattern says."""

    stage: Stage
    where: str
    told: SettingCause


def attribute(runs: Mapping[str, Capsule], pairs: Sequence[RunPair]) -> CauseEvidence | None:
    """Say who made R's run ask for something else than was meant; None where it does not."""
    verdicts = {(pair.a, pair.b): pair.verdict for pair in pairs}
    for name in MEANT:
        if name not in runs or verdicts.get(("r", name)) != "different":
            continue
        if name == "intent" and not ran_through(runs["r"], runs[name]):
            # What comes after a gap may be our translation's doing.
            continue
        partings = partings_of(runs["r"], runs[name])
        if not partings:
            continue
        found = _concluded(partings)
        replay = verdicts.get(("r", "replay"))
        if replay is not None and replay not in _AGREE:
            return _not_of_calls(found)
        if replay in _AGREE:
            more = "the replay of R's calls gives R's numbers: it is what R asked for that differs"
            return found.model_copy(update={"evidence_for": (*found.evidence_for, more)})
        return found
    return None


def partings_of(a: Capsule, b: Capsule) -> list[StageDifference]:
    """Return what ``a`` asks for otherwise than ``b``, the earliest stage first."""
    found: dict[tuple[Stage, str], StageDifference] = {}
    for one, other in align(a, b):
        if one is None or other is None:
            continue
        for each in _of_probe(a, b, one, other):
            found.setdefault((each.stage, each.where), each)
            if len(found) >= _MOST:
                break
    return sorted(found.values(), key=lambda each: _ORDER.index(each.stage))


def _concluded(partings: Sequence[StageDifference]) -> CauseEvidence:
    """Conclude from the earliest stage; what it does not explain is left over."""
    stage = partings[0].stage
    first = [each for each in partings if each.stage == stage]
    causes = {each.told.cause for each in first} - {""}
    lines = tuple(f"{each.where}: {each.told.sentence}" for each in first[:5])
    cause = causes.pop() if len(causes) == 1 else ""
    spoken = next((each for each in first if each.told.cause == cause), first[0])
    later = tuple(
        f"{each.where}: {each.told.sentence or 'differs in no way that is known'}"
        for each in partings if each.told.cause != cause
    )[:3]  # fmt: skip
    if cause:
        sure = all(each.told.confidence == "likely" for each in first)
        return CauseEvidence(
            cause=cause,
            confidence="likely" if sure else "possible",
            sentence=f"{spoken.where}: {spoken.told.sentence}.",
            where=spoken.where,
            evidence_for=lines,
            unexplained=later,
        )
    if causes:
        sentence = f"What differs at the stage '{stage}' speaks for more than one cause."
    else:
        sentence = f"{partings[0].where} differs; its pattern singles out no cause."
    return CauseEvidence(
        cause="not-known",
        confidence="",
        sentence=sentence,
        where=partings[0].where,
        evidence_for=lines,
        unexplained=(f"why {partings[0].where} differs", *later),
    )


def _not_of_calls(found: CauseEvidence) -> CauseEvidence:
    """Take back a cause where R's own run and the replay of its calls do not agree."""
    against = "the replay of R's calls does not give R's numbers, so more than the calls differs"
    return found.model_copy(
        update={
            "cause": "not-known",
            "confidence": "",
            "evidence_against": (against,),
            "unexplained": ("why the replay does not give R's numbers", *found.unexplained),
        }
    )


def _of_probe(a: Capsule, b: Capsule, one: Probe, other: Probe) -> Iterator[StageDifference]:
    mine, theirs = a.state_of(one), b.state_of(other)
    if mine is not None and theirs is not None:
        yield from _configs(a, mine, theirs)
        yield from _weights(a, mine, b, theirs)
    if len(one.inputs) == len(other.inputs):
        for place, (p, q) in enumerate(zip(one.inputs, other.inputs, strict=True)):
            where = "x" if len(one.inputs) == 1 else f"x[{place}]"
            told = _arrays(a, p, b, q, {})
            if told is not None and not _received_the_same(a, p, b, q):
                yield StageDifference("input", where, told)


def _configs(a: Capsule, mine: ModelState, theirs: ModelState) -> Iterator[StageDifference]:
    deciding, _ = compare_configs(mine, theirs)
    for unlike in deciding:
        where = unlike.spell(mine)
        if unlike.position is None or len(unlike.path) != 1:
            yield StageDifference("config", where, SettingCause("", "", unlike.tell()))
            continue
        layer = layers_of(mine)[unlike.position]
        key = str(unlike.path[0])
        making = making_of(a, layer)
        generation = generation_of(mine.keras, layer.config)
        told = read_setting(layer.cls, key, unlike.a, unlike.b, making, generation)
        yield StageDifference("config", where, told)


def _weights(
    a: Capsule, mine: ModelState, b: Capsule, theirs: ModelState
) -> Iterator[StageDifference]:
    one, other = layers_of(mine), layers_of(theirs)
    if len(one) != len(other):
        return
    for p, q in zip(one, other, strict=True):
        if len(p.weights) != len(q.weights):
            where = f"model.get_layer({p.name!r}).weights"
            yield StageDifference("weights", where, SettingCause("", "", "there are others"))
            continue
        for place, (w, v) in enumerate(zip(p.weights, q.weights, strict=True)):
            told = _arrays(a, w.array, b, v.array, _elsewhere(a, mine, p, place))
            if told is not None:
                name = w.name if w.name.isidentifier() else f"weights[{place}]"
                yield StageDifference("weights", f"model.get_layer({p.name!r}).{name}", told)


def _elsewhere(
    capsule: Capsule, state: ModelState, layer: LayerState, place: int
) -> dict[str, AnyArray]:
    """Return the weights that the same layer had at other moments of the run."""
    found = {}
    for number, other in enumerate(capsule.manifest.states):
        if other is state or other.id != state.id:
            continue
        twin = next((each for each in other.layers if each.name == layer.name), None)
        if twin is None or place >= len(twin.weights):
            continue
        try:
            found[f"what it was at another time ({number + 1})"] = capsule.array(
                twin.weights[place].array
            )
        except CapsuleError:
            continue
    return found


def _arrays(
    a: Capsule, p: Array, b: Capsule, q: Array, others: Mapping[str, AnyArray]
) -> SettingCause | None:
    unlike = parting(a, p, b, q)
    if unlike is None:
        return None
    if not unlike.known:
        return SettingCause("", "", unlike.detail)
    try:
        reading = read_arrays(a.array(p), b.array(q), others)
    except CapsuleError as error:
        return SettingCause("", "", str(error))
    if not reading.patterns:
        return SettingCause("", "", unlike.detail)
    if not reading.cause:
        return SettingCause("", "", reading.sentence)
    return SettingCause(reading.cause, "likely" if reading.sure else "possible", reading.sentence)


def _received_the_same(a: Capsule, p: Array, b: Capsule, q: Array) -> bool:
    """Say whether two inputs are the same to Keras, which casts floating-point data."""
    if {p.dtype, q.dtype} != {"float32", "float64"}:
        return False
    try:
        one, other = a.array(p), b.array(q)
    except CapsuleError:
        return False
    return one.shape == other.shape and bool(
        (one.astype("float32") == other.astype("float32")).all()
    )
